"""`make demo`: one past day of Sentinel-2, end to end, without an account.

Starts the emulated Data Space in this process, and an Airflow; the scheduler runs `sentinel2_daily`
for one day; prints the delivered files and the transferred bytes; stops everything. Airflow starts
with an empty folder each time; delivered files are kept, so a second demo downloads nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace_emulator.__main__ import emulator
from copernicus_dataspace_emulator.command_line import parser
from dev_airflow.airflow_stack import PROJECT, Stack, StackError

if TYPE_CHECKING:
    from copernicus_dataspace_emulator import Emulator

DAG_ID: Final = "sentinel2_daily"
DAY: Final = "2024-08-01"
PRODUCTS: Final = 5
HOME: Final = PROJECT / ".demo"
ACCOUNT: Final = "demo@example.org"
RUN_TIMEOUT_S: Final = 240.0
LOG_LINES: Final = 15


def main() -> int:
    """Run the demo; return the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _terminate)
    output = HOME / "data"
    started = time.monotonic()
    shutil.rmtree(HOME / "airflow", ignore_errors=True)
    password = secrets.token_urlsafe(12)
    print("Starting the emulated Data Space and Airflow (about half a minute)", flush=True)
    with _emulator(password) as service:
        environment = {
            "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(service.connection()),
            "AIRFLOW__COPERNICUS__OUTPUT_URI": f"file://{output}",  # fsspec does not decode
        }
        with Stack(HOME / "airflow", port=arguments.port, env=environment) as airflow:
            print(f"Airflow started after {time.monotonic() - started:.0f} s", flush=True)
            run_id = _run_day(airflow)
            _report(output, run_id)
            print(f"Total: {time.monotonic() - started:.0f} s.")
            if arguments.keep:
                _keep(airflow)
    if not arguments.keep:
        print("UI: `make demo KEEP=1` keeps it running, with this run and the emulated service;")
        print("`make run` starts it for your own account, at http://localhost:8080.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep Airflow running until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="port of the UI; 0 for a free port")
    return parser.parse_args()


def _terminate(_signum: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)  # so that the context managers stop everything


def _emulator(password: str) -> Emulator:
    """Return the emulated service with the day's products."""
    options = ["--day", DAY, "--products", str(PRODUCTS), "--user", ACCOUNT, "--scale", "0.1"]
    for part in ("identity", "catalogue", "download", "stac", "s3"):
        options += [f"--{part}-port", "0"]
    return emulator(parser().parse_args(options), password)


def _run_day(airflow: Stack) -> str:
    """Create a backfill of the single day and wait for its run; return the run id.

    Raises:
        StackError: The run failed; the message contains the ends of the failed tasks' logs.
    """
    airflow.unpause(DAG_ID)
    backfill = {
        "dag_id": DAG_ID,
        "from_date": f"{DAY}T00:00:00Z",
        "to_date": f"{DAY}T00:00:00Z",
        "max_active_runs": 1,
        "run_backwards": False,
        "reprocess_behavior": "none",
        "dag_run_conf": {},
    }
    airflow.create("backfills", backfill)
    runs = airflow.api("GET", f"dags/{DAG_ID}/dagRuns?run_type=backfill")["dag_runs"]
    run_id: str = runs[0]["dag_run_id"]
    print(f"The scheduler runs {DAG_ID} for {DAY}", flush=True)
    if airflow.wait_for_run(DAG_ID, run_id, RUN_TIMEOUT_S) != "success":
        raise StackError(f"The run {run_id} failed.\n{_failures(airflow, run_id)}")
    return run_id


def _failures(airflow: Stack, run_id: str) -> str:
    path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
    failed = [t for t in airflow.api("GET", path)["task_instances"] if t["state"] == "failed"]
    texts = []
    for task in failed:
        where = f"{path}/{task['task_id']}/logs/{task['try_number']}?map_index={task['map_index']}"
        lines = [str(line["event"]) for line in airflow.api("GET", where)["content"]]
        title = f"--- {task['task_id']}[{task['map_index']}]"
        texts.append("\n".join([title, *lines[-LOG_LINES:]]))
    return "\n".join(texts)


def _report(output: Path, run_id: str) -> None:
    """Print the delivered files and the transferred bytes, from the run's summary."""
    summary = _summary(output, run_id)
    folders = sorted({Path(row["folder"]).name for row in summary["table"] if row["folder"]})
    print(f"\n{output}")
    for folder in sorted(path for name in folders for path in output.rglob(name)):
        print(f"  {folder.relative_to(output)}")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            print(f"    {file.relative_to(folder)}  {file.stat().st_size:,} bytes")
    transferred, total = summary["bytes_transferred"], summary["bytes_of_products"]
    print(f"\n{summary['delivered']} of {summary['products']} products delivered.")
    if transferred:
        print(f"{transferred:,} bytes transferred; the complete products have {total:,} bytes.")
    else:
        print("All files already existed: nothing was downloaded.")
    if summary["delivered"] != PRODUCTS:
        raise StackError(f"Expected {PRODUCTS} delivered products; missing: {summary['missing']}")


def _summary(output: Path, run_id: str) -> dict[str, Any]:
    for path in (output / "runs" / DAG_ID).glob("*/summary.json"):
        summary: dict[str, Any] = json.loads(path.read_text())
        if summary["run_id"] == run_id:
            return summary
    raise StackError(f"The run {run_id} has no summary below {output / 'runs' / DAG_ID}.")


def _keep(airflow: Stack) -> None:
    print(f"\nUI: {airflow.url}  user admin, password {airflow.password}")
    print("Press Ctrl-C to stop.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        airflow.wait_until_it_ends()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"\nThe demo failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
