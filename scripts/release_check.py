"""`make release-check`: whether what is committed can be released. Changes nothing.

The working tree must be clean. The wheel is built from the last commit, and installed in new
environments: for each supported Python that this machine has, with the lowest and with the newest
versions of what it needs, and once without extras. In each the programs of tests/support/release
run. The documentation is built. Needs a network, for the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
PROGRAMS: Final = PROJECT / "tests" / "support" / "release"
PYTHONS: Final = ("3.11", "3.12", "3.13")
RESOLUTIONS: Final = ("lowest-direct", "highest")
EXTRAS: Final = ",".join(
    tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
)


def main() -> None:
    """Run all checks; the first that fails ends the program with a message."""
    _check_tree()
    with tempfile.TemporaryDirectory(prefix="release-check-") as name:
        folder = Path(name)
        tools = _tools(folder)
        wheel = _build(folder, tools)
        found = {version: _find(version, tools) for version in PYTHONS}
        for version, python in found.items():
            if python is None:
                print(f"Python {version} is not on this machine: NOT CHECKED")
                continue
            for resolution in RESOLUTIONS:
                _try(f"{wheel}[{EXTRAS}]", python, resolution, tools, "installed.py", "extras.py")
        newest = next(python for python in reversed(found.values()) if python)
        _try(str(wheel), newest, "highest", tools, "installed.py")
        print("Building the documentation")
        sphinx = (sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--nitpicky")
        _run(*sphinx, str(folder / "source" / "docs"), str(folder / "docs"))
    print("Good to release" + ("" if all(found.values()) else ", but for the Pythons not checked"))


def _check_tree() -> None:
    if _run("git", "status", "--porcelain").strip():
        raise SystemExit("The working tree has changes; commit or remove them first.")
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    lines = (PROJECT / "CHANGELOG.md").read_text().splitlines()
    newest = next(line for line in lines if line.startswith("## "))
    if not newest.startswith(f"## {version} "):
        raise SystemExit(f"CHANGELOG.md begins with {newest!r}, but the version is {version}.")


def _tools(folder: Path) -> Path:
    """Install build, twine and uv; return the folder of their commands."""
    tools = folder / "tools"
    _run(sys.executable, "-m", "venv", str(tools))
    requirements = str(PROJECT / "requirements-release.txt")
    install = ("-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements)
    _run(str(tools / "bin" / "python"), *install)
    return tools / "bin"


def _build(folder: Path, tools: Path) -> Path:
    """Build from the last commit; return the wheel."""
    print("Building the wheel")
    source, dist = folder / "source", folder / "dist"
    source.mkdir()
    _run("git", "archive", "--output", str(folder / "source.tar"), "HEAD")
    _run("tar", "--extract", "--file", str(folder / "source.tar"), "--directory", str(source))
    _run(str(tools / "python"), "-m", "build", "--outdir", str(dist), str(source))
    _run(str(tools / "twine"), "check", "--strict", *map(str, dist.iterdir()))
    (wheel,) = dist.glob("*.whl")
    return wheel


def _find(version: str, tools: Path) -> str | None:
    """Return the path of a Python of this machine, of pyenv and uv too; None if there is none."""
    pyenv = sorted(map(str, Path("~/.pyenv/versions").expanduser().glob("*/bin")))
    path = os.pathsep.join([os.environ["PATH"], *pyenv])
    command = [str(tools / "uv"), "python", "find", "--no-python-downloads", "--system", version]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    return done.stdout.strip() or None


def _try(wheel: str, python: str, resolution: str, tools: Path, *programs: str) -> None:
    """Install a wheel in a new environment, and run programs there."""
    print(f"{python}, {resolution} versions: {Path(wheel).name}")
    with tempfile.TemporaryDirectory(prefix="release-check-") as folder:
        own = f"{folder}/environment/bin/python"
        _run(str(tools / "uv"), "venv", "--quiet", "--python", python, f"{folder}/environment")
        install = ("pip", "install", "--quiet", "--python", own, "--resolution", resolution)
        _run(str(tools / "uv"), *install, wheel)
        for program in programs:
            _run(own, "-P", str(PROGRAMS / program), folder, AIRFLOW_HOME=f"{folder}/airflow")


def _run(*command: str, **variables: str) -> str:
    """Run a command; return its output.

    Raises:
        SystemExit: It failed; the message has the end of its output.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", **variables}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise SystemExit(f"{said}\n{' '.join(command)} failed with status {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    main()
