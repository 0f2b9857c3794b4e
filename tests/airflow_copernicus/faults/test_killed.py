"""SIGKILL at any time, then the same run again: all is right in the end, and little is repeated."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copernicus_dataspace_emulator import Emulator, Fault
from tests.airflow_copernicus.conftest import lake_product

BANDS = ["SCL_20m", "B04_10m", "B8A_20m"]
WAYS = ({"transfer": "files"}, {"transfer": "archive", "keep_archive": True})
KILLS = 20
SAMPLE = (2, 7, 12, 17)
"""Two of each way, from the beginning to the end of the run."""

_ROOT = Path(__file__).parents[3]
_random = random.Random(20240801)  # noqa: S311
_SHARES = [(number + _random.random()) / KILLS for number in range(KILLS)]
_NODE = re.compile(r"Nodes\(([^/]*)\)")


class Truth:
    """What ten products are."""

    def __init__(self, products):
        self.ids = {one.name.removesuffix(".SAFE"): one.id for one in products}
        self.md5 = {one.name.removesuffix(".SAFE"): one.md5 for one in products}
        self.paths = {
            (one.name.removesuffix(".SAFE"), path.rpartition("/")[2]): path
            for one in products
            for path in one.files
            if path.endswith(tuple(f"_{band}.jp2" for band in BANDS))
        }
        contents = {one.name.removesuffix(".SAFE"): one for one in products}
        self.bytes = {
            (stem, name): contents[stem].read(path) for (stem, name), path in self.paths.items()
        }

    def is_right(self, path):
        """Whether a file below the output is what its name promises."""
        if path.name == "item.json":
            return self._is_right_item(path)
        if path.suffix == ".json":
            return json.loads(path.read_bytes()) is not None
        if path.suffix == ".zip":
            content = path.read_bytes()
            return hashlib.md5(content).hexdigest() == self.md5[path.stem]  # noqa: S324
        return path.suffix == ".txt" or path.read_bytes() == self.bytes[_stem(path), path.name]

    def _is_right_item(self, path):
        item, stem = json.loads(path.read_bytes()), path.parent.name
        assets = {Path(asset["href"]).name: asset for asset in item["assets"].values()}
        wanted = {name: self.bytes[key] for key in self.bytes if key[0] == stem for name in key[1:]}
        return (
            item["properties"]["dataspace:product_id"] == self.ids[stem]
            and {name: asset["file:size"] for name, asset in assets.items()}
            == {name: len(content) for name, content in wanted.items()}
            and all((path.parent / name).read_bytes() == wanted[name] for name in wanted)
        )


def _stem(path):
    """Product of a file in `bands` or in staging."""
    (stem,) = {part.removesuffix(".SAFE") for part in path.parts if part.startswith("S2A_MSIL2A")}
    return stem


def files_of(output):
    """Everything below the output that has got its name, notes of what was moved left out."""
    found = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".part"]
    return [path for path in found if ".usage" not in path.parts]


@pytest.fixture(scope="module")
def emulator():
    slow = Fault("download", "trickle", match="B04_10m", times=None, bytes_per_s=2e6)
    with Emulator(bytes_per_s=20e6, stac_requests_per_s=None) as running:
        running.faults.add(slow)  # so that kills fall between the files of one product
        yield running


@pytest.fixture(scope="module")
def truth(emulator):
    sensed = [f"2024-08-01T08:3{digit}:01.024Z" for digit in range(10)]
    return Truth([emulator.add(lake_product(sensed=one, scale=0.003)) for one in sensed])


@pytest.fixture(scope="module")
def mortal(emulator, tmp_path_factory):
    """Return what runs the ingest in a process of its own, and kills it if asked to."""
    folder = tmp_path_factory.mktemp("mortal")
    settings = {
        "PYTHONPATH": os.pathsep.join(
            [".", "include", "plugins", os.environ.get("PYTHONPATH", "")]
        ),
        "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(emulator.connection()),
        "AIRFLOW_HOME": str(folder),
    }
    command = [sys.executable, "-m", "tests.support.runs.mortal"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (folder / "log").open("w") as log:
        program = subprocess.Popen(
            command, cwd=_ROOT, env=os.environ | settings, stderr=log, **pipes
        )

        def run(output, way, kill_after_s=120):
            job = {"output_uri": output.as_uri(), "bands": BANDS, "kill_after_s": kill_after_s}
            program.stdin.write(json.dumps(job | way) + "\n")
            program.stdin.flush()
            code, seconds = json.loads(program.stdout.readline())
            assert code in (0, -signal.SIGKILL), (folder / "log").read_text()[-4000:]
            return code, seconds

        with program:
            yield run


@pytest.fixture(scope="module")
def duration_s(mortal, truth, tmp_path_factory):
    """Seconds of an undisturbed run, in each way."""
    return [mortal(tmp_path_factory.mktemp("whole"), way)[1] for way in WAYS]


def fetched(requests):
    """Product id and path, None for the zip, of each body that was sent."""
    bodies = [one for one in requests if one.service == "download" and one.status == 200]
    nodes = [(one.path[one.path.index("(") + 1 :][:36], _NODE.findall(one.path)) for one in bodies]
    return [(product_id, "/".join(names[1:]) or None) for product_id, names in nodes]


def settled(emulator):
    """Return the journal's length once the emulator has noticed that nobody listens any more."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        length = len(emulator.requests)
        time.sleep(0.1)
        if all(one.ended for one in emulator.requests) and len(emulator.requests) == length:
            return length
    raise AssertionError("the emulator is still answering a dead process")


def held_of(output, truth):
    """What stands and need not be fetched: product id and path, None for the zip."""
    files = [path for path in files_of(output) if path.suffix in (".jp2", ".zip")]
    zips = {(truth.ids[path.stem], None) for path in files if path.suffix == ".zip"}
    keys = [(_stem(path), path.name) for path in files if path.suffix == ".jp2"]
    return zips | {(truth.ids[stem], truth.paths[stem, name]) for stem, name in keys}


@pytest.fixture
def killed_and_run_again(mortal, emulator, truth, duration_s, tmp_path):
    def act(number):
        way, share = WAYS[number % 2], _SHARES[number]
        output, code, tries = tmp_path, 0, 0
        while code == 0:
            output = tmp_path / str(tries)
            code, _ = mortal(output, way, duration_s[number % 2] * share * 0.9**tries)
            tries += 1
        before = settled(emulator)
        assert [path for path in files_of(output) if not truth.is_right(path)] == []
        held = held_of(output, truth)

        assert mortal(output, way)[0] == 0
        again = fetched(emulator.requests[before:])
        wanted = {(truth.ids[stem], path) for (stem, _), path in truth.paths.items()}
        if way["transfer"] == "archive":
            wanted = {(product_id, None) for product_id in truth.ids.values()}
        assert sorted(again, key=str) == sorted(wanted - held, key=str)
        check_whole(output, truth, way)

    return act


def check_whole(output, truth, way):
    files = files_of(output)
    assert [path for path in files if not truth.is_right(path)] == []
    bands = {(_stem(path), path.name) for path in files if "bands" in path.parts}
    assert bands == {*truth.bytes, *((stem, "item.json") for stem in truth.ids)}
    zips = {path.stem for path in files if path.suffix == ".zip"}
    assert zips == (set(truth.ids) if way["transfer"] == "archive" else set())
    (summary,) = output.glob("runs/*/*/summary.json")
    assert json.loads(summary.read_text())["delivered"] == 10
    assert list(output.rglob("*.part")) == []
    assert [path for path in (output / ".staging").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", SAMPLE)
def test_a_killed_run_is_run_again(killed_and_run_again, number):
    killed_and_run_again(number)


@pytest.mark.long
@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_time_is_run_again(killed_and_run_again, number):
    killed_and_run_again(number)
