"""Stores the reports, history, removal record and decisions of an ingest in the archive."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.json_records import read_json, write_json
from copernicus_dataspace.reconcile.inspection.history import History
from copernicus_dataspace.reconcile.removals.record import RemovalRecord
from copernicus_dataspace.reconcile.removals.requests import Decision
from copernicus_dataspace.reports.html_page import html
from copernicus_dataspace.storage.layout import folder_name, reports_dir, run_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copernicus_dataspace.storage.store import Store

_CHRONICLE: Final = "chronicle.json"
_LATEST: Final = "latest"
_REMOVALS: Final = "removals.json"
_ANSWERS: Final = "answers"
_KEPT: Final = 400
"""Number of reports to keep: a year of daily reports, and some manual ones."""


def answer_names(run_id: str) -> tuple[str, str]:
    """Return the file names of the decision for an approval run: current and earlier versions."""
    return f"{run_name(run_id)}.json", f"{folder_name(run_id)}.json"


class ReportFiles:
    """The report files of one ingest."""

    def __init__(self, store: Store, ingest: str) -> None:
        """Use the ingest's folder."""
        self._store = store
        self._dir = reports_dir(ingest)

    def history(self, now: datetime) -> History:
        """Return the history until now."""
        return History.read(self._store.read(f"{self._dir}/{_CHRONICLE}")).until(now)

    def write(self, name: str, report: Mapping[str, Any]) -> str:
        """Write a report as JSON and HTML; return the URI of the HTML page."""
        self._store.write(f"{self._dir}/{name}.json", write_json(report, indent=1))
        self._store.write(f"{self._dir}/{name}.html", html(report).encode())
        return self._store.uri(f"{self._dir}/{name}.html")

    def write_latest(self, report: Mapping[str, Any]) -> None:
        """Write a report as the latest one; remove the oldest ones."""
        self.write(_LATEST, report)
        for old in self._old(datetime.fromisoformat(report["made"])):
            self._store.delete(f"{self._dir}/{old}")

    def remember(self, history: History) -> None:
        """Store the history for the next inspection."""
        self._store.write(f"{self._dir}/{_CHRONICLE}", history.to_bytes())

    def removals(self, now: datetime) -> RemovalRecord:
        """Return the removal record, see `RemovalRecord.read`."""
        return RemovalRecord.read(self._store.read(f"{self._dir}/{_REMOVALS}"), now)

    def remember_removals(self, removals: RemovalRecord) -> None:
        """Store the removal record."""
        self._store.write(f"{self._dir}/{_REMOVALS}", removals.to_bytes())

    def write_answer(self, run_id: str, answer: Decision) -> None:
        """Store the decision of an approval run."""
        path = f"{self._dir}/{_ANSWERS}/{answer_names(run_id)[0]}"
        self._store.write(path, answer.to_bytes())

    def answers(self) -> dict[str, Decision | None]:
        """Return the stored decisions by file name; None for a damaged one."""
        names = sorted(self._store.sizes(f"{self._dir}/{_ANSWERS}"))
        contents = {name: self._store.read(f"{self._dir}/{_ANSWERS}/{name}") for name in names}
        return {name: Decision.read(content) for name, content in contents.items()}

    def forget_answers(self, names: Iterable[str]) -> None:
        """Remove decisions that the removal record includes."""
        for name in names:
            self._store.delete(f"{self._dir}/{_ANSWERS}/{name}")

    def note_approval(self, **facts: Any) -> None:
        """Update the approval state of the latest report."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            report = read_json(self._store.read(f"{self._dir}/{_LATEST}.json"), dict[str, Any])
            before = {"answer": "", **report["approval"]}
            if before != before | facts:
                self.write(_LATEST, {**report, "approval": before | facts})

    def _old(self, now: datetime) -> list[str]:
        """Return the files of the oldest reports, and of those from a clock far ahead.

        Reports less than a year ahead are kept and not counted: this clock may be behind.
        """
        names = sorted(self._store.sizes(self._dir))
        dated = {name.partition(".")[0] for name in names if name[:1].isdigit()}
        latest, far = (f"{now + timedelta(days=days):%Y-%m-%d}" for days in (1, 365))
        known = sorted(name for name in dated if name <= latest)
        gone = {*known[:-_KEPT], *(name for name in dated if name > far)}
        return [name for name in names if name.partition(".")[0] in gone]
