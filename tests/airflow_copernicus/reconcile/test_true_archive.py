"""A simulated time of the archive: the operators of both DAGs, day by day, whatever happens."""

import functools
import json
import time
from collections import Counter
from datetime import date

import pytest

from airflow_copernicus.operators import (
    CopernicusAskOperator,
    CopernicusAuditOperator,
    CopernicusRemoveOperator,
    CopernicusSettleOperator,
    products,
)
from copernicus_dataspace.errors import ServiceUnavailableError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace_emulator import Emulator
from copernicus_dataspace_emulator.products.recipe import instant
from tests.airflow_copernicus.conftest import make_context
from tests.support.airflow.registered import registered
from tests.support.measured_page import Page
from tests.support.scenario.scenario import Scenario
from tests.support.scenario.upstream import MONTH, YEAR, end_of
from tests.support.scenario.years import Year, exceptions

INGEST = "sentinel2_daily"
FIRST = date(2024, 1, 1)
TOKEN_S = 400
"""A little less than the time a token is used for."""
SCRUB_DAYS = 3
"""So that damage of the last days but three is found."""


@pytest.fixture
def emulator():
    """One that does not slow a year down; what its limits do is tested elsewhere."""
    with Emulator(stac_requests_per_s=None, s3_requests_per_minute=None) as running:
        yield running


ARCHIVE = Page(
    "archive.md",
    """\
# Measured: a simulated year

Generated from `tests/airflow_copernicus/reconcile/test_true_archive.py`, not to be edited:
`UPDATE_DOCS=1 make test-long` writes it anew. The operators of both DAGs are run day by day, with
the end of each day as the present: 365 days, 3 tiles, two satellites and a third from the middle
on; 2 % of products late by 1 to 20 days, 1 % in two halves, a month processed anew with the old
products deleted two weeks later, 0.5 % withdrawn, the service silent for 36 hours, Airflow
off for 3 days, 20 files damaged on disk.
""",
)


class Reconciler:
    """Runs the audit, its repairs and the settlement at the end of a day.

    Attributes:
        reports: Of every night, by day.
        approved: Names of the products that went because a person said so.
    """

    def __init__(self, year, ingest_file, output):
        self.reports = {}
        self.approved = []
        self._year = year
        self._file = ingest_file
        self._output = output

    def __call__(self, day):
        context = make_context(
            f"{day}",
            dag_id="sentinel2_reconcile",
            run_id=f"scheduled__{day}",
            start_date=end_of(day),
        )
        audit = CopernicusAuditOperator(task_id="audit", ingest=registered(self._file))
        for repair in audit.execute(context):
            self._year.repair(repair["conf"], repair["trigger_run_id"])
        settle = CopernicusSettleOperator(task_id="settle", ingest=registered(self._file))
        settled = settle.execute(context)
        self._approve(day, settled["request"])
        name = settled["report_name"]
        text = (self._output / "reports" / INGEST / f"{name}.json").read_text()
        self.reports[day] = json.loads(text)
        self._check(day)

    def _approve(self, day, request):
        """Answer a question at once, as a person who is always there."""
        if request is None:
            return
        context = make_context(
            f"{day}", dag_id="sentinel2_approve_removals", run_id=request["trigger_run_id"]
        )
        given = {"ingest": INGEST, "outputs": [self._output.as_uri()]}
        CopernicusAskOperator(task_id="plan", **given).execute(context)
        remove = CopernicusRemoveOperator(task_id="remove", is_approved=True, **given)
        self.approved += remove.execute(context)["removed"]

    def _check(self, day):
        """After each night's reconcile nothing that the catalogue shows is missing."""
        if not self._year.scenario.is_silent(end_of(day)):
            assert self.reports[day]["completeness"]["30"] == 100.0, day
            assert self.reports[day]["still_missing"] == 0


def simulate(plan, emulator, ingest, tmp_path):
    """Let a plan happen; return the year and its nightly reports."""
    scenario = Scenario(FIRST, plan)
    output = tmp_path / "output"
    file = tmp_path / f"{INGEST}.yaml"
    settings = {
        "tiles": [f"T{name}" for name in scenario.tiles],
        "bands": ["SCL_20m"],
        "output_uri": output.as_uri(),
        "publication_delay": "0 hours",
        "start_day": f"{FIRST}",
        "scrub_days": SCRUB_DAYS,
    }
    file.write_text(json.dumps(settings))
    year = Year(emulator, scenario, ingest, output)
    reconciler = Reconciler(year, file, output)
    year.run(reconciler)
    return year, reconciler.reports


@pytest.mark.parametrize(
    "plan", [MONTH, pytest.param(YEAR, marks=pytest.mark.long)], ids=["month", "year"]
)
def test_the_archive_is_what_the_catalogue_is(connected, ingest, tmp_path, monkeypatch, plan):
    clock = functools.partial(deliver, clock=lambda: instant(connected.now))
    monkeypatch.setattr(products, "deliver", clock)
    began = time.monotonic()
    year, reports = simulate(plan, connected, ingest, tmp_path)
    sessions = 2 + (time.monotonic() - began) // TOKEN_S
    cost = year.assert_true()
    year.assert_linked()
    record(plan, cost, reports)
    assert {type(error) for _, error in year.errors} == {ServiceUnavailableError}
    assert {day for day, _ in year.errors} <= silent_days(year.scenario)
    rows = [row for report in reports.values() for row in report["exceptions"]]
    told = {(row["name"], row["state"]) for row in rows}
    assert exceptions(year, reports) <= told
    assert cost["requests"]["identity"] <= sessions
    assert cost["requests"]["catalogue"] <= 4 * plan.days
    assert cost["bytes_sent"]["download"] <= 1.1 * cost["minimum_bytes"]
    fresh = [*reports.values()][-1]["freshness"]["30"]
    assert 0 < fresh["median_h"] <= fresh["p95_h"] < 24 * 22


def record(plan, cost, reports):
    """Write the figures of the year into docs/reference/archive.md."""
    if plan is not YEAR:
        return
    found = Counter(row["state"] for report in reports.values() for row in report["exceptions"])
    moved, fewest = cost["bytes_sent"]["download"], cost["minimum_bytes"]
    ARCHIVE.record(
        "A simulated year",
        [
            ("products held at the end", "those the catalogue lists, byte for byte", "all"),
            ("nights whose report was complete", f"{len(reports)} of {len(reports)}", "all"),
            ("exceptions reported", ", ".join(f"{n} {state}" for state, n in found.items()), ""),
            ("catalogue requests", cost["requests"]["catalogue"], ""),
            ("fewest: one a daily run, one a night", 2 * len(reports), ""),
            ("bytes of files moved, beside the fewest", f"{moved / fewest:.3f}", "<= 1.1"),
            ("requests to the identity service", cost["requests"]["identity"], ""),
        ],
    )


def silent_days(scenario):
    return {day for day in scenario.days if scenario.is_silent(end_of(day))}
