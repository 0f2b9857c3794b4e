"""The steps every batch of products goes through: download, then extract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from copernicus import lineage, metrics
from copernicus.batches import Outcomes
from copernicus.hooks import CopernicusHook
from copernicus.links import CopernicusBrowserLink
from copernicus.params import lines
from copernicus.progress import progress_of
from copernicus.project import default_output_uri
from copernicus.retry import RETRY_POLICY
from copernicus.runs import open_store, run_layout
from dataspace.delivery import deliver
from dataspace.errors import ConfigurationError
from dataspace.layout import bands_dir
from dataspace.records import Attempt, Delivered, RunRecords
from dataspace.shelf import Shelf, Wanted
from dataspace.staging import stage
from dataspace.usage import Quota, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from dataspace.product import Product
    from dataspace.traffic import Traffic

WANTED_FIELDS: Final = ("bands", "transfer", "keep_archive", "overwrite", "output_uri")
"""Arguments and params that decide what of each product is delivered, and where."""


class CopernicusDownloadOperator(lineage.TellsLineage, BaseOperator):
    """Fetches what is missing of a batch of products, verified, into the run's staging folder.

    As many transfers run at once as the task has `pool_slots`; more than the connection's
    `max_connections` are refused. What already stands in the output, or was staged by an earlier
    try, is not fetched again. One product failing does not keep the others of its batch from being
    fetched. Where the account has moved what the connection's `quota_gb` allows in thirty days, the
    task leaves its worker and its slots, and looks again after an hour; where other runs are just
    fetching some of the products, after half a minute.

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
        _check(self.batch)
        run = run_layout(context, self.batch["stamp"])
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run, self.batch["search"])
        products = records.products(self.batch["batch"])
        wanted = _wanted(self, records.search() or {})
        shelves = [Shelf(store, run, product, wanted) for product in products]
        outcomes = Outcomes(len(products))
        began = time.monotonic()
        with (
            CopernicusHook(self.copernicus_conn_id).get_conn(self.pool_slots) as client,
            metrics.of_traffic(context, client.traffic),
        ):
            quota = Quota(Usage(store, client.account_id), client.quota_bytes, client.traffic)
            client.before_transfer = quota.check
            try:
                stage(shelves, client, progress_of(context), outcomes.fetched)
            finally:
                attempt = _attempt(client.traffic, time.monotonic() - began, outcomes.errors)
                quota.note()
                if attempt.requests or attempt.errors:  # not each look at what others fetch
                    records.add_attempt(self.batch["batch"], attempt)
                self.log.info(
                    "%d bytes in %d requests and %.1f s; summed over %d connections, %.1f s moving "
                    "bytes and %.1f s waiting; tried again %d times, too many requests %d times.",
                    *(attempt.bytes_transferred, attempt.requests, attempt.seconds),
                    *(client.connections, attempt.moving_s, attempt.waiting_s),
                    *(attempt.retries, attempt.rate_limited),
                )
                self.lineage = _lineage(client.address, outcomes.good)
        if outcomes.quota or outcomes.claimed:
            _hand_over(shelves, outcomes)
        outcomes.end()


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
        _check(self.batch)
        run = run_layout(context, self.batch["stamp"])
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run, self.batch["search"])
        products = records.products(self.batch["batch"])
        search = records.search() or {}
        wanted, service = _wanted(self, search), search.get("service", "")
        delivered: dict[str, Delivered] = {}
        outcomes = Outcomes(len(products))
        try:
            for product in products:
                try:
                    delivered[product.stem] = self._deliver(Shelf(store, run, product, wanted))
                except Exception as error:  # noqa: BLE001 - the others of the batch go on
                    outcomes.failed(product, error)
        finally:
            records.add_delivered(self.batch["batch"], delivered)
            held = [one for one in products if one.stem in delivered]
            self.lineage = _lineage(service, held, delivered)
        outcomes.end()

    def _deliver(self, shelf: Shelf) -> Delivered:
        files = deliver(shelf).chosen(shelf.wanted.bands)
        folder = shelf.store.uri(bands_dir(shelf.product))
        self.log.info("%s: %s", folder, ", ".join(file.name for file in files))
        return Delivered(len(files), sum(file.size_bytes for file in files), folder)


def _hand_over(shelves: Sequence[Shelf], outcomes: Outcomes) -> None:
    """Deliver what is staged before the task waits: two that wait for each other's never end."""
    for shelf in shelves:
        is_staged = shelf.product in outcomes.good and shelf.receipt() is not None
        if not is_staged or shelf.wanted.overwrite:  # else runs that overwrite would take turns
            continue
        try:
            deliver(shelf)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            outcomes.failed(shelf.product, error)


def _attempt(moved: Traffic, seconds: float, errors: dict[str, str]) -> Attempt:
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


def _check(batch: Any) -> None:
    if not isinstance(batch, dict) or not {"search", "batch", "stamp"} <= set(batch):
        message = "batch is no reference of a search; map over them: expand(batch=search.output)."
        raise ConfigurationError(message)


def _wanted(
    operator: CopernicusDownloadOperator | CopernicusExtractOperator, search: Mapping[str, Any]
) -> Wanted:
    return Wanted(
        bands=lines(operator.bands),
        transfer=operator.transfer,
        keep_archive=operator.keep_archive,
        overwrite=operator.overwrite,
        is_standing=search.get("standing", True),
    )
