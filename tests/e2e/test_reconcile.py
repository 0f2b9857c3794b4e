"""What an archive lacks, has damaged or should no longer hold is mended under a real scheduler.

The tests go on from one another: each leaves an archive that is right.
"""

import re
from collections import Counter
from datetime import date, timedelta

import pytest
import requests

from copernicus_dataspace_emulator import Fault
from tests.e2e.conftest import DAG, DUE_DAY
from tests.support.airflow.watch import link_of

RECONCILE = "sentinel2_reconcile"
DOWNSTREAM = "example_clear_sky"
FIRST = date(2021, 3, 1)
LAST = FIRST + timedelta(days=2)
ANEW = {"baseline": "05.12", "generation": "2021-09-01T00:00:00Z"}


@pytest.fixture(scope="module", autouse=True)
def running(rehearsal):
    """All DAGs are on; afterwards nothing reconciles by itself any more."""
    rehearsal.emulator.faults.clear()
    rehearsal.airflow.unpause(DAG)
    assert rehearsal.finished(rehearsal.trigger(first_day=str(FIRST))) == "success"  # registers it
    for dag in (DOWNSTREAM, RECONCILE):
        rehearsal.airflow.unpause(dag)
    yield
    rehearsal.emulator.faults.clear()
    rehearsal.airflow.api("PATCH", f"dags/{RECONCILE}", {"is_paused": True})


class Archive:
    """What stands, was reported and ran, in the range of these tests."""

    def __init__(self, rehearsal):
        self._rehearsal = rehearsal
        self._airflow = rehearsal.airflow

    def reconcile(self, **conf):
        """Trigger a run for the range and wait for it; return its id and how it ended."""
        asked = {"first_day": str(FIRST), "last_day": str(LAST), **conf}
        run = self._rehearsal.trigger(RECONCILE, **asked)
        return run, self.ended(run)

    def ended(self, run):
        return self._rehearsal.finished(run, RECONCILE)

    def report(self, run):
        """Return the report that a run's `settle` leads to, asked for as its link is."""
        task = f"dags/{RECONCILE}/dagRuns/{run}/taskInstances/ingest.settle?map_index=0"
        link = link_of(self._airflow, task, "Report")
        assert requests.get(link, timeout=30).status_code == 401
        who = {"username": "admin", "password": self._airflow.password}
        login = requests.post(f"{self._airflow.url}/auth/token", json=who, timeout=30).json()
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        page = requests.get(link, headers=headers, timeout=30)
        assert page.status_code == 200
        assert "</html>" in page.text
        return requests.get(f"{link}.json", headers=headers, timeout=30).json()

    def exceptions(self, run):
        """Return what was found and what is now, by product."""
        rows = self.report(run)["exceptions"]
        return {row["name"]: (row["state"], row["now"]) for row in rows}

    def repairs(self):
        """Return the runs of the ingest that repaired, by id."""
        runs = self._rehearsal.runs(run_id_pattern="repair__", limit=100)
        return {run["dag_run_id"]: run for run in runs}

    def rest_downstream(self):
        """Wait until no run downstream is under way; return their ids, by day.

        What caused a run cannot be asked for while one of them is still queued.
        """
        runs = []

        def at_rest():
            runs[:] = self._rehearsal.runs(DOWNSTREAM, order_by="id", limit=100)
            return {run["state"] for run in runs} <= {"success", "failed"}

        self._airflow.wait(at_rest, 120, lambda: f"{DOWNSTREAM} does not end")
        assert {run["state"] for run in runs} == {"success"}
        days = {run["partition_key"] for run in runs}
        return {day: [r["dag_run_id"] for r in runs if r["partition_key"] == day] for day in days}

    def events(self, day):
        """Return what the events said that caused runs downstream for a day, oldest run first."""
        paths = [f"dags/{DOWNSTREAM}/dagRuns/{run}" for run in self.rest_downstream()[str(day)]]
        found = [self._airflow.api("GET", f"{path}/upstreamAssetEvents") for path in paths]
        return [event["extra"] for one in found for event in one["asset_events"]]

    def standing(self):
        """Return the bytes of all files of the range, by product."""
        folders = (self._rehearsal.output / "bands/S2MSI2A/2021/03").glob("*/*")
        found = [path for folder in folders for path in folder.glob("*.jp2")]
        return {path.parent.name: path.read_bytes() for path in found}

    def file_of(self, product):
        (path,) = self._rehearsal.output.glob(f"bands/S2MSI2A/2021/*/*/{stem(product)}/*.jp2")
        return path


@pytest.fixture(scope="module")
def archive(rehearsal):
    return Archive(rehearsal)


def stem(product):
    return product.name.removesuffix(".SAFE")


def right(*products):
    """Return the bytes that are to stand, by product."""
    wanted = {one: path for one in products for path in one.files if path.endswith("_SCL_20m.jp2")}
    return {stem(one): one.read(path) for one, path in wanted.items()}


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture(scope="module")
def products(rehearsal, archive):
    """What the range holds in the end, by a word for what happens to each; `old` goes."""
    found = {
        "plain": rehearsal.add(FIRST, hour=7),
        "old": rehearsal.add(FIRST),
        "damaged": rehearsal.add(LAST),
    }
    run = rehearsal.trigger(first_day=str(FIRST), last_day=str(LAST))
    assert rehearsal.finished(run) == "success"
    rehearsal.airflow.wait(
        lambda: str(LAST) in archive.rest_downstream(), 60, lambda: f"{DOWNSTREAM} did not run"
    )
    assert (rehearsal.output / f"clear_sky/{FIRST}/{found['old'].id}.json").exists()
    return found


def test_the_night_after_it_is_switched_on_is_looked_at(rehearsal, archive):
    rehearsal.airflow.wait(
        lambda: rehearsal.runs(RECONCILE, run_type="scheduled"), 60, lambda: "no scheduled run"
    )
    (run,) = rehearsal.runs(RECONCILE, run_type="scheduled")
    assert archive.ended(run["dag_run_id"]) == "success"
    report = archive.report(run["dag_run_id"])
    first, last = (date.fromisoformat(report[name]) for name in ("first_day", "last_day"))
    assert last in (DUE_DAY, DUE_DAY - timedelta(days=1))
    assert last - first >= timedelta(days=29)  # more where other tests have backfilled a day


def test_a_range_is_mended(rehearsal, archive, products):
    products["new"] = rehearsal.add(FIRST, **ANEW)
    products["missing"] = rehearsal.add(LAST, hour=9)
    products["late"] = rehearsal.add(
        FIRST + timedelta(days=1), published=f"{LAST + timedelta(days=3)}T00:00:00Z"
    )
    cut(archive.file_of(products["damaged"]))
    before = archive.repairs()
    run, state = archive.reconcile()
    assert state == "success"
    assert archive.exceptions(run) == {
        stem(products["new"]): ("missing", "present"),
        stem(products["missing"]): ("missing", "present"),
        stem(products["late"]): ("late", "present"),
        stem(products["damaged"]): ("damaged", "present"),
        stem(products["old"]): ("superseded", "gone"),
    }
    old = products.pop("old")
    assert archive.standing() == right(*products.values())
    (repair,) = archive.repairs().keys() - before.keys()
    tasks = rehearsal.airflow.api("GET", f"dags/{DAG}/dagRuns/{repair}/taskInstances")
    assert {one["state"] for one in tasks["task_instances"]} == {"success"}
    assert max(one["priority_weight"] for one in tasks["task_instances"]) < 0
    logs = rehearsal.airflow.home.glob(f"logs/*/run_id={run}/task_id=*repair/*/*.trigger.*")
    assert [*logs], "the repair was not waited for by the triggerer"
    told = {old.id: [products["new"].id]}
    rehearsal.airflow.wait(
        lambda: told in [event.get("replaced") for event in archive.events(FIRST)],
        60,
        lambda: f"told: {archive.events(FIRST)}",
    )


def test_the_dag_downstream_computes_only_what_changed(rehearsal, archive, products):
    archive.rest_downstream()
    results = (rehearsal.output / "clear_sky" / str(FIRST)).iterdir()
    wanted = {products[word].id for word in ("plain", "new")}
    assert {path.stem for path in results} == wanted
    logs = rehearsal.airflow.home.glob(f"logs/dag_id={DOWNSTREAM}/**/*.log")
    text = "".join(path.read_text() for path in logs)
    computed = Counter(re.findall(r"Computing (\w+)", text))
    assert {computed[stem(one)] for one in products.values()} == {1}


def test_then_there_is_nothing_to_do(rehearsal, archive, products):
    before = archive.repairs().keys(), len(rehearsal.downloads())
    run, state = archive.reconcile()
    assert state == "success"
    assert archive.report(run)["exceptions"] == []
    assert archive.report(run)["counts"] == {"present": len(products)}
    assert (archive.repairs().keys(), len(rehearsal.downloads())) == before


@pytest.fixture(params=["dry run", "paused"])
def report_only(request, rehearsal):
    """Return the form of a run that may change nothing."""
    if request.param == "dry run":
        yield {"dry_run": True}
        return
    rehearsal.airflow.api("PATCH", f"dags/{DAG}", {"is_paused": True})
    yield {}
    rehearsal.airflow.api("PATCH", f"dags/{DAG}", {"is_paused": False})


def test_it_only_reports_where_it_may_do_no_more(rehearsal, archive, products, report_only):
    cut(archive.file_of(products["damaged"]))
    before = archive.repairs().keys(), archive.standing()
    run, state = archive.reconcile(**report_only)
    assert state == "success"
    assert archive.exceptions(run) == {stem(products["damaged"]): ("damaged", "missing")}
    assert archive.report(run)["dry_run"] is True
    assert (archive.repairs().keys(), archive.standing()) == before


def test_what_cannot_be_mended_turns_the_run_red_until_it_is_cleared(rehearsal, archive, products):
    cut(archive.file_of(products["damaged"]))
    bad = products["bad"] = rehearsal.add(LAST, hour=10)
    refused = Fault(service="download", status=403, times=None, match=bad.id)
    rehearsal.emulator.faults.add(refused)
    run, state = archive.reconcile()
    assert state == "failed"
    states = rehearsal.states(run, RECONCILE)
    assert [task for task, state in states.items() if state == "failed"] == [
        "ingest.all_present[0]"
    ]
    (log,) = rehearsal.airflow.home.glob(f"logs/*/run_id={run}/task_id=ingest.all_present/**/*.log")
    assert f"1 products are missing: {stem(bad)}; see " in log.read_text()
    assert archive.exceptions(run) == {
        stem(products["damaged"]): ("damaged", "present"),
        stem(bad): ("missing", "missing"),
    }
    others = [one for word, one in products.items() if word != "bad"]
    assert archive.standing() == right(*others)

    rehearsal.emulator.faults.clear()
    rehearsal.airflow.api(
        "POST", f"dags/{RECONCILE}/dagRuns/{run}/clear", {"dry_run": False, "only_failed": False}
    )
    assert archive.ended(run) == "success"
    assert archive.exceptions(run) == {stem(bad): ("missing", "present")}
    assert archive.standing() == right(*products.values())
