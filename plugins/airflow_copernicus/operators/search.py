"""The search operator: finds and records the products of a run, in batches."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.environment import area_folders, default_output_uri
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading_params, titled
from airflow_copernicus.hooks.copernicus import CopernicusHook, build_query
from airflow_copernicus.links import CopernicusBrowserLink, RunSummaryLink, search_arguments
from airflow_copernicus.observability import lineage, metrics
from airflow_copernicus.operators.batch_outcomes import describe
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.complete_days import COMPLETENESS_SETTINGS
from airflow_copernicus.runs.context import (
    check_days_have_ended,
    check_no_days_in_backfill,
    check_run_conf,
    is_scheduled,
    open_store,
    repair_of,
    run_layout,
    search_id,
    sensing_window,
)
from airflow_copernicus.runs.ingest_registry import check_output_not_shared, register_run
from copernicus_dataspace.catalogue.versions import ALL, LATEST, check_versions, choose
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, StorageRefusedError
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.ingest.run_summary import left_out_in_words, nothing_in_words
from copernicus_dataspace.models.bands import check_bands
from copernicus_dataspace.stac.static_catalog import refuse_foreign
from copernicus_dataspace.storage.write_check import check_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryPolicy

    from airflow_copernicus.config.ingest_settings import Ingest
    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.catalogue.search import Catalogue
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
"""Arguments and params that determine the products of a run."""
_COUNTS: Final = ("requests", "retries", "rate_limited")


class CopernicusSearchOperator(lineage.TellsLineage, BaseOperator):
    """Searches the products of the run's days and groups them in batches.

    Returns one reference per batch, for dynamic task mapping: ``search`` and ``batch`` (ids of its
    record), ``stamp`` (id of this search), ``label`` (map index label) and ``seen`` (arguments of
    the browser link). The products are recorded in the output store. If there are few products,
    each batch has one.

    All arguments up to `copernicus_conn_id` are template fields. Products that are offline or
    superseded are skipped, and listed in the log and the summary; so are invalid catalogue rows,
    which also fail the run at its end. The output is checked for the operations that later tasks
    need, see `storage.write_check`.
    """

    template_fields: Sequence[str] = (*QUERY_FIELDS, "bands", "output_uri", "copernicus_conn_id")
    operator_extra_links = (CopernicusBrowserLink(), RunSummaryLink())
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
        areas_folder: str | Path | None = None,
        allowed_outputs: Sequence[str] = (),
        ingest: Ingest | None = None,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            bands: Only validated here, so that a misspelled band fails before any download.
            area: Name of an area file, GeoJSON, WKT, or ``west,south,east,north`` in degrees.
            tiles: MGRS tiles; with an area, products must match both.
            product_type: ``S2MSI2A`` or ``S2MSI1C``.
            max_cloud_cover: Percent, inclusive; None for no limit.
            first_day: First UTC sensing day, ``YYYY-MM-DD``; None for the run's own day.
            last_day: Last UTC sensing day, inclusive; a single date covers that day.
            product_ids: Ids or names of products; all other filters are then ignored.
            versions: ``latest`` for the newest version of each acquisition, with all its parts;
                ``all`` for every version in the catalogue.
            output_uri: URI of the output store; None for the default.
            copernicus_conn_id: The Airflow Connection.
            connections: `pool_slots` of the download tasks; checked here against the limit of the
                account, because tasks with too many slots would never start.
            one_run_at_a_time: Whether no other run writes to the output; then storage without
                conditional writes is allowed.
            areas_folder: Folder in which area files are looked up first; None for that of the DAG
                file.
            allowed_outputs: Outputs that runs may write to, besides those of the installation.
            ingest: Registered in its output if the run has the same area, see
                `runs.ingest_registry`.
            retry_policy: Decides about retries by the class of the error.
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
        self.areas_folder = areas_folder
        self.allowed_outputs = allowed_outputs
        self.ingest = ingest
        self.seen: list[Any] = []

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Search, record the products, and return the references."""
        store = open_store(self.output_uri or default_output_uri(), self.allowed_outputs)
        run = placed(store, run_layout(context))
        search = search_id(context)
        records = RunRecords(store, run, search)
        check_run_conf(context)
        self._check_output(store, records, run.owner)
        query, repair = self._query(context), repair_of(context)
        if self.ingest is not None:
            place = self.output_uri or default_output_uri()
            register_run(store, self.ingest, output_uri=place, area=self.area, query=query)
        with (
            CopernicusHook(self.copernicus_conn_id).get_conn(self.connections) as client,
            metrics.record_transfers(context, client.service.statistics),
        ):
            is_repair, service = repair is not None, client.service
            found, left_out, unusable = self._search(service.catalogue, query, is_repair=is_repair)
            if found:
                service.try_account()
            filtered_out = None if found else self._filtered_out(service.catalogue, query)
            counts = {name: getattr(service.statistics, name) for name in _COUNTS}
            quota = {"account": service.account_id, "quota_bytes": service.quota_bytes}
        self.seen = search_arguments(query, found)
        products = [product for product in found if product.online]
        offline_products = [product for product in found if not product.online]
        offline = [product.stem for product in offline_products]
        metrics.record_search(context, len(products), len(offline))
        self.lineage = lineage.Lineage(lineage.product_datasets(service.address, products))
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
            "asked": self._completeness_settings(),
            "open_days": sorted(
                {product.sensed.date().isoformat() for product in offline_products}
            ),
            "offline": offline,
            "left_out": left_out,
            "filtered_out": filtered_out,
            "unusable": unusable,
            "service": service.address,
            **counts,
            **quota,
        }
        self._log_result(query, len(products), facts)
        shared = {"search": search, "stamp": uuid.uuid4().hex[:12]}
        return [
            {**shared, "batch": key, **describe(batch)}
            for key, batch in records.begin(facts, products).items()
        ]

    def _check_output(self, store: Store, records: RunRecords, dag_id: str) -> None:
        """Check the output before any download.

        Raises:
            ConfigurationError: It lacks a required operation, or belongs to something else.
        """
        if self.one_run_at_a_time:
            check_output_not_shared(store, dag_id)
        try:
            refuse_foreign(store)
            records.clear()
            check_store(store, records.folder, one_run_at_a_time=self.one_run_at_a_time)
        except StorageRefusedError as error:
            message = titled(str(error), {"output_uri": self.output_uri})
            raise ConfigurationError(message) from error

    def _search(
        self, catalogue: Catalogue, query: Query, *, is_repair: bool
    ) -> tuple[list[Product], list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the selected products, and as JSON the superseded ones and the invalid rows.

        A repair ignores products that have been deleted upstream since the audit.
        """
        versions = ALL if query.product_ids else self.versions
        listed = catalogue.find(query) if is_repair else catalogue.search(query)
        found, others = choose(listed, versions)
        left_out = [record.to_json() for record in others]
        if left_out:
            self.log.info(left_out_in_words(left_out))
        return found, left_out, [row.to_json() for row in listed.unusable]

    def _query(self, context: Context) -> Query:
        with reading_params(versions=self.versions):
            check_versions(self.versions)
        with reading_params(product_ids=self.product_ids):
            product_ids = lines(self.product_ids)
        days = {"first_day": self.first_day, "last_day": self.last_day}
        window = None if product_ids else sensing_window(**days, context=context)
        with reading_params(**days, product_ids=product_ids):
            check_no_days_in_backfill(context, *days.values(), product_ids)
        if window is not None:
            with reading_params(**days):
                check_days_have_ended(window, is_chosen=any(days.values()))
            with reading_params(bands=self.bands, product_type=self.product_type):
                check_bands(lines(self.bands), self.product_type)
        return build_query(
            window=window,
            area=self.area,
            tiles=self.tiles,
            product_type=self.product_type,
            max_cloud_cover=self.max_cloud_cover,
            product_ids=product_ids,
            folders=area_folders(self._areas_folder()),
        )

    def _areas_folder(self) -> Path | None:
        if self.areas_folder:
            return Path(self.areas_folder)
        return Path(self.dag.fileloc).parent if self.has_dag() else None  # type: ignore[no-untyped-call]

    def _completeness_settings(self) -> dict[str, Any]:
        """Return the settings that determine a complete day, see `runs.complete_days`."""
        area = self.area if isinstance(self.area, str | dict) else self.area and str(self.area)
        return {**{name: getattr(self, name) for name in COMPLETENESS_SETTINGS}, "area": area}

    def _filtered_out(self, catalogue: Catalogue, query: Query) -> dict[str, Any] | None:
        """Return as JSON what the filters exclude; None if that cannot be counted at present."""
        try:
            filtered_out = catalogue.filtered_out(query)
        except DataSpaceError as error:
            self.log.warning("The products that the filters exclude were not counted: %s", error)
            return None
        return filtered_out and filtered_out._asdict()

    def _log_result(self, query: Query, products: int, facts: dict[str, Any]) -> None:
        place = ", ".join(query.product_ids or query.tiles) or (query.area and query.area.name)
        self.log.info(
            "Searched for %s, sensed %s, %s, maximum cloud cover %s %%.",
            *(query.product_type, query.sensed, place, query.max_cloud_cover),
        )
        self.log.info("Found %d products with %d requests.", products, facts["requests"])
        if not products:
            self.log.info(nothing_in_words(facts))
        if facts["offline"]:
            self.log.warning("Skipped, because they are offline: %s", ", ".join(facts["offline"]))
