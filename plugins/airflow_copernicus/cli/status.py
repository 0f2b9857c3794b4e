"""The command `airflow copernicus status`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from airflow.cli.simple_table import AirflowConsole

from airflow_copernicus.runs.stored_reports import known_ingests
from airflow_copernicus.ui.paused_dags import alarms, notes, unpaused_dags
from copernicus_dataspace.reports.wording import PERIODS

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

_COLUMNS: Final = {f"{days} days": number for number, days in enumerate(PERIODS)}


def status(args: Namespace) -> None:
    """Print the latest report of each ingest as a table."""
    # As Airflow's own commands do; otherwise connections in the database are not found.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    known, unpaused = known_ingests(), unpaused_dags()
    AirflowConsole().print_as(data=[_columns(row) for row in known.rows()], output=args.output)
    for line in (*alarms(unpaused), *notes(unpaused), *known.unreadable):
        sys.stderr.write(f"{line}\n")


def _columns(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of a row, as on the page `Sentinel-2 archive`."""
    shares = row.get("shares", [""] * len(_COLUMNS))
    result = row.get("why") or " ".join(filter(None, (row["verdict"], row["approval"])))
    return {
        "ingest": row["ingest"],
        "last day": row.get("last_day", ""),
        **{name: shares[number] for name, number in _COLUMNS.items()},
        "result": result,
        "created": row.get("made", ""),
    }
