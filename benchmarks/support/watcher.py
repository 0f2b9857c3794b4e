"""Hashes every file as soon as it has its final name, and again when it changes.

A separate program, so that it does not slow down what is measured: reads folder, suffix and digests
as one line of JSON, watches until its input ends, writes the paths that were ever wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.support.service import ROOT

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

_EVERY_S: Final = 0.1
"""A wrong file would exist for longer: downloads are retried after half a second."""


@contextmanager
def watching(folder: Path, ending: str, right: Mapping[str, str]) -> Iterator[list[str]]:
    """Watch a folder; the list holds the wrong paths afterwards.

    Args:
        folder: Which need not exist yet.
        ending: Of the files' names.
        right: SHA-256 by product name.
    """
    wrong: list[str] = []
    command = [sys.executable, "-m", "benchmarks.support.watcher"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(json.dumps([str(folder), ending, right]) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        yield wrong
        process.stdin.close()
        wrong += json.loads(process.stdout.readline())


def digests(folder: Path, ending: str, names: Container[str]) -> dict[str, str]:
    """Return the SHA-256 of the files below a folder, by the product whose folder they lie in."""
    return {product_of(path, names): _digest(path) for path in _files(folder, ending)}


def product_of(path: Path, names: Container[str]) -> str:
    """Return the name of the product whose folder a file lies in."""
    parts = (part.removesuffix(".SAFE") for part in path.parts)
    return next((part for part in parts if part in names), "")


def _files(folder: Path, ending: str) -> Iterator[Path]:
    for top, _, names in os.walk(folder):  # passes over folders that vanish meanwhile
        yield from (Path(top, name) for name in names if name.endswith(ending))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Watcher:
    def __init__(self, folder: Path, ending: str, right: Mapping[str, str]) -> None:
        self.wrong: set[str] = set()
        self._folder = folder
        self._ending = ending
        self._right = right
        self._seen: set[tuple[str, int, int]] = set()

    def look(self) -> None:
        for path in _files(self._folder, self._ending):
            try:
                state = path.stat()
                key = (path.name, state.st_ino, state.st_mtime_ns)
                digest = "" if key in self._seen else _digest(path)
            except FileNotFoundError:  # moved meanwhile, found at its new path
                continue
            if key not in self._seen and digest != self._right.get(product_of(path, self._right)):
                self.wrong.add(str(path))
            self._seen.add(key)


def main() -> None:
    """Watch until the input ends."""
    folder, ending, right = json.loads(sys.stdin.readline())
    watcher = _Watcher(Path(folder), ending, right)
    print("looking", flush=True)
    while not select.select([sys.stdin], [], [], _EVERY_S)[0]:
        watcher.look()
    watcher.look()
    print(json.dumps(sorted(watcher.wrong)))


if __name__ == "__main__":
    main()
