"""`make run`: Airflow with its UI on this machine, in a persistent folder, until Ctrl-C.

If COPERNICUS_USERNAME and COPERNICUS_PASSWORD are set, and there is no connection yet, it is
created from them. Without them, instructions to add the connection are printed.
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
PASSED_ON: Final = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")  # Airflow variables of the calling shell
HOW_TO: Final = f"""\
No account yet. In the UI: Admin > Connections > Add Connection,
  Connection Id    {CONNECTION}
  Connection Type  Copernicus Data Space
  the e-mail and password of your account, and the port 443. After saving it,
  use Test in its row to check them.
Or set COPERNICUS_USERNAME and COPERNICUS_PASSWORD before `make run`."""


def main() -> int:
    """Run Airflow until it is interrupted; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of the UI")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    passed_on = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    print("Starting Airflow (about half a minute)", flush=True)
    with Stack(HOME, port=arguments.port, env=passed_on) as airflow:
        print(f"\nUI: {airflow.url}  user admin, password {airflow.password}")
        print(_connection(airflow))
        print(f"Airflow's files are in {HOME}. Press Ctrl-C to stop.", flush=True)
        airflow.wait_until_it_ends()
    return 0


def _connection(airflow: Stack) -> str:
    """Create the connection from the environment if there is none; return a message."""
    if f"AIRFLOW_CONN_{CONNECTION.upper()}" in airflow.env:
        return f"Using the account in AIRFLOW_CONN_{CONNECTION.upper()}."
    try:
        known = airflow.api("GET", f"connections/{CONNECTION}")
    except ApiError as error:
        if error.status != requests.codes.not_found:
            raise
    else:
        return f"Using the account {known['login']} of the connection {CONNECTION}."
    user, password = (os.environ.get(f"COPERNICUS_{n}") for n in ("USERNAME", "PASSWORD"))
    if not (user and password):
        return HOW_TO
    try:
        Account(user, password)
    except ConfigurationError as error:
        raise StackError(f"COPERNICUS_USERNAME or COPERNICUS_PASSWORD: {error}") from error
    connection = {"connection_id": CONNECTION, "conn_type": "copernicus", "port": 443}
    airflow.api("POST", "connections", connection | {"login": user, "password": password})
    return f"Using the account {user}; created the connection {CONNECTION} from the environment."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(0)
