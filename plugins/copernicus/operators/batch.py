"""The steps every batch of products goes through: download, then extract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from copernicus.batches import Failures
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryPolicy

    from dataspace.product import Product
    from dataspace.traffic import Traffic

WANTED_FIELDS: Final = ("bands", "transfer", "keep_archive", "overwrite", "output_uri")
"""Arguments and params that decide what of each product is delivered, and where."""


class CopernicusDownloadOperator(BaseOperator):
    """Fetches what is missing of a batch of products, verified, into the run's staging folder.

    As many transfers run at once as the task has `pool_slots`; more than the connection's
    `max_connections` are refused. What already stands in the output, or was staged by an earlier
    try, is not fetched again. One product failing does not keep the others of its batch from being
    fetched.

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
        run, wanted = run_layout(context, self.batch["stamp"]), _wanted(self)
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run, self.batch["search"])
        products = records.products(self.batch["batch"])
        shelves = [Shelf(store, run, product, wanted) for product in products]
        failures = Failures(len(products))
        began = time.monotonic()

        def told(product: Product, outcome: bool | Exception) -> None:
            if isinstance(outcome, Exception):
                failures.add(product, outcome)
            else:
                state = "fetched and verified" if outcome else "is there already"
                self.log.info("%s: %s.", product.stem, state)

        with CopernicusHook(self.copernicus_conn_id).get_conn(self.pool_slots) as client:
            try:
                stage(shelves, client, progress_of(context), told)
            finally:
                attempt = _attempt(client.traffic, time.monotonic() - began, failures.messages)
                records.add_attempt(self.batch["batch"], context["ti"].try_number, attempt)
                self.log.info(
                    "%d bytes in %d requests and %.1f s; summed over %d connections, %.1f s moving "
                    "bytes and %.1f s waiting.",
                    *(attempt.bytes_transferred, attempt.requests, attempt.seconds),
                    *(client.connections, attempt.moving_s, attempt.waiting_s),
                )
        failures.raise_any()


class CopernicusExtractOperator(BaseOperator):
    """Puts the staged files of a batch into place and writes each product's STAC item.

    Needs no account.

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
        run, wanted = run_layout(context, self.batch["stamp"]), _wanted(self)
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run, self.batch["search"])
        products = records.products(self.batch["batch"])
        delivered: dict[str, Delivered] = {}
        failures = Failures(len(products))
        try:
            for product in products:
                try:
                    delivered[product.stem] = self._deliver(Shelf(store, run, product, wanted))
                except Exception as error:  # noqa: BLE001 - the others of the batch go on
                    failures.add(product, error)
        finally:
            records.add_delivered(self.batch["batch"], delivered)
        failures.raise_any()

    def _deliver(self, shelf: Shelf) -> Delivered:
        files = deliver(shelf).chosen(shelf.wanted.bands)
        folder = shelf.store.uri(bands_dir(shelf.product))
        self.log.info("%s: %s", folder, ", ".join(file.name for file in files))
        return Delivered(len(files), sum(file.size_bytes for file in files), folder)


def _attempt(moved: Traffic, seconds: float, errors: dict[str, str]) -> Attempt:
    return Attempt(moved.requests, moved.bytes, seconds, errors, moved.moving_s, moved.waiting_s)


def _check(batch: Any) -> None:
    if not isinstance(batch, dict) or not {"search", "batch", "stamp"} <= set(batch):
        message = "batch is no reference of a search; map over them: expand(batch=search.output)."
        raise ConfigurationError(message)


def _wanted(operator: CopernicusDownloadOperator | CopernicusExtractOperator) -> Wanted:
    return Wanted(
        bands=lines(operator.bands),
        transfer=operator.transfer,
        keep_archive=operator.keep_archive,
        overwrite=operator.overwrite,
    )
