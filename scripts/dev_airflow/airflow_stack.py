"""Runs Airflow on this machine in its own folder, for `make demo`, `make run` and the tests.

`Stack` is a context manager. Inside it the api-server, scheduler, dag-processor and triggerer are
running and healthy. They stop at its end, and if the process that uses it dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import requests

from dev_airflow import stack_settings
from dev_airflow.rest_api import ApiError, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROJECT: Final = Path(__file__).resolve().parents[2]
SUPERVISOR: Final = Path(__file__).resolve().with_name("processes.py")
POLL_S: Final = 0.3
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 30.0
TAIL_LINES: Final = 30
_BUSY: Final[int] = 500  # such as a SQLite database locked by another component


class StackError(RuntimeError):
    """Airflow did not start, exited, or did not reach an expected state in time."""


@dataclass
class Stack:
    """An Airflow: `with Stack(home) as airflow: airflow.unpause("sentinel2_daily")`.

    Args:
        home: AIRFLOW_HOME, with database, logs and secrets. It is kept and reused.
        dags_folder: Folder of the DAG files.
        port: Port of the UI and the REST API on localhost; 0 for a free port.
        executor: With CeleryExecutor, workers are started too; set broker and result backend in
            `env`.
        workers: Number of workers, `worker-1`, `worker-2`, …
        database: SQLAlchemy URL of the metadata database; None for SQLite inside `home`.
        env: Environment variables of all components; they override the default ones.
        own_env: Environment variables of single components, by name; they override all others.
            With its own folders, a worker behaves as on another host.
    """

    home: Path
    dags_folder: Path = PROJECT / "dags"
    port: int = 0
    executor: str = "LocalExecutor"
    workers: int = 1
    database: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    own_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    password: str = field(init=False, default="", repr=False)
    _supervisor: subprocess.Popen[bytes] | None = field(init=False, default=None, repr=False)
    _token: str = field(init=False, default="", repr=False)

    @property
    def url(self) -> str:
        """The URL of the UI, without trailing slash."""
        return f"http://localhost:{self.port}"

    @property
    def logs(self) -> Path:
        """The folder of the components' logs; task logs are in `home / "logs"`."""
        return self.home / "components"

    def __enter__(self) -> Self:
        """Start all components, and wait until they are healthy.

        Raises:
            StackError: A component exited or was not healthy in time; the message contains the
                last lines of its log.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all components."""
        self.stop()

    def stop(self) -> None:
        """Stop all components and wait for their processes; does nothing if none is running."""
        if self._supervisor is None or self._supervisor.stdin is None:
            return
        self._supervisor.stdin.close()
        try:
            self._supervisor.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._supervisor = None

    def kill(self, component: str) -> None:
        """Kill a component and its descendants, as if its host failed; it is restarted."""
        self._send_command("KILL", component)

    def restart(self, component: str) -> None:
        """Stop a component with SIGTERM, then SIGKILL; it is restarted."""
        self._send_command("TERM", component)

    def cli(self, *args: str) -> str:
        """Run an `airflow` command in this Airflow; return its standard output.

        Raises:
            StackError: The exit code is not 0; the message contains the output.
        """
        command = [sys.executable, "-m", "airflow", *args]
        result = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False
        )
        if result.returncode:
            output = f"{result.stdout}\n{result.stderr}".strip()
            raise StackError(f"airflow {' '.join(args)}: exit code {result.returncode}.\n{output}")
        return result.stdout

    def api(self, method: str, path: str, json: object = None) -> Any:
        """Return the decoded response of the REST API; `path` is relative to /api/v2/.

        Raises:
            ApiError: The status is 400 or above.
        """
        headers = {"Authorization": f"Bearer {self._token}"}
        response = ask(method, f"{self.url}/api/v2/{path}", json=json, headers=headers)
        if not response.ok:
            reason = f"{method} {path}: HTTP {response.status_code}: {response.text[:2000]}"
            raise ApiError(response.status_code, reason)
        return response.json() if response.content else None

    def create(self, path: str, body: object, timeout_s: float = 60.0) -> None:
        """Create an object with the REST API, with retries while the database is busy.

        Returns also if the object exists already.

        Raises:
            ApiError: The request was rejected.
            StackError: The database remained busy.
        """

        def created() -> bool:
            try:
                self.api("POST", path, body)
            except ApiError as error:
                if error.status < _BUSY and error.status != requests.codes.conflict:
                    raise
                return error.status < _BUSY
            return True

        self.wait(created, timeout_s, lambda: f"{path} could not be created.")

    def unpause(self, dag_id: str, timeout_s: float = 90.0) -> None:
        """Unpause a DAG as soon as the DAG processor has parsed its file.

        Raises:
            StackError: The DAG did not appear in time; the message contains the import errors.
        """

        def known() -> bool:
            try:
                self.api("PATCH", f"dags/{dag_id}", {"is_paused": False})
            except ApiError as error:
                if error.status == requests.codes.not_found or error.status >= _BUSY:
                    return False
                raise
            return True

        self.wait(known, timeout_s, lambda: f"DAG {dag_id} did not appear. {self._imports()}")

    def wait_for_run(self, dag_id: str, run_id: str, timeout_s: float = 300.0) -> str:
        """Wait until a DAG run has finished; return `success` or `failed`.

        Raises:
            StackError: It did not finish in time; the message contains the states of its tasks.
        """
        run = f"dags/{dag_id}/dagRuns/{run_id}"
        state = ""

        def ended() -> bool:
            nonlocal state
            state = self.api("GET", run)["state"]
            return state in ("success", "failed")

        def state_of_tasks() -> str:
            tasks = self.api("GET", f"{run}/taskInstances")["task_instances"]
            states = ", ".join(f"{t['task_id']}[{t['map_index']}] {t['state']}" for t in tasks)
            return f"run {run_id} of {dag_id} is {state}: {states or 'no task yet'}."

        self.wait(ended, timeout_s, state_of_tasks)
        return state

    def wait_until_it_ends(self) -> None:
        """Block while all components are running.

        Raises:
            StackError: A component exited; the message contains the last lines of the logs.
        """
        self.wait(lambda: False, float("inf"), str)

    def wait(self, done: Callable[[], bool], timeout_s: float, why: Callable[[], str]) -> None:
        """Poll until `done` returns true.

        Raises:
            StackError: Airflow exited or the timeout expired; the message contains the logs.
        """
        deadline = time.monotonic() + timeout_s
        while not done():
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise StackError(f"Airflow is not running.\n{self._tails()}")
            if time.monotonic() > deadline:
                raise StackError(f"Not within {timeout_s:g} s: {why()}\n{self._tails()}")
            time.sleep(POLL_S)

    def tail(self, component: str) -> str:
        """Return the last lines of a component's log, with its path."""
        log = self.logs / f"{component}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else ["(no log)"]
        return "\n".join([f"--- {log}", *lines[-TAIL_LINES:]])

    def environment(self) -> dict[str, str]:
        """Return the environment of all components and of `airflow` commands for this Airflow."""
        own = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": self.executor,
        }
        if self.database:
            own["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = self.database
        return {**stack_settings.environment(self.home, self.port), **own, **self.env}

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        try:
            self.port, triggers, *tasks = stack_settings.free_ports(self.port, 1 + self.workers)
        except OSError as error:
            raise StackError(
                f"Port {self.port}: {error}. Stop the process that uses it."
            ) from error
        self.password = stack_settings.admin_password(self.home)
        components = {}
        for name, command in stack_settings.components(self.executor, self.workers).items():
            ports = stack_settings.log_ports(name, triggers, tasks)
            components[name] = {"command": command, "env": ports | {**self.own_env.get(name, {})}}
        with (self.logs / "supervisor.log").open("wb") as log:
            self._supervisor = subprocess.Popen(
                [
                    sys.executable,
                    str(SUPERVISOR),
                    json.dumps({"logs": str(self.logs), "components": components}),
                ],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only this process, which stops them
            )
        self.wait(self._healthy, START_TIMEOUT_S, lambda: "Airflow did not become healthy.")
        self._log_in()

    def _send_command(self, action: str, component: str) -> None:
        if component not in stack_settings.components(self.executor, self.workers):
            raise StackError(f"There is no component {component}.")
        if self._supervisor is None or self._supervisor.stdin is None:
            raise StackError("Airflow is not running.")
        self._supervisor.stdin.write(f"{action} {component}\n".encode())
        self._supervisor.stdin.flush()

    def _healthy(self) -> bool:
        try:
            health = ask("GET", f"{self.url}/api/v2/monitor/health")
        except requests.ConnectionError:
            return False
        return health.ok and all(part["status"] == "healthy" for part in health.json().values())

    def _log_in(self) -> None:
        login = {"username": "admin", "password": self.password}
        response = ask("POST", f"{self.url}/auth/token", json=login)
        response.raise_for_status()
        self._token = response.json()["access_token"]

    def _imports(self) -> str:
        errors = self.api("GET", "importErrors")["import_errors"]
        return "\n".join(f"{e['filename']}: {e['stack_trace']}" for e in errors)

    def _tails(self) -> str:
        return "\n".join(self.tail(log.stem) for log in sorted(self.logs.glob("*.log")))
