"""Runs the emulator in a separate process, so that it does not share the GIL with a client.

The process is `benchmarks.support.service_program`; commands are lines of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
USER: Final = "user@example.org"
PASSWORD: Final = "correct horse"  # noqa: S105 - of the emulator's own user


class Service:
    """A running emulator, seen from outside.

    Attributes:
        addresses: URLs by their names in a connection, and the S3 keys.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("The process has no pipes.")
        self._to: IO[str] = process.stdin
        self._from: IO[str] = process.stdout
        self.addresses: dict[str, str] = self._answer()

    def statuses(self) -> dict[str, int]:
        """Return how often each service gave each status since the last call: ``stac 200``."""
        answers: dict[str, int] = self._ask("statuses")
        return answers

    def requests(self) -> int:
        """Return the number of requests since the last call of this or `statuses`."""
        return sum(self.statuses().values())

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Replace the scripted faults."""
        self._ask("script", faults)

    def digests(self, ending: str) -> dict[str, str]:
        """Return the SHA-256 of the file of that ending, by the name of each product."""
        digests: dict[str, str] = self._ask("digests", ending)
        return digests

    def _ask(self, what: str, about: Any = None) -> Any:
        self._to.write(json.dumps([what, about]) + "\n")
        self._to.flush()
        return self._answer()

    def _answer(self) -> Any:
        return json.loads(self._from.readline())


@contextmanager
def serving(recipes: Sequence[Mapping[str, Any]], **settings: Any) -> Iterator[Service]:
    """Run an emulator with products that are generated before this returns.

    Args:
        recipes: Arguments of the products' recipes.
        settings: Arguments of the emulator.
    """
    command = [sys.executable, "-m", "benchmarks.support.service_program"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None  # noqa: S101
        try:
            process.stdin.write(json.dumps([settings, recipes]) + "\n")
            process.stdin.flush()
            yield Service(process)
        finally:
            process.stdin.close()  # which lets it end and clean up
