"""The steps every batch of products goes through: download, then extract."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.links import CopernicusBrowserLink
from airflow_copernicus.observability import lineage, metrics
from airflow_copernicus.operators.batch_outcomes import BatchOutcomes
from airflow_copernicus.operators.progress import progress_of
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.context import open_store, run_layout
from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.quota import Quota, Usage
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import Attempt, Delivered, RunRecords
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.storage.layout import bands_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.http.statistics import TransferStatistics
    from copernicus_dataspace.models.product import Product

WANTED_FIELDS: Final = ("bands", "transfer", "keep_archive", "overwrite", "output_uri")
"""Arguments and params that decide what of each product is delivered, and where."""


class CopernicusDownloadOperator(lineage.TellsLineage, BaseOperator):
    """Fetches what is missing of a batch of products, verified, into the run's staging folder.

    As many transfers run at once as the task has `pool_slots`; more than the connection's
    `max_connections` are refused. What already stands in the output, or was staged by an earlier
    try, is not fetched again. One product failing does not keep the others of its batch from being
    fetched, and where the task does not end well, these are delivered at once, so that neither they
    nor other runs wait for its next try. Where the account has moved what the connection's
    `quota_gb` allows in thirty days, the task leaves its worker and its slots, and looks again
    after an hour; where other runs are just fetching some of the products, after half a minute.

    Every argument is a template field.
    """

    template_fields: Sequence[str] = ("batch", *WANTED_FIELDS, "copernicus_conn_id")
    operator_extra_links = (CopernicusBrowserLink(),)
    ui_color = "#cfe8d5"

    def __init__(  # noqa: PLR0913
        self,
        *,
        batch: dict[str, Any],
        bands: Sequence[str],
        transfer: str = "files",
        keep_archive: bool = False,
        overwrite: bool = False,
        output_uri: str | None = None,
        copernicus_conn_id: str = CopernicusHook.default_conn_name,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the download.

        Args:
            batch: A reference from CopernicusSearchOperator.
            bands: Band names and patterns.
            transfer: ``files`` fetches only what is wanted, ``archive`` the whole zip.
            keep_archive: Whether the zip is kept.
            overwrite: Whether what is there is fetched again.
            output_uri: As for the search.
            copernicus_conn_id: The Airflow Connection.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.batch = batch
        self.bands = bands
        self.transfer = transfer
        self.keep_archive = keep_archive
        self.overwrite = overwrite
        self.output_uri = output_uri
        self.copernicus_conn_id = copernicus_conn_id

    def execute(self, context: Context) -> None:
        """Fetch the batch and record what was moved."""
        records, _, jobs = _open(self, context)
        outcomes = BatchOutcomes(len(jobs))
        try:
            self._fetch(context, records, jobs, outcomes)
        finally:
            if len(outcomes.good) < len(jobs):
                _hand_over(records, self.batch["batch"], jobs, outcomes)
        outcomes.end()

    def _fetch(
        self,
        context: Context,
        records: RunRecords,
        jobs: Sequence[ProductJob],
        outcomes: BatchOutcomes,
    ) -> None:
        began = time.monotonic()
        with (
            CopernicusHook(self.copernicus_conn_id).get_conn(self.pool_slots) as client,
            metrics.of_transfers(context, client.service.statistics),
        ):
            service = client.service
            usage = Usage(jobs[0].store, service.account_id)
            quota = Quota(usage, service.quota_bytes, service.statistics)
            service.before_transfer = quota.check
            try:
                with closing(stage(jobs, service, progress_of(context))) as done:
                    for staged in done:
                        outcomes.fetched(staged)
            finally:
                attempt = _attempt(service.statistics, time.monotonic() - began, outcomes.errors)
                quota.note()
                if attempt.requests or attempt.errors:  # not each look at what others fetch
                    records.add_attempt(self.batch["batch"], attempt)
                self.log.info(
                    "%d bytes in %d requests and %.1f s; summed over %d connections, %.1f s moving "
                    "bytes and %.1f s waiting; tried again %d times, too many requests %d times.",
                    *(attempt.bytes_transferred, attempt.requests, attempt.seconds),
                    *(service.connections, attempt.moving_s, attempt.waiting_s),
                    *(attempt.retries, attempt.rate_limited),
                )
                self.lineage = _lineage(service.address, outcomes.good)


class CopernicusExtractOperator(lineage.TellsLineage, BaseOperator):
    """Puts the staged files of a batch into place and writes each product's STAC item.

    Needs no account. Where another run has taken over a product that was long staged, the task
    leaves its worker, and looks again after half a minute.

    Every argument is a template field.
    """

    template_fields: Sequence[str] = ("batch", *WANTED_FIELDS)
    operator_extra_links = (CopernicusBrowserLink(),)
    ui_color = "#f5e9cf"

    def __init__(  # noqa: PLR0913
        self,
        *,
        batch: dict[str, Any],
        bands: Sequence[str],
        transfer: str = "files",
        keep_archive: bool = False,
        overwrite: bool = False,
        output_uri: str | None = None,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the extraction; arguments as for CopernicusDownloadOperator."""
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.batch = batch
        self.bands = bands
        self.transfer = transfer
        self.keep_archive = keep_archive
        self.overwrite = overwrite
        self.output_uri = output_uri

    def execute(self, context: Context) -> None:
        """Deliver the batch and record what stands."""
        records, search, jobs = _open(self, context)
        delivered: dict[str, Delivered] = {}
        outcomes = BatchOutcomes(len(jobs))
        try:
            for job in jobs:
                try:
                    delivered[job.product.stem] = self._deliver(job)
                except Exception as error:  # noqa: BLE001 - the others of the batch go on
                    outcomes.failed(job.product, error)
        finally:
            records.add_delivered(self.batch["batch"], delivered)
            held = [job.product for job in jobs if job.product.stem in delivered]
            self.lineage = _lineage(search.get("service", ""), held, delivered)
        outcomes.end()

    def _deliver(self, job: ProductJob) -> Delivered:
        files = deliver(job).chosen(job.wanted.bands)
        folder = job.store.uri(bands_dir(job.product))
        self.log.info("%s: %s", folder, ", ".join(file.name for file in files))
        return Delivered(len(files), sum(file.size_bytes for file in files), folder)


def _hand_over(
    records: RunRecords, key: str, jobs: Sequence[ProductJob], outcomes: BatchOutcomes
) -> None:
    """Deliver what is staged before the task ends or waits: its next try may be hours away.

    Two tasks that wait for each other's products would never end.
    """
    good = {product.stem for product in outcomes.good}
    bad, earlier = {*outcomes.errors, *outcomes.in_progress}, records.handed_over(key)
    done = []
    for job in jobs:
        stem = job.product.stem
        try:
            if stem not in bad and (stem in good - earlier or job.receipt() is not None):
                deliver(job)
                done.append(stem)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            outcomes.failed(job.product, error)
    if done:
        records.add_handed_over(key, done)


def _attempt(moved: TransferStatistics, seconds: float, errors: dict[str, str]) -> Attempt:
    return Attempt(
        requests=moved.requests,
        bytes_transferred=moved.bytes,
        seconds=seconds,
        errors=errors,
        moving_s=moved.moving_s,
        waiting_s=moved.waiting_s,
        retries=moved.retries,
        rate_limited=moved.rate_limited,
    )


def _lineage(
    service: str, read: list[Product], delivered: dict[str, Delivered] | None = None
) -> lineage.Lineage:
    inputs = lineage.products(service, read)
    return lineage.Lineage(inputs, lineage.folders(delivered or {}))


def _open(
    operator: CopernicusDownloadOperator | CopernicusExtractOperator, context: Context
) -> tuple[RunRecords, Mapping[str, Any], list[ProductJob]]:
    """Return the run's records, what its search noted, and the places of the batch's products.

    What was put in place before the batch's download has ended is not fetched again, even to
    overwrite it: other runs may have done that since.
    """
    batch = operator.batch
    if not isinstance(batch, dict) or not {"search", "batch", "stamp"} <= set(batch):
        message = "batch is no reference of a search; map over them: expand(batch=search.output)."
        raise ConfigurationError(message)
    store = open_store(operator.output_uri or default_output_uri())
    run = placed(store, run_layout(context, batch["stamp"]))
    records = RunRecords(store, run, batch["search"])
    products = records.products(batch["batch"])
    search, there = records.search() or {}, records.handed_over(batch["batch"])
    asked = {name: getattr(operator, name) for name in WANTED_FIELDS if name != "output_uri"}
    with reading(**asked):
        wanted = DeliveryOptions(
            **{**asked, "bands": lines(operator.bands)},
            is_permanent=search.get("standing", True),
            is_scheduled=search.get("scheduled", False),
        )
    rest = replace(wanted, overwrite=False)
    jobs = [ProductJob(store, run, one, rest if one.stem in there else wanted) for one in products]
    return records, search, jobs
