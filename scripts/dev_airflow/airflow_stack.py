"""A whole Airflow on this machine in a folder of its own: `make demo`, `make run`, and the tests.

`Stack` is a context manager. Inside it the api-server, scheduler, dag-processor and triggerer run
and are healthy; after it, and also after the death of the process that used it, none of them is
left. Which connection, which DAG and which account is the caller's business.
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
KEEPER: Final = Path(__file__).resolve().with_name("processes.py")
POLL_S: Final = 0.3
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 30.0
TAIL_LINES: Final = 30
_BUSY: Final[int] = 500  # among others, SQLite locked by another component


class StackError(RuntimeError):
    """Airflow did not start, ended by itself, or did not do in time what was waited for."""


@dataclass
class Stack:
    """One Airflow: `with Stack(home) as airflow: airflow.unpause("sentinel2_daily")`.

    Args:
        home: Its folder (AIRFLOW_HOME): database, logs, secrets. Kept; started again, it goes on
            with what is there.
        dags_folder: Where the DAG files are.
        port: Of the UI and the REST interface; 0 takes a free one. Bound to this machine only.
        executor: With CeleryExecutor workers are started too; broker and result backend are the
            caller's, in `env`.
        workers: How many; they are `worker-1`, `worker-2`, …
        database: SQLAlchemy URL of the metadata database; None is SQLite inside `home`.
        env: Further environment variables of all components; they win over ours.
        own_env: Environment variables of single components, by name; they win over all others.
            With folders of its own a worker is as one on another host.
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
    _keeper: subprocess.Popen[bytes] | None = field(init=False, default=None, repr=False)
    _token: str = field(init=False, default="", repr=False)

    @property
    def url(self) -> str:
        """The address of the UI, without a slash at the end."""
        return f"http://localhost:{self.port}"

    @property
    def logs(self) -> Path:
        """The folder of the components' own logs; those of tasks are below `home / "logs"`."""
        return self.home / "components"

    def __enter__(self) -> Self:
        """Start, and wait until every component is healthy.

        Raises:
            StackError: A component ended or was not healthy in time; the message ends with the
                last lines of its log.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every component."""
        self.stop()

    def stop(self) -> None:
        """Stop every component and wait until no process is left; harmless when none runs."""
        if self._keeper is None or self._keeper.stdin is None:
            return
        self._keeper.stdin.close()
        try:
            self._keeper.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper = None

    def kill(self, component: str) -> None:
        """Kill a component and everything below it, as if its host died; it is started again."""
        self._order("KILL", component)

    def restart(self, component: str) -> None:
        """Ask a component to end, and kill it if it does not soon; it is started again."""
        self._order("TERM", component)

    def cli(self, *args: str) -> str:
        """Run an `airflow` command in this Airflow; return what it wrote to standard output.

        Raises:
            StackError: The exit code was not 0; the message holds what the command wrote.
        """
        command = [sys.executable, "-m", "airflow", *args]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}".strip()
            raise StackError(f"airflow {' '.join(args)}: exit code {done.returncode}.\n{said}")
        return done.stdout

    def api(self, method: str, path: str, json: object = None) -> Any:
        """Return the decoded answer of the REST interface; `path` is what follows /api/v2/.

        Raises:
            ApiError: The answer's status was 400 or above.
        """
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = ask(method, f"{self.url}/api/v2/{path}", json=json, headers=headers)
        if not answer.ok:
            reason = f"{method} {path}: HTTP {answer.status_code}: {answer.text[:2000]}"
            raise ApiError(answer.status_code, reason)
        return answer.json() if answer.content else None

    def create(self, path: str, body: object, timeout_s: float = 60.0) -> None:
        """Create something by REST, again while the database is busy; done where it is there.

        Raises:
            ApiError: The request itself was refused.
            StackError: The database stayed busy.
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
        """Switch a DAG on, once the DAG processor has read its file.

        Raises:
            StackError: The DAG did not appear in time; the message holds the import errors.
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
        """Wait until a DAG run has ended; return `success` or `failed`.

        Raises:
            StackError: It had not ended in time; the message holds the state of every task.
        """
        run = f"dags/{dag_id}/dagRuns/{run_id}"
        state = ""

        def ended() -> bool:
            nonlocal state
            state = self.api("GET", run)["state"]
            return state in ("success", "failed")

        def still() -> str:
            tasks = self.api("GET", f"{run}/taskInstances")["task_instances"]
            states = ", ".join(f"{t['task_id']}[{t['map_index']}] {t['state']}" for t in tasks)
            return f"run {run_id} of {dag_id} is {state}: {states or 'no task yet'}."

        self.wait(ended, timeout_s, still)
        return state

    def wait_until_it_ends(self) -> None:
        """Block while every component runs.

        Raises:
            StackError: A component ended; the message holds the last lines of the logs.
        """
        self.wait(lambda: False, float("inf"), str)

    def wait(self, done: Callable[[], bool], timeout_s: float, why: Callable[[], str]) -> None:
        """Poll until done; complain with the logs when Airflow ended or time is up."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if self._keeper is None or self._keeper.poll() is not None:
                raise StackError(f"Airflow is not running.\n{self._tails()}")
            if time.monotonic() > deadline:
                raise StackError(f"Not within {timeout_s:g} s: {why()}\n{self._tails()}")
            time.sleep(POLL_S)

    def tail(self, component: str) -> str:
        """The last lines of a component's log, with its path."""
        log = self.logs / f"{component}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else ["(no log)"]
        return "\n".join([f"--- {log}", *lines[-TAIL_LINES:]])

    def environment(self) -> dict[str, str]:
        """The environment of every component, and of `airflow` commands meant for this Airflow."""
        ours = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": self.executor,
        }
        if self.database:
            ours["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = self.database
        return {**stack_settings.environment(self.home, self.port), **ours, **self.env}

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        try:
            self.port, triggers, *tasks = stack_settings.free_ports(self.port, 1 + self.workers)
        except OSError as error:
            raise StackError(f"Port {self.port}: {error}. Stop what uses it first.") from error
        self.password = stack_settings.admin_password(self.home)
        components = {}
        for name, command in stack_settings.components(self.executor, self.workers).items():
            ports = stack_settings.log_ports(name, triggers, tasks)
            components[name] = {"command": command, "env": ports | {**self.own_env.get(name, {})}}
        with (self.logs / "keeper.log").open("wb") as log:
            self._keeper = subprocess.Popen(
                [
                    sys.executable,
                    str(KEEPER),
                    json.dumps({"logs": str(self.logs), "components": components}),
                ],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us, and we stop them in order
            )
        self.wait(self._healthy, START_TIMEOUT_S, lambda: "Airflow did not become healthy.")
        self._log_in()

    def _order(self, how: str, component: str) -> None:
        if component not in stack_settings.components(self.executor, self.workers):
            raise StackError(f"There is no component {component}.")
        if self._keeper is None or self._keeper.stdin is None:
            raise StackError("Airflow is not running.")
        self._keeper.stdin.write(f"{how} {component}\n".encode())
        self._keeper.stdin.flush()

    def _healthy(self) -> bool:
        try:
            health = ask("GET", f"{self.url}/api/v2/monitor/health")
        except requests.ConnectionError:
            return False
        return health.ok and all(part["status"] == "healthy" for part in health.json().values())

    def _log_in(self) -> None:
        login = {"username": "admin", "password": self.password}
        answer = ask("POST", f"{self.url}/auth/token", json=login)
        answer.raise_for_status()
        self._token = answer.json()["access_token"]

    def _imports(self) -> str:
        errors = self.api("GET", "importErrors")["import_errors"]
        return "\n".join(f"{e['filename']}: {e['stack_trace']}" for e in errors)

    def _tails(self) -> str:
        return "\n".join(self.tail(log.stem) for log in sorted(self.logs.glob("*.log")))
