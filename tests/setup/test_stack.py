"""The Airflow that `make demo`, `make run` and the end-to-end tests start: real, and gone after."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
import requests

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "scripts"))
import run  # noqa: E402
from dev_airflow.airflow_stack import Stack, StackError  # noqa: E402
from dev_airflow.rest_api import ApiError  # noqa: E402

DAG = """
import os
from airflow.sdk import DAG, task
with DAG("probe", schedule=None):
    @task(pool="copernicus")
    def probe():
        assert os.environ["PROBE"] == "yes"
    probe()
"""
HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from dev_airflow.airflow_stack import Stack
with Stack(Path(sys.argv[2]), dags_folder=Path(sys.argv[3])):
    print("up", flush=True)
    sys.stdin.read()
"""
GONE_TIMEOUT_S = 30.0


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_TIMEOUT_S)
    assert [" ".join(process.cmdline()) for process in alive] == []


def component(stack: Stack, name: str) -> psutil.Process:
    children = descendants(stack._supervisor.pid)
    titles = {child: child.as_dict(["cmdline"])["cmdline"] for child in children}
    (found,) = [
        one for one, title in titles.items() if " ".join(title or ()).strip() == f"airflow {name}"
    ]
    return found


@pytest.fixture
def dags(tmp_path):
    folder = tmp_path / "dags with blank"
    folder.mkdir()
    (folder / "probe.py").write_text(DAG)
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """An Airflow behind a proxy where nobody listens; none of its processes is left at the end."""
    dags = tmp_path_factory.mktemp("dags with blank")
    (dags / "probe.py").write_text(DAG)
    (dags / "broken.py").write_text("from airflow.sdk import DAG\nraise ValueError('broken here')")
    before = set(descendants(os.getpid()))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")
        stack = Stack(tmp_path_factory.mktemp("home"), dags_folder=dags, env={"PROBE": "yes"})
        with stack:
            yield stack
            started = set(descendants(os.getpid())) - before
            assert len(started) >= 5
        assert_gone(list(started))
    with pytest.raises(StackError, match="Airflow is not running"):
        stack.wait_until_it_ends()
    with pytest.raises(StackError, match="Airflow is not running"):
        stack.kill("scheduler")


def run_probe(stack):
    stack.unpause("probe")
    run_id = stack.api("POST", "dags/probe/dagRuns", {"logical_date": None})["dag_run_id"]
    assert stack.wait_for_run("probe", run_id, 60) == "success"


def test_runs_a_dag_where_a_proxy_is_set(stack):
    run_probe(stack)
    assert "probe" in stack.cli("dags", "list")
    with pytest.raises(StackError, match=r"(?s)no_such_dag did not appear.*broken here"):
        stack.unpause("no_such_dag", timeout_s=1)


def test_killed_and_ended_components_come_back(stack):
    scheduler, processor = component(stack, "scheduler"), component(stack, "dag-processor")
    killed = [scheduler, *scheduler.children(recursive=True)]
    assert len(killed) > 1
    stack.kill("scheduler")
    stack.restart("dag-processor")
    assert_gone([*killed, processor])
    run_probe(stack)
    with pytest.raises(StackError, match="no component worker-1"):
        stack.kill("worker-1")
    supervisor = (stack.logs / "supervisor.log").read_text()
    assert "scheduler ended with exit code -9" in supervisor
    assert "dag-processor ended" in supervisor


@pytest.mark.parametrize("no_proxy", [{}, {"no_proxy": "example.org"}], ids=str)
def test_what_stays_on_this_machine_needs_no_proxy(tmp_path, monkeypatch, no_proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in no_proxy.items():
        monkeypatch.setenv(name, value)
    environment = Stack(tmp_path).environment()
    with monkeypatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, environment[name])
        for host in ("localhost", "127.0.0.1"):
            assert requests.utils.get_environ_proxies(f"http://{host}:8080/execution/") == {}
            assert set(httpx._utils.get_environment_proxies()) >= {f"all://{host}"}
        kept = no_proxy.get("no_proxy")
        assert not kept or requests.utils.get_environ_proxies(f"http://{kept}/") == {}
        assert requests.utils.get_environ_proxies("https://dataspace.copernicus.eu/")


def test_an_account_that_was_copied_wrongly_makes_no_connection(monkeypatch):
    class Airflow:
        env = ()

        def api(self, method, path):
            raise ApiError(404, f"{method} {path}")

    monkeypatch.setenv("COPERNICUS_USERNAME", "user@example.org")
    monkeypatch.setenv("COPERNICUS_PASSWORD", "word\n")
    with pytest.raises(StackError, match="COPERNICUS_PASSWORD: password contains a line break"):
        run._connection(Airflow())


def test_killed_holder_leaves_no_process(tmp_path, dags):
    command = [sys.executable, "-c", HOLD, str(PROJECT / "scripts"), str(tmp_path / "home"), dags]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "up\n"
        started = descendants(holder.pid)
        assert len(started) >= 5
        holder.send_signal(signal.SIGKILL)
        assert_gone(started)


def test_failure_to_start_shows_the_log_and_leaves_no_process(tmp_path, dags):
    before = set(descendants(os.getpid()))
    stack = Stack(tmp_path / "home", dags_folder=dags, database="sqlite:////no/such/folder/a.db")
    started = time.monotonic()
    with pytest.raises(StackError, match=r"(?s)not running.*migrate\.log.*unable to open"), stack:
        pass
    assert time.monotonic() - started < 60
    assert_gone([*(set(descendants(os.getpid())) - before)])  # other tests' Airflow forks, too


def test_taken_port_is_refused_at_once(tmp_path, dags):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        stack = Stack(tmp_path / "home", dags_folder=dags, port=taken.getsockname()[1])
        with pytest.raises(StackError, match="in use"), stack:
            pass
