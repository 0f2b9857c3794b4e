"""The archive of an ingest, as seen by the reconcile and approval DAGs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.config.ingest_files import file_of, files_in
from airflow_copernicus.config.ingest_settings import read_in_task
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.hooks.copernicus import build_query
from airflow_copernicus.runs.context import open_store, run_layout
from copernicus_dataspace.errors import ConfigurationError, NotStagedError
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.json_records import read_json, write_json
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.reconcile.inspection.findings import Terms
from copernicus_dataspace.reconcile.repair import Policies, Repairer
from copernicus_dataspace.reconcile.report import Changes, changes
from copernicus_dataspace.reconcile.report_files import ReportFiles
from copernicus_dataspace.stac.static_catalog import refuse_foreign
from copernicus_dataspace.storage.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_copernicus.config.ingest_settings import Ingest
    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.models.time_range import Window
    from copernicus_dataspace.reconcile.repair import RepairResult
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_MAX_EVENTS: Final = 500
"""Below Airflow's maximum of 1024 mapped tasks."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of an ingest within a reconcile or approval run.

    Attributes:
        ingest: Settings of the ingest.
        known: DAG ids of all ingests in the folder.
        store: The output store.
        run: The run and its paths in the store.
        context: Context of the running task.
    """

    ingest: Ingest
    known: frozenset[str]
    store: Store
    run: RunLayout
    context: Mapping[str, Any]

    @classmethod
    def of_file(
        cls, ingest_file: str, ingests: Sequence[str] | None, context: Mapping[str, Any]
    ) -> Self:
        """Return the archive of an ingest file.

        Raises:
            ConfigurationError: `ingests` names an unknown ingest, or one with an invalid file.
            AirflowSkipException: `ingests` does not include this one; or it is empty, and the file
                is invalid.
        """
        with reading(ingests=ingests):
            file, wanted = file_of(Path(ingest_file)), lines(ingests)
        known = {other.dag_id for other in files_in(file.path.parent)}
        if set(wanted) - known:
            unknown = ", ".join(sorted(set(wanted) - known))
            message = f"ingests: unknown ingest {unknown}; known ingests: "
            raise ConfigurationError(message + ", ".join(sorted(known)))
        if wanted and file.dag_id not in wanted:
            message = f"{file.dag_id} is not among the selected ingests: {', '.join(wanted)}."
            raise AirflowSkipException(message)
        try:
            ingest = read_in_task(file.path)
        except ConfigurationError as error:
            if wanted:
                message = f"ingests: {file.dag_id} is selected, but its file is invalid: {error}"
                raise ConfigurationError(message) from error
            logger.warning("%s is skipped, because its file is invalid: %s", file.dag_id, error)
            message = f"the file of {file.dag_id} is invalid: {error}"
            raise AirflowSkipException(message) from error
        store = open_store(ingest.defaults["output_uri"])
        refuse_foreign(store)
        run = placed(store, run_layout(context))
        return cls(ingest, frozenset(known), store, run, context)

    @classmethod
    def of_dag_id(cls, folder: str, ingest: str, context: Mapping[str, Any]) -> Self:
        """Return the archive of an ingest of a folder, by its DAG id.

        Raises:
            ConfigurationError: The ingest does not exist, or its file is invalid.
        """
        files = {file.dag_id: file.path for file in files_in(Path(folder))}
        if not isinstance(ingest, str) or ingest not in files:
            message = (
                f"ingest: unknown ingest {ingest!r}; known ingests: {', '.join(sorted(files))}."
            )
            raise ConfigurationError(message)
        return cls.of_file(str(files[ingest]), [ingest], context)

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
    def area(self) -> str:
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

    def write_changes(self, results: Iterable[RepairResult]) -> list[dict[str, Any]]:
        """Write the replaced and withdrawn products; return references by day."""
        changed = changes(results)
        self.store.write(self.changes_path, write_json(changed, indent=1))
        output_uri = self.ingest.defaults["output_uri"]
        return [
            {"days": days, "output_uri": output_uri, "path": self.changes_path}
            for days in group_days(sorted(changed))
        ]

    def query(self, window: Window) -> Query:
        """Return the catalogue query for a window."""
        params = self.ingest.defaults
        return build_query(
            window=window,
            area=params["area"],
            tiles=params["tiles"],
            product_type=params["product_type"],
            max_cloud_cover=params["max_cloud_cover"],
            product_ids=(),
        )

    def repairer(self) -> Repairer:
        """Return the repairer, whose leases differ from those of the run's other archives."""
        own = replace(self.run, run_id=f"{self.run.run_id} {self.ingest.dag_id}")
        return Repairer(self.store, Leases(self.store, own), self.terms, datetime.now(UTC))


def read_changes(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the products ``replaced`` and ``withdrawn``, from a result of `Archive.write_changes`.

    Raises:
        NotStagedError: The file is missing or damaged.
    """
    store = open_store(change["output_uri"])
    try:
        by_day = read_json(store.read(change["path"]), dict[str, Changes])
        changes = [by_day[day] for day in change["days"]]
    except (ValueError, KeyError) as error:
        message = (
            f"{store.uri(change['path'])} is missing or damaged, so the changes on "
            f"{', '.join(change['days'])} are unknown: clear the task that wrote it."
        )
        raise NotStagedError(message) from error
    return {
        "replaced": {old: new for day in changes for old, new in day.replaced.items()},
        "withdrawn": [product_id for day in changes for product_id in day.withdrawn],
    }


def group_days(days: Sequence[str]) -> list[list[str]]:
    """Group days, one per group if there are at most `_MAX_EVENTS`."""
    size = max(1, -(-len(days) // _MAX_EVENTS))
    return [list(days[start : start + size]) for start in range(0, len(days), size)]
