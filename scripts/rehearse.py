"""`make rehearse`: Airflow with its UI against an emulated Data Space, without an account.

The emulator has products of the last ten days over the lake. The connection `copernicus_default`
leads to it, and `sentinel2_daily`, `sentinel2_reconcile` and `sentinel2_approve_removals` are
switched on. Everything starts anew each time, and stops with Ctrl-C. Other options go to the
emulator, such as ``--fault 429``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from copernicus_dataspace_emulator.__main__ import emulator
from copernicus_dataspace_emulator.command_line import parser
from dev_airflow.airflow_stack import PROJECT, Stack, StackError

if TYPE_CHECKING:
    from copernicus_dataspace_emulator import Emulator

HOME: Final = PROJECT / ".rehearsal"
DAYS: Final = 10
PRODUCTS: Final = 3
CONNECTION: Final = "copernicus_default"
DAG_ID: Final = "sentinel2_daily"
SWITCHED_ON: Final = (DAG_ID, "sentinel2_reconcile", "sentinel2_approve_removals")
_WHAT_TO_DO: Final = """\
Try, in the UI:
  {dag}                the newest day that is due has been fetched by the schedule
  Trigger > Backfill             the days from {first} to {last}
  sentinel2_reconcile, Trigger   repairs what you delete below {output}
  Browse > Sentinel-2 archive    what is complete"""


def main() -> int:
    """Run until it is interrupted; return the exit code."""
    arguments, options = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(HOME, ignore_errors=True)
    output = HOME / "data"
    today = datetime.now(UTC).date()
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    print("Starting the emulated Data Space and Airflow (about half a minute)", flush=True)
    with _emulator([f"--from={first}", f"--to={last}", *options]) as service:
        environment = {"AIRFLOW__COPERNICUS__OUTPUT_URI": f"file://{output}"}
        with Stack(HOME / "airflow", port=arguments.port, env=environment) as airflow:
            connection = service.connection()
            connection["extra"] = json.dumps(connection["extra"])
            airflow.create("connections", {"connection_id": CONNECTION, **connection})
            for dag_id in SWITCHED_ON:
                airflow.unpause(dag_id)
            print(f"\nUI: {airflow.url}  user admin, password {airflow.password}")
            print(_WHAT_TO_DO.format(dag=DAG_ID, first=first, last=last, output=output))
            print("Press Ctrl-C to stop.", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                airflow.wait_until_it_ends()
    return 0


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=8080, help="port of the UI")
    return options.parse_known_args()


def _emulator(options: list[str]) -> Emulator:
    ports = [f"--{part}-port=0" for part in ("identity", "catalogue", "download", "stac", "s3")]
    given = [*ports, f"--products={PRODUCTS}", "--scale=0.1", *options]
    return emulator(parser().parse_args(given), secrets.token_urlsafe(12))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(0)
