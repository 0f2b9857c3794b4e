"""A person is asked before more is removed than a night's limit, under a real scheduler.

The tests go on from one another.
"""

from datetime import date, timedelta

import pytest
import requests

from tests.e2e.conftest import DAG

RECONCILE = "sentinel2_reconcile"
APPROVE = "sentinel2_approve_removals"
FIRST = date(2022, 5, 1)
COUNT = 4
_PATIENCE_S = 600.0
LAST = FIRST + timedelta(days=COUNT - 1)
ANEW = {"baseline": "05.12", "generation": "2022-09-01T00:00:00Z"}


class Archive:
    """What stands, and what is asked, in the range of these tests."""

    def __init__(self, rehearsal):
        self.rehearsal = rehearsal
        self.api = rehearsal.airflow.api

    def reconcile(self):
        """Trigger a run for the range, wait for it, and return its id."""
        run = self.rehearsal.trigger(RECONCILE, first_day=str(FIRST), last_day=str(LAST))
        assert self.rehearsal.finished(run, RECONCILE, _PATIENCE_S) == "success"
        return run

    def page(self, run):
        """Return the page of the report that a run has made."""
        task = f"dags/{RECONCILE}/dagRuns/{run}/taskInstances/{DAG}.settle"
        link = self.api("GET", f"{task}/links")["extra_links"]["Report"]
        who = {"username": "admin", "password": self.rehearsal.airflow.password}
        url = self.rehearsal.airflow.url
        token = requests.post(f"{url}/auth/token", json=who, timeout=30).json()["access_token"]
        return requests.get(link, headers={"Authorization": f"Bearer {token}"}, timeout=30).text

    def asking(self):
        """Return the ids of all runs that have asked."""
        return [run["dag_run_id"] for run in self.rehearsal.runs(APPROVE, limit=100)]

    def state(self, run, task="approve"):
        return self.rehearsal.states(run, APPROVE).get(f"{task}[-1]")

    def waiting(self, run):
        """Wait until a run has asked; return the body of its question."""
        path = f"dags/{APPROVE}/dagRuns/{run}/taskInstances/approve"
        self.rehearsal.airflow._wait(
            lambda: self.state(run) == "awaiting_input",
            _PATIENCE_S,
            lambda: f"{self.api('GET', path)}",
        )
        return self.api("GET", f"{path}/-1/hitlDetails")["body"].replace("&#95;", "_")

    def answer(self, run, word):
        path = f"dags/{APPROVE}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        self.api("PATCH", path, {"chosen_options": [word]})
        assert self.rehearsal.finished(run, APPROVE, _PATIENCE_S) == "success"

    def held(self):
        folders = (self.rehearsal.output / "bands/S2MSI2A/2022/05").glob("*/*/item.json")
        return sorted(path.parent.name for path in folders)


@pytest.fixture(scope="module")
def archive(rehearsal):
    """All DAGs but the one that asks are on; afterwards nothing reconciles by itself."""
    rehearsal.emulator.faults.clear()
    for dag in (DAG, RECONCILE):
        rehearsal.airflow.unpause(dag)
    yield Archive(rehearsal)
    for dag in (RECONCILE, APPROVE):
        rehearsal.airflow.api("PATCH", f"dags/{dag}", {"is_paused": True})


@pytest.fixture(scope="module")
def old(rehearsal, archive):
    found = [rehearsal.add(FIRST + timedelta(days=number)) for number in range(COUNT)]
    run = rehearsal.trigger(first_day=str(FIRST), last_day=str(LAST))
    assert rehearsal.finished(run, timeout_s=_PATIENCE_S) == "success"
    return found


@pytest.fixture(scope="module")
def new(rehearsal, old):
    return [rehearsal.add(FIRST + timedelta(days=number), **ANEW) for number in range(COUNT)]


def names(*products):
    return sorted(one.name.removesuffix(".SAFE") for one in products)


def test_what_is_too_much_waits_though_the_dag_that_asks_is_off(archive, old, new):
    page = archive.page(archive.reconcile())
    assert archive.held() == names(*old[2:], *new)
    assert f"switch {APPROVE} on, then answer in task approve of {APPROVE}" in page
    (run,) = archive.asking()
    assert f'href="../../../dags/{APPROVE}/runs/' in page
    assert archive.rehearsal.runs(APPROVE)[0]["state"] == "queued"
    archive.rehearsal.airflow.unpause(APPROVE)
    body = archive.waiting(run)
    assert all(name in body for name in names(*old[2:], *new[2:]))


def test_the_nights_go_on_and_do_not_ask_anew(archive, old, new):
    archive.reconcile()
    (run,) = archive.asking()
    archive.waiting(run)
    assert archive.held() == names(*old[2:], *new)


def test_a_newer_plan_takes_the_place_of_the_question(rehearsal, archive, old, new):
    more = rehearsal.add(LAST, hour=10)
    rehearsal.finished(rehearsal.trigger(first_day=str(LAST)), timeout_s=_PATIENCE_S)
    old.append(more)
    new.append(rehearsal.add(LAST, hour=10, **ANEW))
    archive.reconcile()
    run, earlier = sorted(archive.asking(), reverse=True)
    assert names(more)[0] in archive.waiting(run)
    assert rehearsal.finished(earlier, APPROVE, _PATIENCE_S) == "success"
    assert archive.state(earlier) == "skipped"
    listed = "dags/~/dagRuns/~/hitlDetails?state=awaiting_input"
    assert rehearsal.airflow.api("GET", listed)["total_entries"] == 1


def test_what_is_approved_goes_and_downstream_is_told(rehearsal, archive, old, new):
    run = max(archive.asking())
    archive.answer(run, "Approve")
    assert archive.held() == names(*new)
    states = rehearsal.states(run, APPROVE)
    assert (states["remove[-1]"], states["keep[-1]"]) == ("success", "skipped")
    told = [state for task, state in states.items() if task.startswith(f"{DAG}.announce")]
    assert told == ["success"] * (COUNT - 2)


def test_what_is_rejected_stays_and_is_not_asked_for_again(rehearsal, archive, new):
    newest = {"baseline": "05.13", "generation": "2022-10-01T00:00:00Z"}
    anew = [rehearsal.add(FIRST + timedelta(days=number), **newest) for number in range(3)]
    archive.reconcile()
    assert archive.held() == names(*new, *anew)
    run = max(archive.asking())
    archive.waiting(run)
    archive.answer(run, "Reject")
    states = rehearsal.states(run, APPROVE)
    assert (states["remove[-1]"], states["keep[-1]"]) == ("skipped", "success")
    page = archive.page(archive.reconcile())
    assert "The removal of 3 products was rejected: kept." in page
    assert len(archive.asking()) == 3
    assert archive.held() == names(*new, *anew)
