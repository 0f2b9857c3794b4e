"""A simulated fortnight under a real scheduler.

The scheduler's clock cannot be moved, so every night's two runs are triggered, with the logical
date that ends the day: a run by hand then asks for the day before it, and the reconcile for what a
scheduled one would look at. No run is scheduled, and Airflow's own retries are off: a run that
fails is as one that was tried again for two hours in vain. All else is as it is every night.
"""

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from copernicus_dataspace.errors import ServiceUnavailableError
from copernicus_dataspace_emulator import Emulator
from tests.e2e.conftest import DAG
from tests.support.airflow.workshop import RECONCILE, workshop
from tests.support.scenario.scenario import Scenario
from tests.support.scenario.upstream import Campaign, Plan, end_of
from tests.support.scenario.years import Year, exceptions

pytestmark = pytest.mark.long

FIRST = date(2024, 1, 1)
PLAN = Plan(
    14,
    late=0.06,
    halved=0.04,
    withdrawn=0.04,
    damaged=4,
    campaign=Campaign(first=2, stop=4, again=7, gone=9),
    outage=9,
)
SCENARIO = Scenario(FIRST, PLAN)
SCRUB_DAYS = 3
"""So that damage of the last days but three is found."""
INGEST = {
    "tiles": [f"T{name}" for name in SCENARIO.tiles],
    "publication_delay": "0 hours",
    "start_day": str(FIRST),
    "scrub_days": SCRUB_DAYS,
}


class Nights:
    """Triggers the runs of a night, and keeps its report.

    Attributes:
        reports: Of every night on which there was one, by day.
        repairs: Ids of the runs that repaired.
    """

    def __init__(self, rehearsal):
        self.reports = {}
        self._rehearsal = rehearsal
        self._known = set()

    @property
    def repairs(self):
        runs = self._rehearsal.runs(DAG, run_id_pattern="repair__", limit=100)
        assert {run["state"] for run in runs} == {"success"}
        return {run["dag_run_id"] for run in runs}

    def ingest(self, context, **_):
        """Run the ingest, as `Year` asks for it."""
        state = self._run(DAG, context["dag_run"].data_interval_end)
        silence = [] if state == "success" else [ServiceUnavailableError("the run failed")]
        return SimpleNamespace(errors=silence)

    def reconcile(self, day):
        """Run the reconcile of the night after a day."""
        state = self._run(RECONCILE, end_of(day))
        if SCENARIO.is_silent(end_of(day)):
            assert state == "failed"
            return
        assert state == "success", day
        (path,) = self._reports() - self._known
        self._known.add(path)
        report = self.reports[day] = json.loads(path.read_text())
        assert report["completeness"]["30"] == 100.0, day
        assert report["still_missing"] == 0

    def _run(self, dag, at):
        run = f"night__{at:%Y-%m-%d}"
        body = {"dag_run_id": run, "logical_date": at.isoformat(), "conf": {}}
        self._rehearsal.airflow.create(f"dags/{dag}/dagRuns", body)
        return self._rehearsal.finished(run, dag, timeout_s=600)

    def _reports(self):
        return {*self._rehearsal.output.glob(f"reports/{DAG}/20*.json")}


def test_a_fortnight_ends_with_a_right_archive(tmp_path):
    end = datetime(2024, 2, 1, tzinfo=UTC)
    with (
        Emulator(stac_requests_per_s=None, s3_requests_per_minute=None) as emulator,
        workshop(tmp_path, emulator, {DAG: INGEST}, per_repair=5, end=end) as rehearsal,
    ):
        nights = Nights(rehearsal)
        year = Year(emulator, SCENARIO, nights.ingest, rehearsal.output)
        for dag in (DAG, RECONCILE):
            rehearsal.airflow.unpause(dag)
        year.run(nights.reconcile)
        cost = year.assert_true()
        year.assert_linked()
        repairs = nights.repairs
    print(json.dumps(cost))  # noqa: T201 - the figures, with `pytest -s`
    silent = {day for day in SCENARIO.days if SCENARIO.is_silent(end_of(day))}
    assert len(silent) == 2
    assert {day for day, _ in year.errors} == silent
    rows = [row for report in nights.reports.values() for row in report["exceptions"]]
    assert exceptions(year, nights.reports) <= {(row["name"], row["state"]) for row in rows}
    assert len(year.damaged) == PLAN.damaged
    assert len(repairs) > len(year.damaged)
    assert cost["bytes_sent"]["download"] <= 1.1 * cost["minimum_bytes"]
