"""`make run`: Airflow on this machine with the UI, in a folder that stays, until Ctrl-C.

With COPERNICUS_USERNAME and COPERNICUS_PASSWORD in the environment the connection is made from
them, unless there is one already; without, it tells how to enter it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Final

import requests

from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.errors import ConfigurationError
from dev_airflow.airflow_stack import PROJECT, Stack, StackError
from dev_airflow.rest_api import ApiError

HOME: Final = PROJECT / ".airflow"
CONNECTION: Final = "copernicus_default"
PASSED_ON: Final = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")  # of the calling shell's Airflow variables
HOW_TO: Final = f"""\
No account yet. In the UI: Admin > Connections > Add Connection,
  Connection Id    {CONNECTION}
  Connection Type  Copernicus Data Space
  the e-mail and password of your account, and the port 443. Once it is saved,
  Test in its row tells whether they are right.
Or set COPERNICUS_USERNAME and COPERNICUS_PASSWORD before `make run`."""


def main() -> int:
    """Run Airflow until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the UI")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    print("Starting Airflow (about half a minute)", flush=True)
    with Stack(HOME, port=asked.port, env=given) as airflow:
        print(f"\nThe UI: {airflow.url}  user admin, password {airflow.password}")
        print(_connection(airflow))
        print(f"Everything Airflow keeps is in {HOME}. Ctrl-C stops it.", flush=True)
        airflow.wait_until_it_ends()
    return 0


def _connection(airflow: Stack) -> str:
    """Make the connection from the environment if there is none; say what holds."""
    if f"AIRFLOW_CONN_{CONNECTION.upper()}" in airflow.env:
        return f"The account is that of AIRFLOW_CONN_{CONNECTION.upper()}."
    try:
        known = airflow.api("GET", f"connections/{CONNECTION}")
    except ApiError as error:
        if error.status != requests.codes.not_found:
            raise
    else:
        return f"The account is {known['login']}, as entered in the connection {CONNECTION}."
    user, password = (os.environ.get(f"COPERNICUS_{n}") for n in ("USERNAME", "PASSWORD"))
    if not (user and password):
        return HOW_TO
    try:
        Account(user, password)
    except ConfigurationError as error:
        raise StackError(f"COPERNICUS_USERNAME or COPERNICUS_PASSWORD: {error}") from error
    made = {"connection_id": CONNECTION, "conn_type": "copernicus", "port": 443}
    airflow.api("POST", "connections", made | {"login": user, "password": password})
    return f"The account is {user}; the connection {CONNECTION} was made from the environment."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(0)
