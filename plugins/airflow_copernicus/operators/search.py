"""The first step: which products the run's days hold, recorded and handed on in batches."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.allowed_outputs import refuse_shared
from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.hooks.copernicus import CopernicusHook, build_query
from airflow_copernicus.observability import lineage, metrics
from airflow_copernicus.operators.batch_outcomes import describe
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.announcement import DECIDING
from airflow_copernicus.runs.context import (
    is_scheduled,
    open_store,
    refuse_in_backfill,
    refuse_unended,
    refuse_unknown,
    repair_of,
    run_layout,
    search_id,
    sensing_window,
)
from copernicus_dataspace.catalogue.versions import ALL, LATEST, check_versions, choose
from copernicus_dataspace.errors import ConfigurationError, StorageRefusedError
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.ingest.run_summary import left_out_in_words
from copernicus_dataspace.models.bands import check_bands
from copernicus_dataspace.stac.static_catalog import refuse_foreign
from copernicus_dataspace.storage.write_check import check_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.catalogue.search import Catalogue
    from copernicus_dataspace.http.statistics import TransferStatistics
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.storage.store import Store

QUERY_FIELDS: Final = (
    "area",
    "tiles",
    "product_type",
    "max_cloud_cover",
    "first_day",
    "last_day",
    "product_ids",
    "versions",
)
"""Arguments and params that decide which products a run is about."""


class CopernicusSearchOperator(lineage.TellsLineage, BaseOperator):
    """Finds the products of the run's days and hands them on in batches.

    Returns one reference per batch, to be mapped over: ``search`` and ``batch`` (where its record
    lies), ``stamp`` (of this search), ``label`` (its name in the UI) and ``seen`` (where the
    browser link leads). The products themselves are recorded in the output store. A batch is one
    product while products are few.

    Every argument but `connections` and `one_run_at_a_time` is a template field. Products the
    catalogue lists as offline are named in the log and the summary, and left out; so are those
    another version replaces, and rows that cannot be used, which the run is red for at its end. An
    output that lacks what later tasks need is refused here, see `storage.write_check`.
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
        versions: str = LATEST,
        output_uri: str | None = None,
        copernicus_conn_id: str = CopernicusHook.default_conn_name,
        connections: int = 1,
        one_run_at_a_time: bool = False,
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
            versions: ``latest``: of each acquisition the newest processing, and both halves where
                it came in two; ``all``: every one that is listed.
            output_uri: Where the run's records go; None for the project's default.
            copernicus_conn_id: The Airflow Connection.
            connections: Transfers at once of each download task, its `pool_slots`; refused here
                where the account may not have as many, before there are tasks that never start.
            one_run_at_a_time: Whether no other run writes to the output meanwhile, so that a
                storage is good enough that cannot keep two runs apart.
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
        self.versions = versions
        self.bands = bands
        self.output_uri = output_uri
        self.copernicus_conn_id = copernicus_conn_id
        self.connections = connections
        self.one_run_at_a_time = one_run_at_a_time

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Search, record what was found, and return the references."""
        store = open_store(self.output_uri or default_output_uri())
        run = placed(store, run_layout(context))
        search = search_id(context)
        records = RunRecords(store, run, search)
        refuse_unknown(context)
        self._check_output(store, records, run.owner)
        query, repair = self._query(context), repair_of(context)
        with (
            CopernicusHook(self.copernicus_conn_id).get_conn(self.connections) as client,
            metrics.of_transfers(context, client.service.statistics),
        ):
            is_repair, service = repair is not None, client.service
            found, left_out, unusable = self._search(service.catalogue, query, is_repair=is_repair)
            if found:
                service.try_account()
            tries = _tries(service.statistics)
            quota = {"account": service.account_id, "quota_bytes": service.quota_bytes}
        products = [product for product in found if product.online]
        away = [product for product in found if not product.online]
        offline = [product.stem for product in away]
        self._tell(query, products, offline, tries["requests"])
        metrics.of_search(context, len(products), len(offline))
        self.lineage = lineage.Lineage(lineage.products(service.address, products))
        chosen = bool(query.product_ids)
        days = {product.sensed.date() for product in products} if chosen else query.sensed.days
        facts = {
            "dag_id": run.owner,
            "run_id": run.run_id,
            "days": [day.isoformat() for day in sorted(days)],
            "chosen": chosen,
            "standing": is_repair or not chosen,
            "scheduled": is_scheduled(context, self.first_day, self.last_day, chosen),
            "repair": repair,
            "asked": self._asked(),
            "open_days": sorted({product.sensed.date().isoformat() for product in away}),
            "offline": offline,
            "left_out": left_out,
            "unusable": unusable,
            "service": service.address,
            **tries,
            **quota,
        }
        shared = {"search": search, "stamp": uuid.uuid4().hex[:12]}
        return [
            {**shared, "batch": key, **describe(batch)}
            for key, batch in records.begin(facts, products).items()
        ]

    def _check_output(self, store: Store, records: RunRecords, dag_id: str) -> None:
        """Refuse an output that lacks what the run needs, before anything is fetched.

        Raises:
            ConfigurationError: It does, or is not the run's to have.
        """
        if self.one_run_at_a_time:
            refuse_shared(self.output_uri or default_output_uri(), dag_id)
        try:
            refuse_foreign(store)
            records.clear()
            check_store(store, records.folder, one_run_at_a_time=self.one_run_at_a_time)
        except StorageRefusedError as error:
            message = f"output_uri: {error}"
            raise ConfigurationError(message) from error

    def _search(
        self, catalogue: Catalogue, query: Query, *, is_repair: bool
    ) -> tuple[list[Product], list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the wanted products, and in JSON those left out for them and unusable rows.

        What has vanished since an audit asked for it does not keep the rest from being mended.
        """
        versions = ALL if query.product_ids else self.versions
        listed = catalogue.find(query) if is_repair else catalogue.search(query)
        found, others = choose(listed, versions)
        left_out = [one.to_json() for one in others]
        if left_out:
            self.log.info(left_out_in_words(left_out))
        return found, left_out, [row.to_json() for row in listed.unusable]

    def _query(self, context: Context) -> Query:
        with reading(versions=self.versions):
            check_versions(self.versions)
        with reading(product_ids=self.product_ids):
            product_ids = lines(self.product_ids)
        window = None if product_ids else sensing_window(self.first_day, self.last_day, context)
        refuse_in_backfill(context, self.first_day, self.last_day, product_ids)
        if window is not None:
            refuse_unended(window, is_chosen=bool(self.first_day or self.last_day))
            with reading(bands=self.bands, product_type=self.product_type):
                check_bands(lines(self.bands), self.product_type)
        return build_query(
            window=window,
            area=self.area,
            tiles=self.tiles,
            product_type=self.product_type,
            max_cloud_cover=self.max_cloud_cover,
            product_ids=product_ids,
        )

    def _asked(self) -> dict[str, Any]:
        """Return what decides which files of a day are wanted, see `runs.announcement`."""
        area = self.area if isinstance(self.area, str | dict) else self.area and str(self.area)
        return {**{name: getattr(self, name) for name in DECIDING}, "area": area}

    def _tell(
        self, query: Query, products: list[Product], offline: list[str], requests: int
    ) -> None:
        where = ", ".join(query.product_ids or query.tiles) or (query.area and query.area.name)
        self.log.info(
            "Asked for %s, sensed %s, %s, at most %s percent cloud.",
            *(query.product_type, query.sensed, where, query.max_cloud_cover),
        )
        self.log.info("%d products found by %d requests.", len(products), requests)
        if not products:
            self.log.info("Nothing to do: the catalogue lists no matching product that is online.")
        if offline:
            self.log.warning("Offline, left out: %s", ", ".join(offline))


def _tries(statistics: TransferStatistics) -> dict[str, int]:
    return {
        "requests": statistics.requests,
        "retries": statistics.retries,
        "rate_limited": statistics.rate_limited,
    }
