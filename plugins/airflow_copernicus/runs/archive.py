"""Knows what an ingest's archive is: its place, what it wants, and who may change it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.config.ingest_files import file_of, files_in
from airflow_copernicus.config.ingests import read_in_task
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.hooks.copernicus import build_query
from airflow_copernicus.runs.context import open_store, run_layout
from copernicus_dataspace.errors import UNREADABLE, ConfigurationError, NotStagedError
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.reconcile.inspection.findings import Terms
from copernicus_dataspace.reconcile.repair import Policies, Repairer
from copernicus_dataspace.reconcile.report import changes
from copernicus_dataspace.reconcile.report_files import ReportFiles
from copernicus_dataspace.stac.delivered_files import text_of, texts_of
from copernicus_dataspace.stac.static_catalog import refuse_foreign
from copernicus_dataspace.storage.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_copernicus.config.ingests import Ingest
    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.models.time_range import Window
    from copernicus_dataspace.reconcile.repair import RepairResult
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_MOST_EVENTS: Final = 500
"""Airflow maps over 1024 at most."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of one ingest, as a run that keeps it true sees it.

    Attributes:
        ingest: What its file says.
        known: Ids of all ingests of that folder.
        store: Where it lies.
        run: The run, and its places there.
        context: Of the running task.
    """

    ingest: Ingest
    known: frozenset[str]
    store: Store
    run: RunLayout
    context: Mapping[str, Any]

    @classmethod
    def chosen(
        cls, ingest_file: str, ingests: Sequence[str] | None, context: Mapping[str, Any]
    ) -> Self:
        """Return the archive of an ingest file.

        Raises:
            ConfigurationError: An ingest is chosen that is none, or whose file cannot be used.
            AirflowSkipException: Other ingests are chosen; or all are, and the file cannot be used.
        """
        with reading(ingests=ingests):
            file, wanted = file_of(Path(ingest_file)), lines(ingests)
        known = {one.dag_id for one in files_in(file.path.parent)}
        if set(wanted) - known:
            message = f"ingests: there is no {', '.join(sorted(set(wanted) - known))}; there are "
            raise ConfigurationError(message + ", ".join(sorted(known)))
        if wanted and file.dag_id not in wanted:
            message = f"{file.dag_id} is not among the chosen ingests: {', '.join(wanted)}."
            raise AirflowSkipException(message)
        try:
            ingest = read_in_task(file.path)
        except ConfigurationError as error:
            if wanted:
                message = f"ingests: {file.dag_id} is chosen, but is broken: {error}"
                raise ConfigurationError(message) from error
            logger.warning("%s is broken and left out: %s", file.dag_id, error)
            message = f"{file.dag_id} is broken: {error}"
            raise AirflowSkipException(message) from error
        store = open_store(ingest.defaults["output_uri"])
        refuse_foreign(store)
        run = placed(store, run_layout(context))
        return cls(ingest, frozenset(known), store, run, context)

    @classmethod
    def named(cls, folder: str, ingest: str, context: Mapping[str, Any]) -> Self:
        """Return the archive of an ingest of a folder, by its DAG id.

        Raises:
            ConfigurationError: There is no such ingest, or its file cannot be used.
        """
        files = {file.dag_id: file.path for file in files_in(Path(folder))}
        if not isinstance(ingest, str) or ingest not in files:
            message = f"ingest: there is no {ingest!r}; there are {', '.join(sorted(files))}."
            raise ConfigurationError(message)
        return cls.chosen(str(files[ingest]), [ingest], context)

    @property
    def began(self) -> datetime:
        """When the run began; what it does hours later belongs to the same night."""
        return getattr(self.context["dag_run"], "start_date", None) or utc_now()

    @property
    def policies(self) -> Policies:
        """What becomes of products that should no longer be held."""
        return Policies(self.ingest.superseded, self.ingest.withdrawn)

    @property
    def is_switched_off(self) -> bool:
        """Whether the ingest's DAG is paused: its runs would wait for ever."""
        get_dag = getattr(self.context["ti"], "get_dag", None)
        return bool(get_dag and get_dag(self.ingest.dag_id).is_paused)

    @property
    def terms(self) -> Terms:
        """What is wanted of each product."""
        asked = self.ingest.defaults
        return Terms(
            ingest=self.ingest.dag_id,
            product_type=asked["product_type"],
            bands=lines(asked["bands"]),
            versions=asked["versions"],
            keep_archive=asked["keep_archive"],
            delay=self.ingest.timetable.publication_delay,
            known=self.known,
        )

    @property
    def area(self) -> str:
        """Where it is, in words."""
        area, tiles = self.ingest.defaults["area"], lines(self.ingest.defaults["tiles"])
        named = area if isinstance(area, str) else "an area of its own" if area else ""
        return ", ".join(filter(None, (named, *tiles)))

    @property
    def files(self) -> ReportFiles:
        """Its reports, and what it remembers."""
        return ReportFiles(self.store, self.ingest.dag_id)

    @property
    def folder(self) -> str:
        """Folder of what this run notes about it."""
        return f"{self.run.records_dir}/{self.run.name_of(self.ingest.dag_id)}"

    @property
    def plan_path(self) -> str:
        """Path of the audit's plan."""
        return f"{self.folder}/plan.json"

    @property
    def changes_path(self) -> str:
        """Path of what the run has replaced and withdrawn, by day."""
        return f"{self.folder}/changes.json"

    @property
    def question_path(self) -> str:
        """Path of the removals that the run asks for."""
        return f"{self.folder}/question.json"

    def write_changes(self, outcomes: Iterable[RepairResult]) -> list[dict[str, Any]]:
        """Write what was replaced and withdrawn; return where to read it, for each day."""
        changed = changes(outcomes)
        self.store.write(self.changes_path, json.dumps(changed, indent=1).encode())
        output_uri = self.ingest.defaults["output_uri"]
        return [
            {"days": days, "output_uri": output_uri, "path": self.changes_path}
            for days in shared_out(sorted(changed))
        ]

    def query(self, window: Window) -> Query:
        """Return what the catalogue is asked for."""
        asked = self.ingest.defaults
        return build_query(
            window=window,
            area=asked["area"],
            tiles=asked["tiles"],
            product_type=asked["product_type"],
            max_cloud_cover=asked["max_cloud_cover"],
            product_ids=(),
        )

    def repairer(self) -> Repairer:
        """Return what changes it; its leases are not those of the run's other archives."""
        own = replace(self.run, run_id=f"{self.run.run_id} {self.ingest.dag_id}")
        return Repairer(self.store, Leases(self.store, own), self.terms, datetime.now(UTC))


def read_changes(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was ``replaced`` and ``withdrawn`` on days, as of `Archive.write_changes`.

    Raises:
        NotStagedError: It is not there, or is damaged.
    """
    store = open_store(change["output_uri"])
    try:
        by_day = json.loads(store.read(change["path"]) or b"")
        changes = [by_day[day] for day in change["days"]]
        return {
            "replaced": {
                text_of(old): list(texts_of(new))
                for one in changes
                for old, new in one["replaced"].items()
            },
            "withdrawn": [gone for one in changes for gone in texts_of(one["withdrawn"])],
        }
    except UNREADABLE as error:
        message = (
            f"{store.uri(change['path'])} is not there or is damaged, so that what changed on "
            f"{', '.join(change['days'])} is not known: clear the task that wrote it."
        )
        raise NotStagedError(message) from error


def shared_out(days: Sequence[str]) -> list[list[str]]:
    """Return the days one by one, or, where they are very many, several at a time."""
    size = max(1, -(-len(days) // _MOST_EVENTS))
    return [list(days[start : start + size]) for start in range(0, len(days), size)]
