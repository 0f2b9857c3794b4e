"""The download and extract operators, which process one batch of products."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading_params
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

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.transfer_statistics import TransferStatistics

WANTED_FIELDS: Final = ("bands", "transfer", "keep_archive", "overwrite", "output_uri")
"""Arguments and params that determine the delivered files of each product, and their location."""


class CopernicusDownloadOperator(lineage.TellsLineage, BaseOperator):
    """Downloads and verifies the missing files of a batch of products into the staging folder.

    The task has as many concurrent transfers as `pool_slots`, at most the connection's
    `max_connections`. Files that are delivered already, or were staged by an earlier try, are not
    downloaded again. A failed product does not stop the others of its batch; if the task fails or
    waits, the completed products are delivered at once. The task is rescheduled, without worker and
    pool slots, after an hour if the account has reached the connection's `quota_gb` in 30 days, and
    after 30 seconds if other runs are downloading some of the products.

    All arguments except `allowed_outputs` are template fields.
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
        allowed_outputs: Sequence[str] = (),
        copernicus_conn_id: str = CopernicusHook.default_conn_name,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            batch: A reference from CopernicusSearchOperator.
            bands: Band names and patterns.
            transfer: ``files`` for the selected files only, ``archive`` for the whole zip file.
            keep_archive: Whether to store the zip file.
            overwrite: Whether to download existing files again.
            output_uri: As for the search.
            allowed_outputs: As for the search.
            copernicus_conn_id: The Airflow Connection.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.batch = batch
        self.bands = bands
        self.transfer = transfer
        self.keep_archive = keep_archive
        self.overwrite = overwrite
        self.output_uri = output_uri
        self.allowed_outputs = allowed_outputs
        self.copernicus_conn_id = copernicus_conn_id

    def execute(self, context: Context) -> None:
        """Download the batch and record the transfer statistics."""
        records, _, jobs = _open_batch(self, context)
        outcomes = BatchOutcomes(len(jobs))
        try:
            self._fetch(context, records, jobs, outcomes)
        finally:
            if len(outcomes.succeeded) < len(jobs):
                _deliver_staged(records, self.batch["batch"], jobs, outcomes)
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
            metrics.record_transfers(context, client.service.statistics),
        ):
            service = client.service
            usage = Usage(jobs[0].store, service.account_id)
            quota = Quota(usage, service.quota_bytes, service.statistics)
            service.downloads.before_transfer = quota.check
            try:
                with (
                    progress_of(context) as progress,
                    closing(stage(jobs, service, progress)) as done,
                ):
                    for staged in done:
                        outcomes.fetched(staged)
            finally:
                attempt = _attempt(service.statistics, time.monotonic() - began, outcomes.errors)
                quota.note()
                if attempt.requests or attempt.errors:  # not if all products wait for other runs
                    records.add_attempt(self.batch["batch"], attempt)
                self.log.info(
                    "Transferred %d bytes in %d requests and %.1f s; over %d connections: %.1f s "
                    "transferring and %.1f s waiting; %d retries, %d responses with HTTP 429.",
                    *(attempt.bytes_transferred, attempt.requests, attempt.seconds),
                    *(service.connections, attempt.moving_s, attempt.waiting_s),
                    *(attempt.retries, attempt.rate_limited),
                )
                self.lineage = _lineage(service.address, outcomes.succeeded)


class CopernicusExtractOperator(lineage.TellsLineage, BaseOperator):
    """Moves the staged files of a batch to their final paths and writes the STAC items.

    Needs no account. If another run has taken over a product whose lease expired, the task is
    rescheduled after 30 seconds.

    All arguments except `allowed_outputs` are template fields.
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
        allowed_outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator; arguments as for CopernicusDownloadOperator."""
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.batch = batch
        self.bands = bands
        self.transfer = transfer
        self.keep_archive = keep_archive
        self.overwrite = overwrite
        self.output_uri = output_uri
        self.allowed_outputs = allowed_outputs

    def execute(self, context: Context) -> None:
        """Deliver the batch and record the delivered products."""
        records, search, jobs = _open_batch(self, context)
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
            stored = [job.product for job in jobs if job.product.stem in delivered]
            self.lineage = _lineage(search.get("service", ""), stored, delivered)
        outcomes.end()

    def _deliver(self, job: ProductJob) -> Delivered:
        files = deliver(job).chosen(job.wanted.bands)
        folder = job.store.uri(bands_dir(job.product))
        self.log.info("%s: %s", folder, ", ".join(file.name for file in files))
        return Delivered(len(files), sum(file.size_bytes for file in files), folder)


def _deliver_staged(
    records: RunRecords, key: str, jobs: Sequence[ProductJob], outcomes: BatchOutcomes
) -> None:
    """Deliver staged products before the task fails or waits, because its next try may be late.

    It also avoids a deadlock of two tasks that wait for each other's products.
    """
    succeeded = {product.stem for product in outcomes.succeeded}
    excluded, earlier = {*outcomes.errors, *outcomes.in_progress}, records.handed_over(key)
    delivered = []
    for job in jobs:
        stem = job.product.stem
        try:
            if stem not in excluded and (stem in succeeded - earlier or job.receipt() is not None):
                deliver(job)
                delivered.append(stem)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            outcomes.failed(job.product, error)
    if delivered:
        records.add_handed_over(key, delivered)


def _attempt(statistics: TransferStatistics, seconds: float, errors: dict[str, str]) -> Attempt:
    return Attempt(
        requests=statistics.requests,
        bytes_transferred=statistics.bytes,
        seconds=seconds,
        errors=errors,
        moving_s=statistics.moving_s,
        waiting_s=statistics.waiting_s,
        retries=statistics.retries,
        rate_limited=statistics.rate_limited,
    )


def _lineage(
    service: str, read: list[Product], delivered: dict[str, Delivered] | None = None
) -> lineage.Lineage:
    inputs = lineage.product_datasets(service, read)
    return lineage.Lineage(inputs, lineage.folder_datasets(delivered or {}))


def _open_batch(
    operator: CopernicusDownloadOperator | CopernicusExtractOperator, context: Context
) -> tuple[RunRecords, Mapping[str, Any], list[ProductJob]]:
    """Return the run's records, the record of its search, and the jobs of the batch.

    Products that an earlier try has delivered are not overwritten again: other runs may have
    replaced them since.
    """
    batch = operator.batch
    if not isinstance(batch, dict) or not {"search", "batch", "stamp"} <= set(batch):
        message = (
            "batch is not an output of CopernicusSearchOperator; use expand(batch=search.output)."
        )
        raise ConfigurationError(message)
    store = open_store(operator.output_uri or default_output_uri(), operator.allowed_outputs)
    run = placed(store, run_layout(context, batch["stamp"]))
    records = RunRecords(store, run, batch["search"])
    products = records.products(batch["batch"])
    search, delivered = records.search() or {}, records.handed_over(batch["batch"])
    settings = {name: getattr(operator, name) for name in WANTED_FIELDS if name != "output_uri"}
    with reading_params(**settings):
        wanted = DeliveryOptions(
            **{**settings, "bands": lines(operator.bands)},
            is_permanent=search.get("standing", True),
            is_scheduled=search.get("scheduled", False),
        )
    keep = replace(wanted, overwrite=False)
    jobs = [
        ProductJob(store, run, product, keep if product.stem in delivered else wanted)
        for product in products
    ]
    return records, search, jobs
