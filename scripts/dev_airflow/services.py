"""Temporary PostgreSQL and Redis servers from the installed packages, as context managers.

Each server listens on a free port of localhost, needs no password and stores its files in a
temporary folder. It stops at the end of the block, and if the process that started it dies. Data is
not flushed to disk.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev_airflow.stack_settings import LOCALHOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.1
POSTGRES_USER: Final = "postgres"
_POSTGRES_FOLDERS: Final = "usr/lib/postgresql/*/bin"
_NO_FLUSH: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class ServiceError(RuntimeError):
    """A service is not installed or did not start; the message contains the end of its log."""


def missing() -> list[str]:
    """Return the required Debian packages that are not installed."""
    found = {
        "postgresql": any(Path("/").glob(f"{_POSTGRES_FOLDERS}/initdb")),
        "redis-server": shutil.which("redis-server"),
        "util-linux": shutil.which("setpriv"),
    }
    return [package for package, where in found.items() if not where]


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run an empty PostgreSQL; yield the SQLAlchemy URL of its database.

    Raises:
        ServiceError: It did not start.
    """
    programs = max(Path("/").glob(_POSTGRES_FOLDERS), key=lambda folder: float(folder.parent.name))
    (port,) = free_ports(0, 0)
    with _folder() as folder, _log(folder) as log:
        become = _become_postgres(folder)
        data = f"{folder}/data"
        initdb = [f"{programs}/initdb", "-D", data, "-U", "airflow", "--auth=trust", "--no-sync"]
        if subprocess.run([*become, *initdb], stdout=log, stderr=log, check=False).returncode:
            raise ServiceError(f"initdb failed.\n{_log_tail(folder)}")
        settings = [f"--{setting}" for setting in _NO_FLUSH]
        listen = ["-h", LOCALHOST, "-p", str(port)]
        command = [f"{programs}/postgres", "-D", data, "-k", str(folder), *listen, *settings]
        ready = [f"{programs}/pg_isready", "-q", *listen]
        with _running([*become, *command], folder, lambda: not subprocess.call(ready)):
            yield f"postgresql+psycopg2://airflow@{LOCALHOST}:{port}/postgres"


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run an empty Redis; yield its URL.

    Raises:
        ServiceError: It did not start.
    """
    (port,) = free_ports(0, 0)
    with _folder() as folder:
        listen = ["--bind", LOCALHOST, "--port", str(port)]
        command = ["redis-server", *listen, "--save", "", "--dir", str(folder)]
        with _running([*_die_with_parent(), *command], folder, lambda: _listens(port)):
            yield f"redis://{LOCALHOST}:{port}/0"


@contextlib.contextmanager
def _running(command: list[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Run a service with its log in a folder; yield when it is ready, and stop it afterwards."""
    with _log(folder) as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"{command} did not start.\n{_log_tail(folder)}")
            time.sleep(POLL_S)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown, without waiting for clients
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> list[str]:
    return ["setpriv", "--pdeathsig", "INT"]


def _become_postgres(folder: Path) -> list[str]:
    """Return a command prefix that changes the user, because PostgreSQL rejects root."""
    if os.geteuid():
        return _die_with_parent()
    user = pwd.getpwnam(POSTGRES_USER)
    os.chown(folder, user.pw_uid, user.pw_gid)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*_die_with_parent(), *ids]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="service_") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _log_tail(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")[-2000:]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0
