"""Creates the first user of the UI from AIRFLOW_ADMIN_USERNAME and AIRFLOW_ADMIN_PASSWORD.

Calls `airflow users create` in this process, so that the password does not appear in the process
list. An existing user is not changed.
"""

from __future__ import annotations

import os

from airflow.cli.cli_parser import get_parser


def main() -> None:
    """Create the user."""
    name = os.environ["AIRFLOW_ADMIN_USERNAME"]
    command = [
        "users",
        "create",
        "--role",
        "Admin",
        "--firstname",
        "Airflow",
        "--lastname",
        "Admin",
    ]
    arguments = get_parser().parse_args(
        [*command, f"--username={name}", f"--email={name}@localhost"]
    )
    arguments.password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
    arguments.func(arguments)


if __name__ == "__main__":
    main()
