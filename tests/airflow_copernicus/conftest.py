"""Runs the operators as Airflow would, without a database: search, each batch, publish."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace import service
from copernicus_dataspace.errors import DataSpaceError
from copernicus_dataspace.limits.backoff import Timing
from copernicus_dataspace_emulator import make_product

SENSED = "2024-08-01T08:36:01.024Z"
QUERY = (
    *("area", "tiles", "product_type", "max_cloud_cover", "first_day", "last_day"),
    *("product_ids", "versions"),
)
WANTED = ("transfer", "keep_archive", "overwrite")


@dataclass
class Events:
    """Stands in for the events of an asset."""

    partitions: list[str] = field(default_factory=list)
    extra: dict[str, Any] | None = None

    def add_partitions(self, keys):
        self.partitions += keys


@dataclass
class TaskInstance:
    """Stands in for Airflow's; ``pushed`` are XComs by key."""

    try_number: int = 1
    task_id: str = "search"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key, value):
        self.pushed[key] = value


@dataclass
class Ran:
    """What one run left behind."""

    output: Path
    batches: list[dict[str, Any]]
    errors: list[DataSpaceError]
    published: dict[str, Any] | None
    partitions: list[str]
    summary: dict[str, Any]

    @property
    def files(self):
        """Path below bands/ of everything delivered."""
        bands = self.output / "bands"
        return sorted(str(p.relative_to(bands)) for p in bands.rglob("*") if p.is_file())

    @property
    def staged(self):
        staging = self.output / ".staging"
        return sorted(p.name for p in staging.rglob("*") if p.is_file())


def make_context(day="2024-08-01", run_id="scheduled__2024-08-01", run_type="scheduled", **changes):
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    facts = {  # a run by hand has the interval its logical date implies
        "dag_id": "sentinel2_daily",
        "run_id": run_id,
        "run_type": run_type,
        "logical_date": start + timedelta(hours=36 if run_type == "manual" else 0),
        "data_interval_start": start,
        "data_interval_end": start + timedelta(days=1),
        "conf": {},
        "run_after": start + timedelta(days=2),
    }
    return {
        "dag_run": SimpleNamespace(**{**facts, **changes}),
        "ti": TaskInstance(),
        "outlet_events": {None: Events()},
    }


@pytest.fixture(autouse=True)
def _forgotten_secrets():
    """Airflow compiles all secrets it has met into one pattern, anew for each further one."""
    yield
    reset_secrets_masker()


@pytest.fixture
def connect(monkeypatch):
    """Store a connection, given as Airflow's JSON."""

    def store(connection, conn_id="copernicus_default"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return store


@pytest.fixture
def connected(emulator, connect):
    connect(emulator.connection())
    return emulator


@pytest.fixture(autouse=True)
def state_dir(monkeypatch, tmp_path):
    """What the tasks of a host share, for the one host of this test."""
    monkeypatch.setenv("COPERNICUS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Shorten the waits between tries; what they are is tested with the retries themselves."""
    quick = Timing(probe_s=0.01, lateness_s=0.08, longest_wait_s=60, negligible_s=0.002)
    limits = service.ServiceLimits(first_wait_s=0.01, slots=quick)
    monkeypatch.setattr(service, "SERVICE_LIMITS", limits)


@pytest.fixture
def ingest(connected, tmp_path):
    """Return what runs the whole chain on a context, with any of the DAG's params changed."""

    def run(context=None, **params):
        context = context or make_context()
        asked = {"tiles": ["T36TXL"], "bands": ["SCL_20m"], **params}
        output = {"output_uri": (tmp_path / "output").as_uri()}
        wanted = {name: asked[name] for name in ("bands", *WANTED) if name in asked}
        query = {name: asked[name] for name in QUERY if name in asked}
        search = CopernicusSearchOperator(task_id="search", bands=asked["bands"], **query, **output)
        batches = search.execute(context)
        errors = []
        for batch in batches:
            for kind in (CopernicusDownloadOperator, CopernicusExtractOperator):
                step = kind(task_id="step", batch=batch, **wanted, **output)
                try:
                    step.execute(context)
                except DataSpaceError as error:
                    errors.append(error)
        return _published(context, output, batches, errors, tmp_path / "output")

    return run


def _published(context, output, batches, errors, folder):
    events = Events()
    publish = CopernicusPublishOperator(task_id="publish", search_id="search", **output)
    publish.outlets = ["day"]
    published = None
    try:
        published = publish.execute({**context, "outlet_events": {"day": events}})
    except DataSpaceError as error:
        errors.append(error)
    (summary,) = folder.glob(f"runs/*/{context['dag_run'].run_id}/summary.json")
    return Ran(
        output=folder,
        batches=batches,
        errors=errors,
        published=published,
        partitions=events.partitions,
        summary=json.loads(summary.read_text()),
    )


def lake_product(**changes):
    facts = {
        "tile": "36TXL",
        "sensed": SENSED,
        "level": "L2A",
        "platform": "A",
        "baseline": "05.11",
    }
    return make_product(**{**facts, "cloud_cover": 12.5, "scale": 0.001, **changes})


def scl_of(product):
    (path,) = (path for path in product.files if path.endswith("_SCL_20m.jp2"))
    return path


def transfers(emulator):
    return [request for request in emulator.requests if request.service == "download"]
