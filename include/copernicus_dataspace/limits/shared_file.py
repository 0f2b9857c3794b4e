"""A small JSON object in a locked file, shared by the processes of a host; never fails."""

from __future__ import annotations

import contextlib
import fcntl
import functools
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
"""A link is an error, and a pipe in place of a file does not block."""


class SharedFile:
    """A small JSON object shared by the processes of a host that use the same account.

    The file is readable by its owner only and is replaced atomically. The lock is a kernel lock: it
    ends with its process. If the folder or a file cannot be used or trusted, the value is kept in
    this process only from then on, and a warning is logged once.

    Attributes:
        is_alone: Whether the value is kept in this process only.
    """

    def __init__(
        self,
        folder: Path | None,
        key: str,
        *,
        lock_wait_s: float = _LOCK_WAIT_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Choose the file; nothing is read or created.

        Args:
            folder: Created with mode 0700; not used if it has another owner, is writable by
                others, or is a link. None to keep the value in this process only.
            key: Identifies the value; only its hash is written.
            lock_wait_s: Maximum time in seconds to wait for the lock.
            pause: Waits for a number of seconds; its exceptions end the waiting.
        """
        self._folder = folder
        self._name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._lock_wait_s = lock_wait_s
        self._pause = pause
        self.is_alone = folder is None
        self._text = "{}"
        self._lock = threading.Lock()

    def exchange(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Read, change and write the value under the lock; return what was written.

        Takes some milliseconds, and longer while another process holds the lock.

        Args:
            change: Called once with the value (initially empty) while the lock is held; returns
                the new one. If it raises, nothing is written.
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
            _warn(f"{self._folder}: {error.strerror or error}")
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the folder's descriptor while the lock is held."""
        assert self._folder is not None, "without a folder the value is not shared"  # noqa: S101
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
                    message = (
                        f"its lock has been held by another process for {self._lock_wait_s:g} s"
                    )
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
    """Raise PermissionError if another user owns the file or has a forbidden permission."""
    facts = os.fstat(file)
    if not is_kind(facts.st_mode):
        raise PermissionError("it is not a regular file or folder")
    if facts.st_uid != os.geteuid():
        raise PermissionError(f"it belongs to user {facts.st_uid}")
    if facts.st_mode & forbidden:
        raise PermissionError("other users have permissions on it")


@functools.cache  # each reason once in a process
def _warn(reason: str) -> None:
    logger.warning(
        "%s; login session, request spacing and learned limits are not shared between the "
        "processes of this host. Use a state folder that only their user can write to.",
        reason,
    )
