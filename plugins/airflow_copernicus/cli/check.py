"""The command `airflow copernicus check`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from airflow_copernicus.hooks import CopernicusHook

if TYPE_CHECKING:
    from argparse import Namespace


def check(args: Namespace) -> None:
    """Test a connection and print the result.

    Raises:
        SystemExit: The test has failed.
    """
    # As Airflow's own commands do; otherwise connections in the database are not found.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    is_good, message = CopernicusHook(args.conn_id).test_connection()
    sys.stdout.write(f"{message}\n")
    if not is_good:
        raise SystemExit(1)
