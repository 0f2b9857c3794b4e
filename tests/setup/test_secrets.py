"""No password of the set-up shows in a list of processes, which all users of a machine may read."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from werkzeug.security import check_password_hash

PROJECT = Path(__file__).resolve().parents[2]
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ADMIN = "-first$(of)`all` 'quoted' \"twice\""
SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD": ADMIN,
    "COPERNICUS_PASSWORD": "of-the-account-7Qx",
    "COPERNICUS_S3_ACCESS_KEY": "key-of-the-store-7Qx",
    "COPERNICUS_S3_SECRET_KEY": "secret-of-the-store-7Qx",
}
URLS = ("IDENTITY_URL", "CATALOGUE_URL", "DOWNLOAD_URL", "STAC_URL", "S3_ENDPOINT_URL")


def arguments_while(process: psutil.Popen) -> set[str]:
    """Every argument of a process and all below it, until it ends."""
    seen: set[str] = set()
    while process.poll() is None:
        for one in (process, *process.children(recursive=True)):
            try:
                seen.update(one.cmdline())
            except psutil.Error:
                continue
        time.sleep(0.02)
    return seen


def test_no_process_of_the_first_set_up_has_a_secret_among_its_arguments(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_UID": "0",  # nothing to give away, nobody to become
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW_ADMIN_USERNAME": "admin",
        "COPERNICUS_USERNAME": "user@example.org",
        "COPERNICUS_MAX_CONNECTIONS": "4",
        **{f"COPERNICUS_{name}": "" for name in URLS},
        **SECRETS,
    }
    script = PROJECT / "scripts" / "compose_init.sh"
    with (tmp_path / "log").open("wb") as log:
        running = psutil.Popen(["bash", script], env=environment, stdout=log, stderr=log)
        seen = arguments_while(running)
    shown = [name for name, secret in SECRETS.items() if any(secret in each for each in seen)]
    assert shown == []
    assert running.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    assert any("create_admin" in each for each in seen)
    database = sqlite3.connect(tmp_path / "airflow.db")
    ((user, password),) = database.execute("select username, password from ab_user").fetchall()
    database.close()
    assert user == "admin"
    assert check_password_hash(password, ADMIN)
    assert not list(tmp_path.glob("*.json"))


def test_redis_asks_for_its_password_and_does_not_show_it(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    compose = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
    *shell, script = [each.replace("$$", "$") for each in compose["services"]["redis"]["command"]]
    here = f'port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsave ""\nrequirepass'
    environment = {**os.environ, "REDISCLI_AUTH": "of-redis-7Qx"}
    command = [*shell, script.replace("requirepass", here, 1)]
    running = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        assert said(port, b"PING\r\n").startswith(b"-NOAUTH")
        assert said(port, b"AUTH of-redis-7Qx\r\nPING\r\n") == b"+OK\r\n+PONG\r\n"
        assert running.name() == "redis-server"  # so that a stop reaches it
        assert not any("7Qx" in each for each in running.cmdline())
    finally:
        running.terminate()
        running.wait(30)


def said(port: int, words: bytes) -> bytes:
    """What Redis answers, once it listens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
                line.sendall(words)
                line.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: line.recv(4096), b""))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
