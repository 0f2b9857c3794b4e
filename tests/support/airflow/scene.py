"""A backfill on a cluster: products by the day, what must stand afterwards, and what was asked."""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath

from copernicus_dataspace_emulator import Emulator, make_product
from dev_airflow.cluster import cluster
from tests.e2e.conftest import DAG, Rehearsal

FIRST = date(2024, 6, 1)
NOW = "2026-11-20T12:00:00Z"
TRANSFER_SERVICES = ("download", "stac", "s3")
SCALE = 0.0001
_TAKEN = re.compile(r"execute_workload\[[0-9a-f-]+\] received")


@dataclass
class Scene:
    """Days of products, and the cluster that is to fetch them."""

    rehearsal: Rehearsal
    days: int
    right: dict[str, bytes]
    """The one wanted file of each product, by the product's name without .SAFE."""
    standing: Callable[[], dict[str, bytes]]
    """Returns every file that stands below bands/, by its path there."""

    @property
    def airflow(self):
        return self.rehearsal.airflow

    @property
    def emulator(self):
        return self.rehearsal.emulator

    def backfill(self, max_active_runs=3):
        """Begin a backfill of all days; return the ids of its runs."""
        self.airflow.unpause(DAG)
        body = {
            "dag_id": DAG,
            "from_date": f"{FIRST}T00:00:00Z",
            "to_date": f"{FIRST + timedelta(days=self.days - 1)}T00:00:00Z",
            "max_active_runs": max_active_runs,
            "dag_run_conf": {},
        }
        self.airflow.create("backfills", body)
        return [
            f"backfill__{FIRST + timedelta(days=number)}T23:59:59+00:00"
            for number in range(self.days)
        ]

    def all_green(self, runs, timeout_s):
        """Wait for every run; tell whether all succeeded."""
        deadline = time.monotonic() + timeout_s
        states = {
            run: self.rehearsal.finished(run, timeout_s=deadline - time.monotonic()) for run in runs
        }
        assert set(states.values()) == {"success"}, states
        return True

    def wrong(self):
        """Return the names of products whose file is missing, or not what the emulator offers."""
        files = {PurePosixPath(path): content for path, content in self.standing().items()}
        items = {path.parent for path in files if path.name == "item.json"}
        scl = {path: content for path, content in files.items() if path.name != "item.json"}
        assert items == {path.parent for path in scl}
        found = {path.parent.name: content for path, content in scl.items()}
        assert len(found) == len(scl), "something else was delivered, too"
        assert found.keys() <= self.right.keys()
        return [name for name, content in self.right.items() if found.get(name) != content]

    def refused_share(self):
        """Return which share of the requests for bytes and for listings was answered 429."""
        statuses = [r.status for r in self.emulator.requests if r.service in TRANSFER_SERVICES]
        return statuses.count(429) / len(statuses)

    def fetched(self):
        """Return how often each product's file was sent as a whole, by product."""
        sent = Counter()
        for one in self.emulator.requests:
            if one.service == "download" and one.status == 200 and "SCL_20m" in one.path:
                (name,) = re.findall(r"Nodes\((S2[^)]*)\.SAFE\)", one.path)
                sent[name] += one.bytes_sent == len(self.right[name])
        return sent

    def taken(self):
        """Return how many tasks each worker was given."""
        logs = sorted(self.airflow.logs.glob("worker-*.log"))
        return {log.stem: len(_TAKEN.findall(log.read_text())) for log in logs}


def host_of_its_own(folder):
    """Return the environment of a worker that shares no folder with others."""
    for name in ("state", "tmp", "logs"):
        (folder / name).mkdir(parents=True)
    (folder / "state").chmod(0o700)
    return {
        "COPERNICUS_STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
    }


@contextlib.contextmanager
def scene(folder, *, days, a_day, bucket=None, env=None, own_env=None, **service):
    """Run a cluster against an emulator that offers so many products on each of the days.

    Files go to a folder, or to a bucket, which has a `uri` and tells what is `standing` in it.
    """
    output = folder / "output"
    with Emulator(now=NOW, **service) as emulator:
        products = [emulator.add(recipe) for recipe in recipes(days, a_day)]
        settings = {
            "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(emulator.connection()),
            "SENTINEL2_OUTPUT_URI": bucket.uri if bucket else output.as_uri(),
            "COPERNICUS_STATE_DIR": str(folder / "state"),
            **(env or {}),
        }
        right = {one.name.removesuffix(".SAFE"): scl_bytes(one) for one in products}
        with cluster(folder / "home", settings, own_env) as airflow:
            standing = bucket.standing if bucket else lambda: below(output / "bands")
            yield Scene(Rehearsal(airflow, emulator, output), days, right, standing)


def below(folder):
    """Return content by path of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def recipes(days, a_day):
    """Give so many products over the lake on each of the days."""
    for day in range(days):
        for number in range(a_day):
            minute, second = divmod(number, 60)
            sensed = f"{FIRST + timedelta(days=day)}T08:{minute:02}:{second:02}.024Z"
            seed = day * 1000 + number
            yield make_product(sensed=sensed, tile="36TXL", cloud_cover=5.0, scale=SCALE, seed=seed)


def scl_bytes(product):
    """Return the content of the one file that the shipped DAG wants."""
    (path,) = (path for path in product.content.members if path.endswith("_SCL_20m.jp2"))
    return product.read(path)
