"""`make pins`: turns the two .in files into requirement files with every version and hash fixed.

Each file of tests/peers is made anew from its name, which is that of a package.

Versions that the files have already stay as they are, unless an .in file forbids them; with
``--upgrade`` each is the newest that fits. One file serves all the Python versions the project runs
on: where a package has left one of them, there are two entries with a marker each.
requirements-dev.txt adds to requirements.txt and never changes a version of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = "tests/peers"
OLDEST: Final = "3.11"
COMPILE: Final = (
    *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"),
    *("--universal", "--generate-hashes", "--no-strip-extras", "--python-version", OLDEST),
)
HEADER: Final = "# Made by `make pins` from {source}; do not edit. Python 3.11, 3.12 and 3.13."


def main() -> None:
    """Write all files; arguments go to ``uv pip compile``."""
    run = _compiled("requirements.txt", "requirements.in")
    _write("requirements.txt", [HEADER.format(source="requirements.in"), *run])
    both = _compiled(
        "requirements-dev.txt", "-c", "requirements.txt", "requirements.in", "requirements-dev.in"
    )
    only_dev = [entry for entry in both if entry not in run]
    header = [HEADER.format(source="requirements-dev.in"), "-r requirements.txt"]
    _write("requirements-dev.txt", header + only_dev)
    for file in sorted((PROJECT / PEERS).glob("*.txt")):
        target = f"{PEERS}/{file.name}"
        entries = _compiled(target, "-", given=file.stem)
        _write(target, [HEADER.format(source="its name"), *entries])


def _compiled(target: str, *what: str, given: str | None = None) -> list[str]:
    """Let uv write a file, whose versions it keeps; return its entries, each with its hashes."""
    command = [*COMPILE, *sys.argv[1:], "--output-file", target, *what]
    subprocess.run(command, cwd=PROJECT, check=True, input=given, text=True)
    entries = re.split(r"^(?=[^\s#-])", (PROJECT / target).read_text(), flags=re.M)
    return [entry.rstrip() for each in entries[1:] for entry in _with_and_without_extras(each)]


def _with_and_without_extras(entry: str) -> list[str]:
    """Return an entry, and one without its extras: pip wants a hash for either when it is asked."""
    return list(dict.fromkeys((re.sub(r"^([^\[=]+)\[[^\]]*\]", r"\1", entry), entry)))


def _write(name: str, lines: list[str]) -> None:
    (PROJECT / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
