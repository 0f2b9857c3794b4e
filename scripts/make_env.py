"""`make env`: writes .env for docker compose from .env.example, with random secrets.

Fails if .env exists.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
FERNET: Final = "AIRFLOW_FERNET_KEY"
RANDOM: Final = (
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_API_SECRET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_ADMIN_PASSWORD",
)


def main() -> None:
    """Write .env with mode 0600, and print which values are left to fill in."""
    values = {name: secrets.token_urlsafe(36) for name in RANDOM}
    values[FERNET] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    values["AIRFLOW_UID"] = str(os.getuid() or 50000)
    lines = [
        f"{name}={values[name]}" if name in values else line
        for line in (PROJECT / ".env.example").read_text().splitlines()
        for name in [line.partition("=")[0]]
    ]
    descriptor = os.open(PROJECT / ".env", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
    print("Wrote .env with new secrets. Fill in COPERNICUS_USERNAME and COPERNICUS_PASSWORD.")


if __name__ == "__main__":
    main()
