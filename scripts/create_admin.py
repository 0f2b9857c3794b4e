"""The first user of the UI, from AIRFLOW_ADMIN_USERNAME and AIRFLOW_ADMIN_PASSWORD.

`airflow users create` by its own parser, but for the password, which arguments would show to all
who can list processes. A user that is there stays as it is.
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
    asked = get_parser().parse_args([*command, f"--username={name}", f"--email={name}@localhost"])
    asked.password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
    asked.func(asked)


if __name__ == "__main__":
    main()
