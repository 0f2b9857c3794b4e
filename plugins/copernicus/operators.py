"""The steps of a run: search, download, extract, publish. Each is thin around a library call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from copernicus.batches import describe, each_product
from copernicus.hooks import CopernicusHook, build_query
from copernicus.links import CopernicusBrowserLink
from copernicus.progress import progress_of
from copernicus.project import default_output_uri
from copernicus.retry import CopernicusRetryPolicy
from copernicus.runs import open_store, refuse_in_backfill, run_layout, sensing_window
from dataspace.bands import check_bands
from dataspace.delivery import deliver, stage
from dataspace.errors import NotStagedError, PermanentError, ProductUnavailableError
from dataspace.layout import bands_dir
from dataspace.records import Attempt, Delivered, RunRecords
from dataspace.shelf import Shelf, Wanted
from dataspace.summary import as_text, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryPolicy

    from dataspace.product import Product

RETRY_POLICY: Final = CopernicusRetryPolicy()
"""Named in every signature, because ``.partial()`` takes defaults from there."""

QUERY_FIELDS: Final = (
    "area",
    "tiles",
    "product_type",
    "max_cloud_cover",
    "first_day",
    "last_day",
    "product_ids",
)
"""Arguments and params that decide which products a run is about."""

WANTED_FIELDS: Final = ("bands", "transfer", "keep_archive", "overwrite", "output_uri")
"""Arguments and params that decide what of each product is delivered, and where."""


class CopernicusSearchOperator(BaseOperator):
    """Finds the products of the run's days and hands them on in batches.

    Returns one reference per batch, to be mapped over: ``batch`` (its key), ``label`` (its name
    in the UI) and ``seen`` (where the browser link leads). The products themselves are recorded
    in the output store. A batch is one product while products are few.

    Every argument is a template field. Products the catalogue lists as offline are named in the
    log and the summary, and left out.
    """

    template_fields: Sequence[str] = (*QUERY_FIELDS, "bands", "output_uri", "copernicus_conn_id")
    ui_color = "#d9e8f5"

    def __init__(  # noqa: PLR0913
        self,
        *,
        bands: Sequence[str],
        area: Any = None,
        tiles: Sequence[str] | None = None,
        product_type: str = "S2MSI2A",
        max_cloud_cover: float | None = None,
        first_day: str | None = None,
        last_day: str | None = None,
        product_ids: Sequence[str] | None = None,
        output_uri: str | None = None,
        copernicus_conn_id: str = CopernicusHook.default_conn_name,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the search.

        Args:
            bands: Checked here, so that a misspelt band fails before anything is fetched.
            area: Name in include/areas, GeoJSON, WKT, or ``west,south,east,north`` in degrees.
            tiles: MGRS tiles; with an area, both must hold.
            product_type: ``S2MSI2A`` or ``S2MSI1C``.
            max_cloud_cover: Percent, inclusive; None for no limit.
            first_day: First UTC sensing day, ``YYYY-MM-DD``; None for the run's own day.
            last_day: Last UTC sensing day, included; one alone means that one day.
            product_ids: Ids or names: exactly these, whatever the other arguments say.
            output_uri: Where the run's records go; None for the project's default.
            copernicus_conn_id: The Airflow Connection.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.area = area
        self.tiles = tiles
        self.product_type = product_type
        self.max_cloud_cover = max_cloud_cover
        self.first_day = first_day
        self.last_day = last_day
        self.product_ids = product_ids
        self.bands = bands
        self.output_uri = output_uri
        self.copernicus_conn_id = copernicus_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Search, record what was found, and return the references."""
        refuse_in_backfill(context, self.first_day, self.last_day, self.product_ids)
        if not self.product_ids:
            check_bands(self.bands, self.product_type)
        window = (
            None if self.product_ids else sensing_window(self.first_day, self.last_day, context)
        )
        query = build_query(
            window=window,
            area=self.area,
            tiles=self.tiles or (),
            product_type=self.product_type,
            max_cloud_cover=self.max_cloud_cover,
            product_ids=self.product_ids or (),
        )
        with CopernicusHook(self.copernicus_conn_id).get_conn() as client:
            found = client.catalogue.search(query)
            requests = client.traffic.requests
        products = [product for product in found if product.online]
        offline = [product.stem for product in found if not product.online]
        if self.product_ids and offline:
            message = f"asked for, but offline and not to be had: {', '.join(offline)}."
            raise ProductUnavailableError(message)
        days = window.days if window else sorted({product.sensed.date() for product in products})
        self._tell(products, offline, requests)
        run = run_layout(context)
        records = RunRecords(open_store(self.output_uri or default_output_uri()), run)
        facts = {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "days": [day.isoformat() for day in days],
            "offline": offline,
            "requests": requests,
        }
        keys = records.begin(facts, products)
        return [describe(key, records.products(key)) for key in keys]

    def _tell(self, products: list[Product], offline: list[str], requests: int) -> None:
        self.log.info("%d products found by %d requests.", len(products), requests)
        if not products:
            self.log.info("Nothing to do: the catalogue lists no matching product that is online.")
        if offline:
            self.log.warning("Offline, left out: %s", ", ".join(offline))


class CopernicusDownloadOperator(BaseOperator):
    """Fetches what is missing of a batch of products, verified, into the run's staging folder.

    What already stands in the output, or was staged by an earlier try, is not fetched again. One
    product failing does not keep the others of its batch from being fetched.

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
        run, wanted = run_layout(context), _wanted(self)
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run)
        products = records.products(self.batch["batch"])
        errors: dict[str, str] = {}
        began = time.monotonic()
        with CopernicusHook(self.copernicus_conn_id).get_conn() as client:
            told = progress_of(context)

            def fetch(product: Product) -> None:
                shelf = Shelf(store, run, product, wanted)
                fetched = stage(shelf, client.downloads, told)
                state = "fetched and verified" if fetched else "is there already"
                self.log.info("%s: %s.", product.stem, state)

            try:
                each_product(products, fetch, errors)
            finally:
                moved, seconds = client.traffic, time.monotonic() - began
                attempt = Attempt(moved.requests, moved.bytes, seconds, errors)
                records.add_attempt(self.batch["batch"], context["ti"].try_number, attempt)
                self.log.info(
                    "%d bytes in %d requests and %.1f s.", moved.bytes, moved.requests, seconds
                )


class CopernicusExtractOperator(BaseOperator):
    """Puts the staged files of a batch into place and writes each product's STAC item.

    Out of a staged or kept zip only the wanted members are read. Needs no account.

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
        run, wanted = run_layout(context), _wanted(self)
        store = open_store(self.output_uri or default_output_uri())
        records = RunRecords(store, run)
        delivered: dict[str, Delivered] = {}

        def put(product: Product) -> None:
            files = deliver(Shelf(store, run, product, wanted)).chosen(wanted.bands)
            folder = store.uri(bands_dir(product))
            size_bytes = sum(file.size_bytes for file in files)
            delivered[product.stem] = Delivered(len(files), size_bytes, folder)
            self.log.info("%s: %s", folder, ", ".join(file.name for file in files))

        try:
            each_product(records.products(self.batch["batch"]), put, {})
        finally:
            records.add_delivered(self.batch["batch"], delivered)


class CopernicusPublishOperator(BaseOperator):
    """Writes the run's one-page summary and announces its complete days.

    Each outlet asset gets one event with the complete sensing days as partitions. Fails where
    products are missing and no day is complete; where only some days are, these are announced
    and the returned ``missing`` names the rest.
    """

    template_fields: Sequence[str] = ("output_uri",)
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        output_uri: str | None = None,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the publication.

        Args:
            output_uri: As for the search.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator; `outlets` are the assets to announce.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.output_uri = output_uri

    def execute(self, context: Context) -> dict[str, Any]:
        """Summarise, announce, and return the summary's address and what is missing."""
        store = open_store(self.output_uri or default_output_uri())
        run = run_layout(context)
        records = RunRecords(store, run)
        search = records.search()
        if search is None:
            message = "the search has left no result; look at its log."
            raise NotStagedError(message)
        products, delivered = records.all_products(), records.delivered()
        summary = summarise(search, products, records.attempts(), delivered)
        text = as_text(summary)
        self.log.info("\n%s", text)
        address = records.write_summary(summary, text)
        missing, days = summary["missing"], summary["complete_days"]
        if not missing:
            store.delete(run.staging_dir)
        if missing and not days:
            message = (
                f"{len(missing)} products are missing: {', '.join(missing[:5])}; see {address}"
            )
            raise PermanentError(message)
        for asset in self.outlets:
            event = context["outlet_events"][asset]
            event.add_partitions(days)
            event.extra = {"products": summary["delivered"], "summary": address}
        return {"summary": address, "missing": missing}


def _wanted(operator: CopernicusDownloadOperator | CopernicusExtractOperator) -> Wanted:
    return Wanted(
        bands=tuple(operator.bands),
        transfer=operator.transfer,
        keep_archive=operator.keep_archive,
        overwrite=operator.overwrite,
    )
