"""A person is asked before more is removed than a night's limit, under a real scheduler.

The tests go on from one another.
"""

import contextlib
import time
from datetime import date

import pytest
import requests

from dev_airflow.airflow_stack import ApiError
from tests.e2e.conftest import DAG
from tests.support.airflow.watch import link_of

RECONCILE = "sentinel2_reconcile"
APPROVE = "sentinel2_approve_removals"
DAY = date(2022, 5, 1)
HOURS = (8, 9, 10, 11)
_PATIENCE_S = 600.0
_READS_S = 6.0
"""An answer that comes before the worker has put the task down makes it fail and ask again."""
ANEW = {"baseline": "05.12", "generation": "2022-09-01T00:00:00Z"}


class Archive:
    """What stands, and what is asked, of the day of these tests."""

    def __init__(self, rehearsal):
        self.rehearsal = rehearsal
        self.api = rehearsal.airflow.api

    def reconcile(self):
        """Look at the day; return the page of the report."""
        run = self.rehearsal.trigger(RECONCILE, first_day=str(DAY))
        assert self.rehearsal.finished(run, RECONCILE, _PATIENCE_S) == "success"
        task = f"dags/{RECONCILE}/dagRuns/{run}/taskInstances/ingest.settle?map_index=0"
        link = link_of(self.rehearsal.airflow, task, "Report")
        who = {"username": "admin", "password": self.rehearsal.airflow.password}
        url = self.rehearsal.airflow.url
        token = requests.post(f"{url}/auth/token", json=who, timeout=30).json()["access_token"]
        return requests.get(link, headers={"Authorization": f"Bearer {token}"}, timeout=30).text

    def asking(self):
        """Return the ids of all runs that a night has started, the first one first."""
        runs = self.rehearsal.runs(APPROVE, limit=100)
        return sorted(run["dag_run_id"] for run in runs if run["run_type"] == "operator_triggered")

    def states(self, run):
        return {
            task.removesuffix("[-1]"): state
            for task, state in self.rehearsal.states(run, APPROVE).items()
        }

    def waiting(self, run):
        """Wait until a run has asked; return the body of its question."""
        path = f"dags/{APPROVE}/dagRuns/{run}/taskInstances/approve"
        self.rehearsal.airflow.wait(
            lambda: self.states(run).get("approve") == "awaiting_input",
            _PATIENCE_S,
            lambda: f"{self.api('GET', path)}",
        )
        return self.api("GET", f"{path}/-1/hitlDetails")["body"].replace("&#95;", "_")

    def answer(self, run, word):
        """Answer a question as often as it is asked; return the states of the tasks at the end."""
        run_path = f"dags/{APPROVE}/dagRuns/{run}"
        path = f"{run_path}/taskInstances/approve/-1/hitlDetails"

        def ended():
            if self.states(run).get("approve") == "awaiting_input":
                time.sleep(_READS_S)
                with contextlib.suppress(ApiError):  # answered, and not yet gone on
                    self.api("PATCH", path, {"chosen_options": [word]})
            return self.api("GET", run_path)["state"] in ("success", "failed")

        self.rehearsal.airflow.wait(ended, _PATIENCE_S, lambda: f"{run}: {self.states(run)}")
        assert self.api("GET", run_path)["state"] == "success"
        return self.states(run)

    def held(self):
        items = (self.rehearsal.output / f"bands/S2MSI2A/{DAY:%Y/%m/%d}").glob("*/item.json")
        return sorted(path.parent.name for path in items)

    def forget(self):
        """Let this night's limit be whole, also for the tests of other modules."""
        with contextlib.suppress(FileNotFoundError):
            (self.rehearsal.output / f"reports/{DAG}/removals.json").unlink()


@pytest.fixture(scope="module")
def archive(rehearsal):
    """All DAGs but the one that asks are on; afterwards nothing reconciles by itself."""
    rehearsal.emulator.faults.clear()
    for dag in (DAG, RECONCILE):
        rehearsal.airflow.unpause(dag)
    archive = Archive(rehearsal)
    archive.forget()
    yield archive
    for dag in (RECONCILE, APPROVE):
        rehearsal.airflow.api("PATCH", f"dags/{dag}", {"is_paused": True})
    archive.forget()


@pytest.fixture(scope="module")
def old(rehearsal):
    return [rehearsal.add(DAY, hour=hour) for hour in HOURS]


@pytest.fixture(scope="module")
def new(rehearsal):
    return [rehearsal.add(DAY, hour=hour, **ANEW) for hour in HOURS]


@pytest.fixture(scope="module")
def later(rehearsal):
    """What is withdrawn while a question waits."""
    return rehearsal.add(DAY, hour=12)


@pytest.fixture(scope="module", autouse=True)
def delivered(rehearsal, archive, old, new, later):
    run = rehearsal.trigger(first_day=str(DAY), versions="all")
    assert rehearsal.finished(run, timeout_s=_PATIENCE_S) == "success"


def names(*products):
    return sorted(one.name.removesuffix(".SAFE") for one in products)


def test_what_is_too_much_waits_though_the_dag_that_asks_is_off(archive, old, new, later):
    page = archive.reconcile()
    assert archive.held() == names(*old[2:], *new, later)
    assert f"Switch {APPROVE} on, then answer in task approve of {APPROVE}" in page
    (run,) = archive.asking()
    assert f'href="../../../dags/{APPROVE}/runs/' in page
    assert archive.rehearsal.runs(APPROVE)[0]["state"] == "queued"
    archive.rehearsal.airflow.unpause(APPROVE)
    body = archive.waiting(run)
    assert all(name in body for name in names(*old[2:], *new[2:]))


def test_a_newer_plan_takes_the_place_of_the_question(rehearsal, archive, old, new, later):
    rehearsal.emulator.remove(later.id)
    archive.reconcile()
    earlier, run = archive.asking()
    body = archive.waiting(run)
    assert all(name in body for name in names(*old[2:], *new[2:], later))
    assert rehearsal.finished(earlier, APPROVE, _PATIENCE_S) == "success"
    assert archive.states(earlier)["approve"] == "skipped"
    listed = "dags/~/dagRuns/~/hitlDetails?state=awaiting_input"
    assert rehearsal.airflow.api("GET", listed)["total_entries"] == 1
    assert archive.held() == names(*old[2:], *new, later)


def test_what_is_rejected_stays_and_is_not_asked_for_again(archive, old, new, later):
    asked = archive.asking()
    states = archive.answer(asked[-1], "Reject")
    assert (states["remove"], states["keep"]) == ("skipped", "success")
    assert "The removal of 3 products was rejected: they are kept." in archive.reconcile()
    assert archive.asking() == asked
    assert archive.held() == names(*old[2:], *new, later)


def test_what_is_approved_goes_and_downstream_is_told(rehearsal, archive, new):
    run = rehearsal.trigger(APPROVE, ingest=DAG, with_rejected=True)
    archive.waiting(run)
    states = archive.answer(run, "Approve")
    assert (states["remove"], states["keep"]) == ("success", "skipped")
    assert archive.held() == names(*new)
    assert states["announce"] == "success"
