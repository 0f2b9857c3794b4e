"""Supervisor of the components of an Airflow on this machine.

Started by airflow_stack.py, which holds the other end of standard input. When that end is closed,
by `Stack.stop()` or because its process was killed, all components are stopped. A line on standard
input, such as "KILL worker-1", stops one component. A component that exits is restarted and its
orphaned processes are killed, as in a container with `restart: always`.
The components are forks of this process, which imports Airflow once; this halves the start time.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from setproctitle import setproctitle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

EXECUTING: Final = ("scheduler", "worker")
TASK_GRACE_S: Final = 8.0  # for tasks to finish; then they are killed
OTHERS_GRACE_S: Final = 2.0  # an idle triggerer would take ten seconds
POLL_S: Final = 0.2
MAX_COMMAND_BYTES: Final = 4096  # read at once
MAX_RESTARTS: Final = 20  # on SQLite, a component may exit because of a locked database
PR_SET_PDEATHSIG: Final = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER: Final = 36
ENTRY: Final = "airflow.__main__"
# Imported during the database migration; else each component would import them.
PRELOADED: Final = (
    "airflow.api_fastapi.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
)


def main() -> int:
    """Run the components of the argument until stopped; return the exit code.

    The argument is JSON: the folder of the logs, and for each component its name, its Airflow
    command line and its environment variables. The database is migrated first.
    """
    job = json.loads(sys.argv[1])
    logs, components = Path(job["logs"]), job["components"]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphaned processes become children of this one
    stop_asked = False

    def ask(_signum: int, _frame: FrameType | None) -> None:
        nonlocal stop_asked
        stop_asked = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    importlib.import_module(ENTRY)
    restarts = 0
    running = {_fork(logs / "migrate.log", ["db", "migrate"]): "migrate"}
    try:
        for name in PRELOADED:
            importlib.import_module(name)
        while not stop_asked and (commands := _commands(sys.stdin.fileno())) is not None:
            for command in commands:
                _execute(command, running)
            ended = _reap(running)
            if ended == ("migrate", 0):
                running = {
                    _fork(logs / f"{name}.log", **components[name]): name for name in components
                }
            elif ended:
                name, code = ended
                print(f"{name} ended with exit code {code}", flush=True)
                if name not in components or restarts == MAX_RESTARTS:
                    return 1
                restarts += 1
                _end_orphans(running)
                running[_fork(logs / f"{name}.log", **components[name])] = name
    finally:
        _stop_all(running)
    return 0


def _fork(log: Path, command: list[str], env: Mapping[str, str] | None = None) -> int:
    """Fork a process that runs an Airflow command, with its output in a file; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(env or {})
        tempfile.tempdir = None  # reset, because TMPDIR may differ
        setproctitle(f"airflow {' '.join(command)}")
        sys.argv = ["airflow", *command]
        code = _airflow()
    finally:
        os._exit(code)  # never return into the parent's loop


def _airflow() -> int:
    """Run Airflow's entry point with sys.argv; return its exit code."""
    entry = importlib.import_module(ENTRY)
    try:
        entry.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _commands(descriptor: int) -> list[str] | None:
    """Return the lines written within `POLL_S`; None if the other end is closed."""
    readable, _, _ = select.select([descriptor], [], [], POLL_S)
    if not readable:
        return []
    return os.read(descriptor, MAX_COMMAND_BYTES).decode().splitlines() or None


def _execute(command: str, running: dict[int, str]) -> None:
    """Stop a component: "KILL worker-1" with SIGKILL, "TERM worker-1" with SIGTERM first.

    An Airflow scheduler sometimes ignores SIGTERM although it logs that it exits.
    """
    action, name = command.split()
    for process in [psutil.Process(pid) for pid, its_name in running.items() if its_name == name]:
        deadline = time.monotonic() + TASK_GRACE_S
        if action == "TERM":
            process.terminate()
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(POLL_S)
        _kill_tree(process)


def _kill_tree(process: psutil.Process) -> None:
    """Kill a process and its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


def _end_orphans(running: dict[int, str]) -> None:
    """Kill orphaned processes, which have become children of this process."""
    while orphans := [p for p in psutil.Process().children() if p.pid not in running]:
        for orphan in orphans:
            _kill_tree(orphan)
        psutil.wait_procs(orphans, timeout=POLL_S)


def _reap(running: dict[int, str]) -> tuple[str, int] | None:
    """Reap exited children; return name and exit code of a component among them, if any."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if not pid:
            return None
        if pid in running:
            return running.pop(pid), os.waitstatus_to_exitcode(status)


def _stop_all(running: dict[int, str]) -> None:
    """Stop all components and their descendants, with SIGTERM and then SIGKILL.

    Components that execute tasks are stopped first, so that tasks can still report their state.
    """
    executing = [pid for pid, name in running.items() if name.startswith(EXECUTING)]
    others = [pid for pid in running if pid not in executing]
    for pids, grace_s in ((executing, TASK_GRACE_S), (others, OTHERS_GRACE_S)):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        psutil.wait_procs([psutil.Process(pid) for pid in pids], timeout=grace_s)
    _end_orphans({})


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
