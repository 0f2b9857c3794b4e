"""Summarises a failed or late run for a notification, as far as its records are available.

Airflow passes less context to callbacks than to tasks: the run as an object or as JSON, and no
params.
"""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.sdk.configuration import conf

from airflow_copernicus.config.environment import default_output_uri, ingests_folder
from airflow_copernicus.config.ingest_files import find
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.config.params import PARAMS, lines
from airflow_copernicus.runs.context import check_days_have_ended, open_store, sensing_window
from airflow_copernicus.runs.outputs import find_ingest
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.ingest.run_summary import summarise
from copernicus_dataspace.storage.layout import RunLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

SEARCH: Final = "search"
"""Task id of the search task."""

MAX_LISTED: Final = 20
"""Missing products listed in a report; the summary lists all."""
_TIMES: Final = ("logical_date", "data_interval_start", "data_interval_end", "run_after")
_NOT_FETCHED: Final = "not downloaded"


def report(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a callback's run as JSON values.

    ``dag_id``, ``run_id``, ``days``, ``period`` (the days as text), ``products`` and ``delivered``
    (numbers), ``missing`` (the first few names with reasons), ``missing_count``, ``summary`` (its
    URI), ``url`` (of the run in the UI) and ``note`` (why details are not available).
    """
    run = _run(context)
    known: dict[str, Any] = {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "days": [],
        "products": 0,
        "delivered": 0,
        "missing": [],
        "missing_count": 0,
        "summary": None,
        "url": _url(run),
        "note": "",
    }
    try:
        settings = _settings(run)
        known["days"] = _days(run, settings)
        known |= _delivery_state(run, settings["output_uri"] or default_output_uri())
    except Exception as error:  # noqa: BLE001 - an alert with fewer details is better than none
        known["note"] = f"{type(error).__name__}: {error}"
    return {**known, "period": _period(known["days"])}


def _run(context: Mapping[str, Any]) -> Any:
    run = context.get("dag_run")
    if run is None:
        return SimpleNamespace(dag_id=context["dag"].dag_id, run_id=context["run_id"], conf={})
    if not isinstance(run, dict):
        return run
    times = {name: datetime.fromisoformat(run[name]) if run[name] else None for name in _TIMES}
    return SimpleNamespace(**{**run, **times, "run_id": run["dag_run_id"]})


def _settings(run: Any) -> dict[str, Any]:
    """Return the params: of the run's configuration, the ingest, or the defaults."""
    ingest = _ingest(run.dag_id)
    own = {name: param["default"] for name, param in PARAMS.items()}
    return {**(ingest.defaults if ingest else own), **(run.conf or {})}


def _ingest(dag_id: str) -> Ingest | None:
    """Return the ingest of the file for a DAG; if there is none, the registered ingest."""
    folder = ingests_folder()
    file = find(folder, dag_id) if folder.is_dir() else None
    return Ingest.read(file.path) if file else find_ingest(dag_id)


def _days(run: Any, settings: Mapping[str, Any]) -> list[str]:
    if lines(settings["product_ids"]) or not hasattr(run, "run_type"):
        return []
    chosen = settings["first_day"], settings["last_day"]
    window = sensing_window(*chosen, {"dag_run": run})
    check_days_have_ended(window, is_chosen=any(chosen))
    return [day.isoformat() for day in window.days]


def _delivery_state(run: Any, output_uri: str) -> dict[str, Any]:
    store = open_store(output_uri)
    layout = placed(store, RunLayout(run.dag_id, run.run_id))
    records = RunRecords(store, layout, SEARCH)
    search = records.search()
    if search is None:
        return {"note": "The search has no result; see the log of the task search."}
    summary = summarise(search, records.all_products(), records.attempts(), records.delivered())
    reasons = {row["name"]: row["error"] or _NOT_FETCHED for row in summary["table"]}
    reasons |= {row["label"]: row["why"] for row in summary.get("unusable", ())}
    listed = summary["missing"][:MAX_LISTED]
    return {
        "days": summary["days"],
        "products": summary["products"],
        "delivered": summary["delivered"],
        "missing": [{"name": name, "reason": reasons.get(name, "offline")} for name in listed],
        "missing_count": len(summary["missing"]),
        "summary": store.uri(f"{layout.records_dir}/summary.json"),
    }


def _period(days: list[str]) -> str:
    if not days:
        return "days unknown"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _url(run: Any) -> str:
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{run.dag_id}/runs/{quote(run.run_id)}"
