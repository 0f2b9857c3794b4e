"""Keeps an ingest's reports, and what it remembers, beside the archive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dataspace.chronicle import Chronicle
from dataspace.layout import reports_dir
from dataspace.report_page import html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataspace.store import Store

_CHRONICLE: Final = "chronicle.json"
_LATEST: Final = "latest"
_KEPT: Final = 400
"""A year of daily reports, and some by hand."""


class ReportFiles:
    """The reports of one ingest."""

    def __init__(self, store: Store, ingest: str) -> None:
        """Use the ingest's folder."""
        self._store = store
        self._dir = reports_dir(ingest)

    def chronicle(self) -> Chronicle:
        """Return what is remembered."""
        return Chronicle.read(self._store.read(f"{self._dir}/{_CHRONICLE}"))

    def write(self, name: str, report: Mapping[str, Any]) -> str:
        """Write a report as JSON and as a page; return the address of the page."""
        self._store.write(f"{self._dir}/{name}.json", json.dumps(report, indent=1).encode())
        self._store.write(f"{self._dir}/{name}.html", html(report).encode())
        return self._store.uri(f"{self._dir}/{name}.html")

    def write_latest(self, report: Mapping[str, Any]) -> None:
        """Write a report as the one that people look at; remove the oldest ones."""
        self.write(_LATEST, report)
        for old in self._old():
            self._store.delete(f"{self._dir}/{old}")

    def remember(self, chronicle: Chronicle) -> None:
        """Keep a chronicle for the next audit."""
        self._store.write(f"{self._dir}/{_CHRONICLE}", chronicle.to_bytes())

    def _old(self) -> list[str]:
        names = sorted(self._store.sizes(self._dir))
        dated = {name.partition(".")[0] for name in names if name[:1].isdigit()}
        gone = sorted(dated)[:-_KEPT]
        return [name for name in names if name.partition(".")[0] in gone]
