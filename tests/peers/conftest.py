"""Clients of other people, each in the environment that `make peers` has made for it.

They run as their documentation shows, against the emulator. Where the hosts stand in a client's
source, a copy of it with others in their place is used, and nothing else of it is changed.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from copernicus_dataspace_emulator import make_product

ENVIRONMENTS = Path(__file__).parents[2] / ".peers"
_TIME_OUT_S = 120


@dataclass
class Peer:
    """A client's environment, a home folder for it, and the copy that is used of it, if any."""

    name: str
    home: Path
    copies: Path | None = None

    @property
    def _programs(self):
        return ENVIRONMENTS / self.name / "bin"

    def renamed(self, package, addresses):
        """Use a copy of a package, in which other addresses stand for those in its source."""
        (source,) = (ENVIRONMENTS / self.name).glob(f"lib/python*/site-packages/{package}")
        self.copies = self.home / "copies"
        copy = shutil.copytree(source, self.copies / package)
        for module in copy.rglob("*.py"):
            text = module.read_text()
            for address, other in addresses.items():
                text = text.replace(address, other)
            module.write_text(text)

    def run(self, *command, **environment):
        """Run a program of the environment; return what it printed.

        Nothing of our own environment goes with it: neither proxies nor keys nor packages.
        """
        known = {
            "HOME": str(self.home),
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.copies or ""),
        }
        done = subprocess.run(
            [str(self._programs / command[0]), *map(str, command[1:])],
            capture_output=True,
            text=True,
            cwd=self.home,
            env=known | environment,
            timeout=_TIME_OUT_S,
        )
        assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def script(self, text, *arguments, **environment):
        """Run a script that writes ``result.json``; return what that holds."""
        self.run("python", "-c", text, *arguments, **environment)
        return json.loads((self.home / "result.json").read_text())


@pytest.fixture
def peer(tmp_path):
    """Return what gives a client by its name; skips where it is not installed."""

    def of(name):
        if not (ENVIRONMENTS / name / ".installed").is_file():
            pytest.skip(f"{name} is not installed: make peers")
        return Peer(name, tmp_path)

    return of


@pytest.fixture
def hosts(emulator):
    """The real hosts, and who stands for each."""
    urls = {
        name: getattr(emulator, f"{name}_url") for name in ("identity", "catalogue", "download")
    }
    return {
        f"https://{name}.dataspace.copernicus.eu": "/".join(url.split("/")[:3])
        for name, url in {**urls, "zipper": urls["download"]}.items()
    }


@pytest.fixture
def offered(emulator):
    """Two clear products of 1 August, in order of their names, and four that nobody asks for."""
    clear = [emulator.add(make_product(tile=tile, scale=0.0005)) for tile in ("36TXK", "36TXL")]
    for facts in (
        {"cloud_cover": 80.0, "sensed": "2024-08-01T08:46:01Z"},
        {"level": "L1C"},
        {"tile": "33TVM"},
        {"sensed": "2024-08-02T08:36:01Z"},
    ):
        emulator.add(make_product(content=False, **facts))
    return clear


@pytest.fixture
def arrived():
    """Return what gives the paths of a product's files in a folder, all of them right."""

    def paths(folder, product):
        files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
        held = {path: file for path, file in files.items() if file.is_file()}
        assert all(file.read_bytes() == product.read(path) for path, file in held.items())
        return set(held)

    return paths
