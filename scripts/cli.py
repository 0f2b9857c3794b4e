"""`make airflow ARGS='dags list'`: runs an `airflow` command in the Airflow of `make run`."""

from __future__ import annotations

import os
import sys

from dev_airflow.airflow_stack import Stack
from run import HOME


def main() -> None:
    """Replace this process by the command."""
    environment = Stack(HOME).environment()
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *sys.argv[1:]], environment)  # noqa: S606


if __name__ == "__main__":
    main()
