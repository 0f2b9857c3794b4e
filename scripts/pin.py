"""`make pins`: compiles requirement files with pinned versions and hashes.

What the wheel needs, with all extras, is read from pyproject.toml; what a deployment and the tests
need beside it, and what makes a release, from the .in files.

The files in tests/peers are also compiled; each file name is the name of a package.

Existing pins are kept if these files allow them; with ``--upgrade`` all are updated. Each file
serves all supported Python versions: if a package has dropped one of them, it has two entries with
markers. requirements-dev.txt adds packages to requirements.txt and never changes a version of it.
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
RUNTIME: Final = ("pyproject.toml", "--all-extras", "requirements.in")
COMPILE: Final = (
    *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"),
    *("--universal", "--generate-hashes", "--no-strip-extras", "--python-version", OLDEST),
)
HEADER: Final = "# Made by `make pins` from {source}; do not edit. Python 3.11, 3.12 and 3.13."


def main() -> None:
    """Write all files; arguments are passed to ``uv pip compile``."""
    runtime = _compiled("requirements.txt", *RUNTIME)
    sources = "pyproject.toml and requirements.in"
    _write("requirements.txt", [HEADER.format(source=sources), *runtime])
    both = _compiled(
        "requirements-dev.txt", *RUNTIME, "requirements-dev.in", "-c", "requirements.txt"
    )
    only_dev = [entry for entry in both if entry not in runtime]
    header = HEADER.format(source="requirements-dev.in")
    _write("requirements-dev.txt", [header, "-r requirements.txt", *only_dev])
    release = _compiled("requirements-release.txt", "requirements-release.in")
    header = HEADER.format(source="requirements-release.in")
    _write("requirements-release.txt", [header, *release])
    for file in sorted((PROJECT / PEERS).glob("*.txt")):
        target = f"{PEERS}/{file.name}"
        entries = _compiled(target, "-", stdin=file.stem)
        _write(target, [HEADER.format(source="its name"), *entries])


def _compiled(target: str, *sources: str, stdin: str | None = None) -> list[str]:
    """Compile a file with uv, which keeps existing pins; return its entries with their hashes."""
    command = [*COMPILE, *sys.argv[1:], "--output-file", target, *sources]
    subprocess.run(command, cwd=PROJECT, check=True, input=stdin, text=True)
    entries = re.split(r"^(?=[^\s#-])", (PROJECT / target).read_text(), flags=re.M)
    return [entry.rstrip() for each in entries[1:] for entry in _with_and_without_extras(each)]


def _with_and_without_extras(entry: str) -> list[str]:
    """Return an entry with and without its extras: pip needs hashes for both forms."""
    return list(dict.fromkeys((re.sub(r"^([^\[=]+)\[[^\]]*\]", r"\1", entry), entry)))


def _write(name: str, lines: list[str]) -> None:
    (PROJECT / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
