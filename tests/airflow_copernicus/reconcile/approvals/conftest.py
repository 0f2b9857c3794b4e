"""Ingests whose removals are more than their limits, and the person who is asked."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_copernicus.operators import CopernicusAskOperator, CopernicusRemoveOperator
from airflow_copernicus.runs import ingest_archive
from copernicus_dataspace_emulator import Emulator
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import DAY, INGEST, Ingests, stem

DAG_ID = "sentinel2_approve_removals"
COUNT = 5
LEFT = COUNT - 2
"""Five percent of so few are less than two, and two may go."""
RECORD = f"reports/{INGEST}/removals.json"


class Clock:
    """The time at which runs begin."""

    def __init__(self):
        self.now = datetime(2026, 11, 20, 3, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_days(self, days):
        self.now += timedelta(days=days)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(ingest_archive, "utc_now", made)
    return made


class Approvals(Ingests):
    """Ingests whose questions are asked and answered, by the run that was triggered for it."""

    run_id = "by hand"

    def ask(self, run_id=None, *, is_paused=False, ingest=INGEST, conf=None, **params):
        """Return the question of a run; raises AirflowSkipException where there is none."""
        self.registered()
        context = self._context(run_id, is_paused=is_paused, conf=conf or {})
        return CopernicusAskOperator(
            task_id="plan", ingest=ingest, outputs=[self.output.as_uri()], **params
        ).execute(context)

    def answer(self, run_id=None, *, is_approved, is_paused=False, **params):
        """Answer a run's question; return what the task returns."""
        self.registered()
        settled = CopernicusRemoveOperator(
            task_id="remove",
            ingest=INGEST,
            outputs=[self.output.as_uri()],
            is_approved=is_approved,
            **params,
        ).execute(self._context(run_id, is_paused=is_paused))
        return {**settled, "changes": self.changes(settled)}

    def _context(self, run_id, *, is_paused, **changes):
        run_id = run_id or self.run_id
        run_type = "operator_triggered" if run_id.startswith(INGEST) else "manual"
        context = make_context(dag_id=DAG_ID, run_id=run_id, run_type=run_type, **changes)
        context["dag"] = SimpleNamespace(params={"ingest": "", "with_rejected": False})
        context["ti"].get_dag = lambda _: SimpleNamespace(is_paused=is_paused, tags=["copernicus"])
        return context

    def questioned(self, run_id=None):
        """Return the names that a run has asked for."""
        (path,) = self.output.glob(f"runs/{DAG_ID}/{run_id or self.run_id}/*/question.json")
        return [one["name"] for one in json.loads(path.read_text())["removals"]]

    def file_of(self, product):
        (path,) = self.output.glob(f"bands/*/*/*/*/{stem(product)}/*.jp2")
        return path


@pytest.fixture
def emulator():
    """One that answers as fast as it can; what its limits do is tested elsewhere."""
    with Emulator(stac_requests_per_s=None, s3_requests_per_minute=None) as running:
        yield running


@pytest.fixture
def approvals(tmp_path, ingest):
    return Approvals.below(tmp_path, ingest)


def newer_of(product, connected, **changes):
    sensed = f"{datetime.fromisoformat(stem(product).split('_')[2]).isoformat()}.024Z"
    facts = {"baseline": "05.12", "generation": "2024-09-01T00:00:00Z", **changes}
    return connected.add(lake_product(sensed=sensed, **facts))


@pytest.fixture
def old(connected, ingest):
    """What is held of so many days, the oldest first."""
    days = [DAY - timedelta(days=ago) for ago in reversed(range(COUNT))]
    products = [connected.add(lake_product(sensed=f"{day}T08:36:01.024Z")) for day in days]
    ingest(first_day=f"{days[0]}", last_day=f"{DAY}")
    return products


@pytest.fixture
def new(connected, old):
    """What takes its place, each of one."""
    return [newer_of(product, connected) for product in old]


@pytest.fixture
def asked(approvals, new):
    """The night after which most of it waits for approval, and the question."""
    settled = approvals.reconcile()
    approvals.run_id = settled["request"]["trigger_run_id"]
    approvals.ask()
    return settled


def names(*products):
    return sorted(map(stem, products))


def flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
