"""Runs the components of one Airflow on this machine, and leaves none of them behind.

Started by stack.py, which holds the other end of standard input: when that end is closed, whether
by `Stack.stop()` or because the process that held it was killed, every component is stopped. A line
there, such as "KILL worker-1", ends one component. A component that has ended is started again, and
what it left behind ends, as if each were a container with `restart: always`.
Airflow is imported once, here; the components are forks of this process. That starts them in less
than half the time, because importing Airflow is most of the work. Knows nothing of health, DAGs or
the REST interface: stack.py does.
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
TASK_GRACE_S: Final = 8.0  # for tasks to end by themselves; what still runs then is killed
OTHERS_GRACE_S: Final = 2.0  # an idle triggerer takes ten seconds when it is let
POLL_S: Final = 0.2
MOST_BYTES: Final = 4096  # of orders read at once
MOST_RESTARTS: Final = 20  # on SQLite a component may die of a lock that another holds too long
PR_SET_PDEATHSIG: Final = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER: Final = 36
ENTRY: Final = "airflow.__main__"
WARM: Final = (  # imported while the database is made; the components would import them one by one
    "airflow.api_fastapi.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
)


def main() -> int:
    """Run the components named in the argument until told to stop; return the exit code.

    The argument is JSON: the folder of the logs, and for each component its name, its Airflow
    command line and environment variables of its own. The database is brought up to date first.
    """
    job = json.loads(sys.argv[1])
    logs, components = Path(job["logs"]), job["components"]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what loses its parent becomes our child and is found
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
        for name in WARM:
            importlib.import_module(name)
        while not stop_asked and (orders := _orders(sys.stdin.fileno())) is not None:
            for order in orders:
                _obey(order, running)
            ended = _reap(running)
            if ended == ("migrate", 0):
                running = {
                    _fork(logs / f"{name}.log", **components[name]): name for name in components
                }
            elif ended:
                name, code = ended
                print(f"{name} ended with exit code {code}", flush=True)
                if name not in components or restarts == MOST_RESTARTS:
                    return 1
                restarts += 1
                _end_orphans(running)
                running[_fork(logs / f"{name}.log", **components[name])] = name
    finally:
        _stop_all(running)
    return 0


def _fork(log: Path, command: list[str], env: Mapping[str, str] | None = None) -> int:
    """Return the process id of a fork that runs an Airflow command line, its output in a file."""
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
        tempfile.tempdir = None  # found anew, for TMPDIR may be this component's own
        setproctitle(f"airflow {' '.join(command)}")
        sys.argv = ["airflow", *command]
        code = _airflow()
    finally:
        os._exit(code)  # never return into the parent's loop


def _airflow() -> int:
    """Run Airflow's own entry point with sys.argv; return its exit code."""
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


def _orders(descriptor: int) -> list[str] | None:
    """Wait a moment; return the lines written meanwhile, None once the other end is closed."""
    readable, _, _ = select.select([descriptor], [], [], POLL_S)
    if not readable:
        return []
    return os.read(descriptor, MOST_BYTES).decode().splitlines() or None


def _obey(order: str, running: dict[int, str]) -> None:
    """End a component: "KILL worker-1" at once, "TERM worker-1" by request and then by force.

    An Airflow scheduler now and then says that it exits upon SIGTERM, and goes on.
    """
    how, name = order.split()
    for process in [psutil.Process(pid) for pid, its_name in running.items() if its_name == name]:
        deadline = time.monotonic() + TASK_GRACE_S
        if how == "TERM":
            process.terminate()
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(POLL_S)
        _kill_tree(process)


def _kill_tree(process: psutil.Process) -> None:
    """Kill a process and everything below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _end_orphans(running: dict[int, str]) -> None:
    """Kill what has lost its parent, and with that became a child of this process."""
    while orphans := [one for one in psutil.Process().children() if one.pid not in running]:
        for orphan in orphans:
            _kill_tree(orphan)
        psutil.wait_procs(orphans, timeout=POLL_S)


def _reap(running: dict[int, str]) -> tuple[str, int] | None:
    """Collect ended children; return name and exit code of a component among them, if any."""
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
    """End the components, by request and then by force, with everything they started.

    Those that execute tasks go first: a task that ends in time still finds the others there.
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
