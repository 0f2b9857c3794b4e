"""Keeps a small value in a locked file for the processes of a host, and never fails."""

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
    from collections.abc import Callable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LOCK_WAIT_S: Final = 2.0
_FIRST_POLL_S: Final = 0.01
_LAST_POLL_S: Final = 0.25
_MOST_BYTES: Final = 1 << 20
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OPEN: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""A link is an error, and a pipe in a file's place does not hold us up."""


class SharedFile:
    """A small JSON object shared by the processes of a host that use the same account.

    Its file is readable by its owner only and is replaced as a whole, so that a reader meets the
    old or the new value. The lock is the kernel's: it ends with the process that held it. Where
    the folder or a file cannot be used or not be trusted, the value lives in this process alone,
    from then on, and the log says so once.

    Attributes:
        is_alone: Whether the value lives in this process alone.
    """

    def __init__(
        self,
        folder: Path | None,
        key: str,
        *,
        lock_wait_s: float = _LOCK_WAIT_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Name the state; nothing is read or created.

        Args:
            folder: Created with mode 0700; one of another owner, one that others may write to,
                and a link are not used. None for a value of this process.
            key: Tells values apart; only its hash is written.
            lock_wait_s: Longest time in seconds to wait for another process.
            pause: Waits that many seconds for the lock; what it raises ends the waiting.
        """
        self._folder = folder
        self._name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._lock_wait_s = lock_wait_s
        self._pause = pause
        self.is_alone = folder is None
        self._text = "{}"
        self._lock = threading.Lock()

    def exchange(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Read the value, change it and write it, undisturbed by others; return what was written.

        Takes some milliseconds, and longer while another process holds the lock.

        Args:
            change: Called once with the value, empty at first, and returns the new one; others
                wait meanwhile. What it raises is passed on, and nothing is written.
        """
        with self._lock, contextlib.ExitStack() as held:
            folder = self._tried(lambda: held.enter_context(self._locked()))
            if folder is not None:
                self._text = self._tried(lambda: self._read(folder)) or self._text
            before = self._text
            self._text = json.dumps(change(json.loads(before)))
            if folder is not None and self._text != before:
                self._tried(lambda: self._write(folder))
            value: dict[str, Any] = json.loads(self._text)
            return value

    def _tried(self, step: Callable[[], T]) -> T | None:
        if self.is_alone:
            return None
        try:
            return step()
        except OSError as error:
            self.is_alone = True
            _warn_once(f"{self._folder}: {error.strerror or error}")
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the folder's descriptor while this process alone may use the files."""
        assert self._folder is not None, "a state without a folder is alone"  # noqa: S101
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            folder = os.open(self._folder, _OPEN | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            _distrust(folder, stat.S_ISDIR, stat.S_IWGRP | stat.S_IWOTH)
            lock = os.open(
                f"{self._name}.lock", _OPEN | os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder
            )
            opened.callback(os.close, lock)
            _distrust(lock, stat.S_ISREG, _OTHERS)
            self._acquire(lock)
            try:
                yield folder
            finally:
                with contextlib.suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_UN)

    def _acquire(self, lock: int) -> None:
        deadline, poll_s = time.monotonic() + self._lock_wait_s, _FIRST_POLL_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    message = f"its lock is held for more than {self._lock_wait_s:g} s"
                    raise TimeoutError(message) from None
                self._pause(poll_s)
                poll_s = min(2 * poll_s, _LAST_POLL_S)
            else:
                return

    def _read(self, folder: int) -> str:
        try:
            file = os.open(f"{self._name}.json", _OPEN | os.O_RDONLY, dir_fd=folder)
        except FileNotFoundError:
            return "{}"
        with open(file, "rb") as content:  # noqa: PTH123 - a descriptor has no path
            _distrust(file, stat.S_ISREG, _OTHERS)
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


def _distrust(file: int, is_kind: Callable[[int], bool], forbidden: int) -> None:
    """Raise PermissionError where another user owns the file, or has one of those rights."""
    facts = os.fstat(file)
    if not is_kind(facts.st_mode):
        raise PermissionError("something of another kind is in its place")
    if facts.st_uid != os.geteuid():
        raise PermissionError(f"it belongs to user {facts.st_uid}")
    if facts.st_mode & forbidden:
        raise PermissionError("other users have rights to it")


_warned = threading.Event()


def _warn_once(reason: str) -> None:
    if not _warned.is_set():
        _warned.set()
        logger.warning(
            "%s; each task of this host logs in, spaces its requests and learns the limits of the "
            "account for itself. Give them a folder that only their user may write to.",
            reason,
        )
