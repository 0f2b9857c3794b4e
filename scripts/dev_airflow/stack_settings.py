"""Settings of an Airflow that airflow_stack.py runs: ports, secrets, environment variables.

Every Airflow folder has its own random secrets, which are kept because the database contains data
encrypted with them.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCALHOST: Final = "127.0.0.1"
CELERY: Final = "CeleryExecutor"


def environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment variables of all components of the Airflow in `home`.

    Airflow variables of the calling shell are omitted, because they belong to another Airflow.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
    known = _secrets(home)
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOCALHOST}:{port}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": known["fernet_key"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "login.json"),
        "AIRFLOW__API__HOST": LOCALHOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__SECRET_KEY": known["api_secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": known["jwt_secret"],
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",  # delay until a new file is found
        **_no_proxy(),
        "PYTHONUNBUFFERED": "1",
    }


def admin_password(home: Path) -> str:
    """Write the password of the user `admin` to Airflow's password file, and return it."""
    password = _secrets(home)["admin_password"]
    _write_private(home / "login.json", {"admin": password})
    return password


def components(executor: str, workers: int) -> dict[str, list[str]]:
    """Return the Airflow command line of each component; worker numbers start at 1."""
    number = workers if executor == CELERY else 0
    names = [f"worker-{number}" for number in range(1, number + 1)]
    return {
        **{name: [name] for name in ("api-server", "scheduler", "dag-processor", "triggerer")},
        **{name: ["celery", "worker", "-H", f"{name}@%h"] for name in names},
    }


def log_ports(name: str, triggers: int, tasks: Sequence[int]) -> dict[str, str]:
    """Return the ports of the log servers; each worker has its own."""
    worker = int(name.removeprefix("worker-")) if name.startswith("worker-") else 1
    return {
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(triggers),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(tasks[worker - 1]),
    }


def free_ports(wanted: int, others: int) -> list[int]:
    """Return the wanted port, or a free one for 0, and `others` more free ports.

    Raises:
        OSError: The wanted port is in use.
    """
    sockets = [socket.socket() for _ in range(1 + others)]
    try:
        for number, each in zip([wanted] + [0] * others, sockets, strict=True):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((LOCALHOST, number))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _no_proxy() -> dict[str, str]:
    """Return proxy exceptions for localhost, in both spellings of the variable.

    If both are set, some programs read only the lower-case variable.
    """
    given = ",".join(os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    hosts = dict.fromkeys(host.strip() for host in f"{given},{LOCALHOST},localhost,::1".split(","))
    text = "*" if "*" in hosts else ",".join(filter(None, hosts))
    return {"no_proxy": text, "NO_PROXY": text}


def _secrets(home: Path) -> dict[str, str]:
    """Return the secrets of an Airflow folder; create them if there are none."""
    path = home / "secrets.json"
    if not path.exists():
        created = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "api_secret_key")}
        created["admin_password"] = secrets.token_urlsafe(12)
        created["fernet_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        _write_private(path, created)
    return dict(json.loads(path.read_text()))


def _write_private(path: Path, value: object) -> None:
    """Write JSON to a file with mode 0600."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
