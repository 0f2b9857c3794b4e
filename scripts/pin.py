"""`make pins`: turns the two .in files into requirement files with every version fixed.

One file serves all the Python versions the project runs on: where a package has left one of them,
there are two lines with a marker each. requirements-dev.txt adds to requirements.txt and never
changes a version of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
OLDEST: Final = "3.11"
COMPILE: Final = ("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--universal")
HEADER: Final = "# Made by `make pins` from {source}; do not edit. Python 3.11, 3.12 and 3.13."


def main() -> None:
    """Write both files."""
    run = _compiled("requirements.in")
    _write("requirements.txt", [HEADER.format(source="requirements.in"), *run])
    both = _compiled("-c", "requirements.txt", "requirements.in", "requirements-dev.in")
    only_dev = [line for line in both if line not in run]
    header = [HEADER.format(source="requirements-dev.in"), "-r requirements.txt"]
    _write("requirements-dev.txt", header + only_dev)


def _compiled(*what: str) -> list[str]:
    command = [*COMPILE, "--python-version", OLDEST, *what]
    return subprocess.run(
        command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()


def _write(name: str, lines: list[str]) -> None:
    (PROJECT / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
