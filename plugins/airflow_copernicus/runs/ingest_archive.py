"""The archive of an ingest, as seen by the reconcile and approval DAGs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException

from airflow_copernicus.config.ingest_settings import INGEST_TAG
from airflow_copernicus.config.params import lines
from airflow_copernicus.hooks.copernicus import build_query
from airflow_copernicus.runs.context import open_store, run_layout
from airflow_copernicus.runs.ingest_registry import FOLDER as REGISTRY
from airflow_copernicus.runs.ingest_registry import read_with_area, registered_ingests
from copernicus_dataspace.errors import NotStagedError
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.json_records import read_json, to_json, write_json
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.reconcile.inspection.findings import Terms
from copernicus_dataspace.reconcile.repair import Policies, Repairer
from copernicus_dataspace.reconcile.report import Changes, changes
from copernicus_dataspace.reconcile.report_files import ReportFiles
from copernicus_dataspace.stac.static_catalog import refuse_foreign
from copernicus_dataspace.storage.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_copernicus.config.ingest_settings import Ingest
    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.geometry.area import Area
    from copernicus_dataspace.models.time_range import Window
    from copernicus_dataspace.reconcile.repair import RepairResult
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

MAX_LISTED_CHANGES: Final = 100
"""Maximum products in the extra of an asset event, which is stored for each changed day."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of an ingest within a reconcile or approval run.

    Attributes:
        ingest: Settings of the ingest.
        area: Its area; None if it has only tiles.
        known: DAG ids of all ingests of the output.
        store: The output store.
        run: The run and its paths in the store.
        context: Context of the running task.
    """

    ingest: Ingest
    area: Area | None
    known: frozenset[str]
    store: Store
    run: RunLayout
    context: Mapping[str, Any]

    @classmethod
    def open(
        cls, ingest: Mapping[str, str], context: Mapping[str, Any], allowed_outputs: Iterable[str]
    ) -> Self:
        """Open the archive of a registered ingest.

        Args:
            ingest: ``dag_id`` and ``output_uri``, see `runs.outputs`.
            context: Context of the running task.
            allowed_outputs: Outputs that the author of the DAG allows.

        Raises:
            ConfigurationError: The ingest is not registered, or its settings are invalid.
            AirflowSkipException: This Airflow has no such ingest DAG.
        """
        dag_id, output_uri = ingest["dag_id"], ingest["output_uri"]
        store = open_store(output_uri, allowed_outputs)
        refuse_foreign(store)
        found, area = read_with_area(store, dag_id, output_uri)
        if not _is_ingest_dag(context["ti"], dag_id):
            message = (
                f"there is no ingest DAG {dag_id} in this Airflow. If it was deleted, also delete "
                f"its record in {store.uri(REGISTRY)}."
            )
            raise AirflowSkipException(message)
        run = placed(store, run_layout(context))
        return cls(found, area, registered_ingests(store), store, run, context)

    @property
    def began(self) -> datetime:
        """Start time of the run; limits per night refer to it, however long the run takes."""
        return getattr(self.context["dag_run"], "start_date", None) or utc_now()

    @property
    def policies(self) -> Policies:
        """How superseded and withdrawn products are removed."""
        return Policies(self.ingest.superseded, self.ingest.withdrawn)

    @property
    def is_switched_off(self) -> bool:
        """Whether the ingest's DAG is paused, so that its runs would not start."""
        get_dag = getattr(self.context["ti"], "get_dag", None)
        return bool(get_dag and get_dag(self.ingest.dag_id).is_paused)

    @property
    def terms(self) -> Terms:
        """The settings that determine the wanted products and files."""
        params = self.ingest.defaults
        return Terms(
            ingest=self.ingest.dag_id,
            product_type=params["product_type"],
            bands=lines(params["bands"]),
            versions=params["versions"],
            keep_archive=params["keep_archive"],
            delay=self.ingest.timetable.publication_delay,
            known=self.known,
        )

    @property
    def place(self) -> str:
        """Area and tiles, as text for reports."""
        area, tiles = self.ingest.defaults["area"], lines(self.ingest.defaults["tiles"])
        named = area if isinstance(area, str) else "custom geometry" if area else ""
        return ", ".join(filter(None, (named, *tiles)))

    @property
    def files(self) -> ReportFiles:
        """Reports and stored state of the archive."""
        return ReportFiles(self.store, self.ingest.dag_id)

    @property
    def folder(self) -> str:
        """Folder of this run's records about the archive."""
        return f"{self.run.records_dir}/{self.run.name_of(self.ingest.dag_id)}"

    @property
    def plan_path(self) -> str:
        """Path of the plan of the audit."""
        return f"{self.folder}/plan.json"

    @property
    def changes_path(self) -> str:
        """Path of the products replaced and withdrawn by the run, by day."""
        return f"{self.folder}/changes.json"

    @property
    def question_path(self) -> str:
        """Path of the removals for which the run requests approval."""
        return f"{self.folder}/question.json"

    def write_changes(self, results: Iterable[RepairResult]) -> dict[str, Any] | None:
        """Write the replaced and withdrawn products by day; return a reference, None if none."""
        changed = changes(results)
        self.store.write(self.changes_path, write_json(changed, indent=1))
        if not changed:
            return None
        output_uri = self.ingest.defaults["output_uri"]
        return {"days": sorted(changed), "output_uri": output_uri, "path": self.changes_path}

    def query(self, window: Window) -> Query:
        """Return the catalogue query for a window."""
        params = self.ingest.defaults
        return build_query(
            window=window,
            area=self.area,
            tiles=params["tiles"],
            product_type=params["product_type"],
            max_cloud_cover=params["max_cloud_cover"],
            product_ids=(),
        )

    def repairer(self) -> Repairer:
        """Return the repairer, whose leases differ from those of the run's other archives."""
        own = replace(self.run, run_id=f"{self.run.run_id} {self.ingest.dag_id}")
        return Repairer(self.store, Leases(self.store, own), self.terms, datetime.now(UTC))


def event_extra(change: Mapping[str, Any], allowed_outputs: Iterable[str] = ()) -> dict[str, Any]:
    """Return the extra of the asset events for a result of `Archive.write_changes`.

    ``replaced`` (ids of the successors, by the id of each removed product) and ``withdrawn`` (ids)
    of all days; both are left out if they are many. ``changes`` refers to the complete list.

    Raises:
        NotStagedError: The list is missing or damaged.
    """
    changed = _read_changes(change, allowed_outputs)
    is_short = len(changed.replaced) + len(changed.withdrawn) <= MAX_LISTED_CHANGES
    return {**(to_json(changed) if is_short else {}), "changes": {**change}}


def removed_ids(extra: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an asset event lists as replaced or withdrawn.

    Raises:
        NotStagedError: The list that the event refers to is missing or damaged.
    """
    if "replaced" not in extra and "changes" in extra:
        extra = to_json(_read_changes(extra["changes"], ()))
    return {*extra.get("replaced", ()), *extra.get("withdrawn", ())}


def _read_changes(change: Mapping[str, Any], allowed_outputs: Iterable[str]) -> Changes:
    store = open_store(change["output_uri"], allowed_outputs)
    try:
        by_day = read_json(store.read(change["path"]), dict[str, Changes])
        changed = [by_day[day] for day in change["days"]]
    except (ValueError, KeyError) as error:
        message = (
            f"{store.uri(change['path'])} is missing or damaged, so the changes on "
            f"{', '.join(change['days'])} are unknown: clear the task that wrote it."
        )
        raise NotStagedError(message) from error
    return Changes(
        replaced={old: new for day in changed for old, new in day.replaced.items()},
        withdrawn=[product_id for day in changed for product_id in day.withdrawn],
    )


def _is_ingest_dag(ti: Any, dag_id: str) -> bool:
    """Return whether Airflow has an ingest DAG of this id; anybody may write to the registry."""
    if not hasattr(ti, "get_dag"):  # outside Airflow
        return True
    try:
        return INGEST_TAG in ti.get_dag(dag_id).tags
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:
            return False
        raise
