"""Keeps what the processes of one host know of an account; tells nobody else, and never fails."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LOCK_WAIT_S: Final = 2.0
_LOCK_POLL_S: Final = 0.01
_MOST_BYTES: Final = 1 << 20
_PAUSE_AGE_S: Final = 600.0
_END_AGE_S: Final = 10.0
"""No pause is longer, so an older end tells nothing."""

_MOST_ENDS: Final = 20
_MOST_NUMBER: Final = 1e12
_OPEN: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""A link is an error, and a pipe in a file's place does not hold us up."""


class HostState:
    """A small JSON object shared by the processes of a host that use the same account.

    Its file is readable by its owner only and is replaced as a whole, so that a reader meets the
    old or the new value. The lock is the kernel's: it ends with the process that held it. Where
    the folder or a file cannot be used or not be trusted, the value lives in this process alone,
    from then on, and the log says so once.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Name the state; nothing is read or created.

        Args:
            folder: Created with mode 0700; one of another owner, one that others may write to,
                and a link are not used.
            key: Tells accounts apart; only its hash is written.
        """
        self._folder = folder
        self._name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._alone = False
        self._text = "{}"
        self._lock = threading.Lock()

    def exchange(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Read the value, change it and write it, undisturbed by others; return what was written.

        Takes some milliseconds, or 2 s where another process holds the lock and does not move.

        Args:
            change: Called once with the value, empty at first, and returns the new one; others
                wait meanwhile. What it raises is passed on, and nothing is written.
        """
        with self._lock, contextlib.ExitStack() as held:
            folder = self._tried(lambda: held.enter_context(self._locked()))
            if folder is not None:
                self._text = self._tried(lambda: self._read(folder)) or self._text
            self._text = json.dumps(change(json.loads(self._text)))
            if folder is not None:
                self._tried(lambda: self._write(folder))
            value: dict[str, Any] = json.loads(self._text)
            return value

    def _tried(self, step: Callable[[], T]) -> T | None:
        if self._alone:
            return None
        try:
            return step()
        except OSError as error:
            self._alone = True
            _warn_once(f"{self._folder}: {error.strerror or error}")
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the folder's descriptor while this process alone may use the files."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            folder = os.open(self._folder, _OPEN | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            _distrust(folder, stat.S_ISDIR)
            lock = os.open(
                f"{self._name}.lock", _OPEN | os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder
            )
            opened.callback(os.close, lock)
            _distrust(lock, stat.S_ISREG)
            _acquire(lock)
            opened.callback(fcntl.flock, lock, fcntl.LOCK_UN)
            yield folder

    def _read(self, folder: int) -> str:
        try:
            file = os.open(f"{self._name}.json", _OPEN | os.O_RDONLY, dir_fd=folder)
        except FileNotFoundError:
            return "{}"
        with open(file, "rb") as content:  # noqa: PTH123 - a descriptor has no path
            _distrust(file, stat.S_ISREG)
            text = content.read(_MOST_BYTES)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        return json.dumps(value) if isinstance(value, dict) else "{}"

    def _write(self, folder: int) -> None:
        name, fresh = f"{self._name}.json", f"{self._name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        file = os.open(fresh, _OPEN | os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        with open(file, "w", encoding="utf-8") as content:  # noqa: PTH123 - a descriptor
            content.write(self._text)
        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)


class SharedPace:
    """What the tasks of a host tell one another about an account's slots.

    Its callers' times are `time.monotonic`; the file's are wall times.
    """

    def __init__(self, host: HostState) -> None:
        self._host = host
        self._offset_s = time.time() - time.monotonic()

    def read(self) -> tuple[float | None, list[float]]:
        """Return the pause learnt within ten minutes and the last ends of transfers, if any."""
        record = _record(self._host.exchange(lambda state: state))
        age_s = time.time() - record["learnt_at"]
        if not 0 <= age_s <= _PAUSE_AGE_S or not 0 <= record["pause_s"] <= _END_AGE_S:
            return None, []
        return record["pause_s"], [end - self._offset_s for end in record["ends"]]

    def write(self, pause_s: float, learnt_at: float | None, ends: Iterable[float]) -> None:
        """Add ends, and the pause where it was learnt later than the one that is known."""

        def merged(state: dict[str, Any]) -> dict[str, Any]:
            record = _record(state)
            record["ends"] = sorted([*record["ends"], *(end + self._offset_s for end in ends)])
            record["ends"] = record["ends"][-_MOST_ENDS:]
            if learnt_at is not None and learnt_at + self._offset_s > record["learnt_at"]:
                record |= {"pause_s": pause_s, "learnt_at": learnt_at + self._offset_s}
            return {**state, "pace": record}

        self._host.exchange(merged)


def _record(state: dict[str, Any]) -> dict[str, Any]:
    """Return the part about the pace, without what is old or of another form."""
    found = state.get("pace")
    record = found if isinstance(found, dict) else {}
    ends = record.get("ends")
    now = time.time()
    return {
        "pause_s": _number(record.get("pause_s")),
        "learnt_at": min(_number(record.get("learnt_at")), now),
        "ends": [
            end
            for end in (map(_number, ends) if isinstance(ends, list) else ())
            if now - _END_AGE_S <= end <= now
        ],
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < _MOST_NUMBER else -1.0


def _distrust(file: int, is_kind: Callable[[int], bool]) -> None:
    """Raise PermissionError where another user owns the file, or may have written to it."""
    facts = os.fstat(file)
    if not is_kind(facts.st_mode):
        raise PermissionError("something of another kind is in its place")
    if facts.st_uid != os.geteuid():
        raise PermissionError(f"it belongs to user {facts.st_uid}")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("other users may write to it")


def _acquire(lock: int) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"its lock is held for more than {_LOCK_WAIT_S:g} s") from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


_warned = threading.Event()


def _warn_once(reason: str) -> None:
    if not _warned.is_set():
        _warned.set()
        logger.warning(
            "%s; tasks of this host learn the pace of an account each for itself. Give it a "
            "folder that only its user may write to.",
            reason,
        )
