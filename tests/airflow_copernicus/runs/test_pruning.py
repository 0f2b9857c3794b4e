"""A reconcile removes what old runs have left, and nothing that somebody may still need."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_copernicus.links import APPROVAL_DAG_ID
from copernicus_dataspace.storage.layout import run_name
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import INGEST, Ingests

YEAR = 366


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


@pytest.fixture
def output(ingests):
    return ingests.output


@pytest.fixture
def airflow(monkeypatch):
    """Airflow's own memory: ids of the runs that have not ended, by DAG."""
    unended = {}

    def count(dag_id, run_ids=None, states=None):
        assert {*states} == {"queued", "running"}
        if isinstance(unended.get(dag_id), Exception):
            raise unended[dag_id]
        known = unended.get(dag_id, set())
        return len(known if run_ids is None else known & {*run_ids})

    really = SimpleNamespace

    def task(**facts):
        return really(**facts, get_dr_count=count)

    monkeypatch.setattr(
        "tests.airflow_copernicus.reconcile.test_reconcile.make_context",
        lambda *args, **kwargs: {
            **(context := make_context(*args, **kwargs)),
            "ti": task(**vars(context["ti"])),
        },
    )
    return unended


def left(output, path, days=YEAR):
    """Leave a file as if it were written so many days ago."""
    file = output / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"{}")
    age(file, days)
    return file


def age(file, days):
    then = time.time() - 86_400 * days
    os.utime(file, (then, then))


def test_records_of_old_runs_go_and_newer_ones_stay(connected, ingest, ingests, output):
    connected.add(lake_product())
    ingest()
    old = [
        left(output, f"runs/{INGEST}/scheduled__2023-01-01/summary.json"),
        left(output, f"runs/{INGEST}/scheduled__2023-01-02T00:00:00+00:00/summary.json"),
        left(output, f"runs/{INGEST}/scheduled__2023-01-03T00=3A00=3A00+00=3A00/search/a.json"),
        left(output, f"runs/sentinel2_reconcile/scheduled__2023-01-01/{INGEST}/plan.json"),
        left(output, f"runs/{APPROVAL_DAG_ID}/by hand/{INGEST}/question.json"),
    ]
    kept = [
        left(output, f"runs/{INGEST}/scheduled__2023-01-04/summary.json", 360),
        left(output, "runs/other/scheduled__2023-01-01/summary.json"),
        left(output, "runs/sentinel2_reconcile/scheduled__2023-01-01/other/plan.json"),
        left(output, f"reports/{INGEST}/2023-01-01T030000Z.json"),
    ]
    ingests.reconcile()
    assert [file for file in old if file.exists()] == []
    assert [file for file in kept if not file.exists()] == []
    assert list(output.glob("runs/*/scheduled__2024-08-01/summary.json"))
    assert list(output.glob(f"runs/sentinel2_reconcile/*_1/{INGEST}/plan.json"))
    assert not (output / f"runs/{APPROVAL_DAG_ID}/by hand").exists()


@pytest.mark.parametrize(("keep", "stays"), [(0, True), (10, False), (30, True)])
def test_how_long_is_a_setting(connected, ingests, output, keep, stays):
    ingests.write(keep_runs_days=keep)
    file = left(output, f"runs/{INGEST}/scheduled__2023-01-01/summary.json", 20)
    ingests.reconcile()
    assert file.exists() is stays


def test_a_dry_run_removes_nothing(connected, ingests, output):
    file = left(output, f"runs/{INGEST}/scheduled__2023-01-01/summary.json")
    ingests.reconcile(is_dry_run=True)
    assert file.exists()


@pytest.mark.parametrize("dag_id", [INGEST, "sentinel2_reconcile", APPROVAL_DAG_ID])
@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("manual__2023", "manual__2023"),
        ("manual__2023-01-01T00:00:00+00:00", "manual__2023-01-01T00=3A00=3A00+00=3A00"),
        ("manual__2023-01-01T00:00:00+00:00", "manual__2023-01-01T00:00:00+00:00"),
        ("x" * 250, None),
    ],
)
def test_a_run_that_has_not_ended_keeps_its_records(  # noqa: PLR0913, PLR0917
    connected, ingests, output, airflow, dag_id, run_id, name
):
    airflow[dag_id] = {run_id}
    about = "summary.json" if dag_id == INGEST else f"{INGEST}/plan.json"
    needed = left(output, f"runs/{dag_id}/{name or run_name(run_id)}/{about}")
    ended = left(output, f"runs/{dag_id}/manual__2022/{about}")
    ingests.reconcile()
    assert needed.exists()
    assert not ended.exists()


def test_the_question_that_waits_keeps_what_it_asks_for(connected, ingests, output):
    run_id = f"{INGEST}__2023-01-01T030000Z"
    request = {"removals": [], "since": "2023-01-01T03:00:00+00:00", "run_id": run_id}
    removal = {
        **dict.fromkeys(("id", "name", "tile", "why"), "x"),
        "day": "2020-01-01",
        "state": "withdrawn",
        "policy": "quarantine",
        "instead": [],
    }
    record = {"done": [], "rejected": [], "lost_at": None}
    left(output, f"reports/{INGEST}/removals.json").write_text(
        json.dumps({**record, "request": {**request, "removals": [removal]}})
    )
    waiting = left(output, f"runs/{APPROVAL_DAG_ID}/{run_id}/{INGEST}/question.json")
    other = left(output, f"runs/{APPROVAL_DAG_ID}/{INGEST}__2022/{INGEST}/question.json")
    ingests.reconcile()
    assert waiting.exists()
    assert not other.exists()


def test_claims_and_staging_of_dead_runs_and_notes_of_old_accounts_go(connected, ingests, output):
    until = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    lease = left(output, ".staging/.claims/P.json", 8)
    lease.write_text(json.dumps({"dag_id": "d", "run_id": "r", "until": until}))
    gone = [
        lease,
        left(output, ".staging/daily/dead/p/x", 8),
        left(output, "runs/.usage/old/2023-01-01/5-0123456789ab"),
    ]
    kept = left(output, ".staging/daily/new/p/x", 6)
    ingests.reconcile()
    assert [file for file in gone if file.exists()] == []
    assert kept.exists()


def test_staged_files_of_a_run_that_has_not_ended_stay(connected, ingests, output, airflow):
    airflow["daily"] = {"paused"}
    paused, dead = (left(output, f".staging/daily/{run}/p/x", 8) for run in ("paused", "dead"))
    ingests.reconcile()
    assert paused.exists()
    assert not dead.exists()


def test_a_night_that_cannot_ask_airflow_removes_less_and_ends_well(
    connected, ingests, output, airflow, caplog, capsys
):
    error = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
    airflow[INGEST] = AirflowRuntimeError(error)
    old = left(output, f"runs/{INGEST}/scheduled__2023-01-01/summary.json")
    settled = ingests.reconcile()
    assert settled["request"] is settled["change"] is None
    assert list(output.glob("runs/sentinel2_reconcile/**/changes.json"))
    assert old.exists()
    assert (
        "Not all files of old runs could be removed: API_SERVER_ERROR"
        in caplog.text + capsys.readouterr().out
    )
    del airflow[INGEST]
    ingests.reconcile()
    assert not old.exists()


def test_all_that_a_night_hands_on_is_written_before_anything_is_pruned(
    connected, ingests, output, monkeypatch
):
    def prune(archive):
        assert archive.store.read(archive.changes_path) is not None
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_copernicus.operators.reconcile_settle.prune", prune)
    with pytest.raises(KeyboardInterrupt):
        ingests.reconcile()


@pytest.fixture
def quarantined(connected, ingest, ingests, output):
    """The item of a product that was withdrawn, and its zip."""
    ingests.write(keep_runs_days=30)
    product = connected.add(lake_product())
    ingest()
    connected.remove(product.id, "Corrupted product")
    ingests.reconcile()
    (item,) = output.glob("quarantine/bands/**/item.json")
    kept_zip = output / "quarantine/archive" / item.parent.relative_to(output / "quarantine/bands")
    left(output, str(kept_zip.relative_to(output)) + ".zip", 0)
    return item


def noted(output, days, *, by_earlier=False):
    """Let a night have noted the product so many days ago, or an earlier version; None: no night.

    Return the notes.
    """
    notes = output / f"reports/{INGEST}/quarantine.json"
    if days is None:
        notes.unlink()
    else:
        since = datetime.now(UTC) - timedelta(days=days)
        record = json.loads(notes.read_text())
        for item, note in record.items():
            at = since.isoformat()
            record[item] = at if by_earlier else {**note, "since": at}
        notes.write_text(json.dumps(record))
    return notes


@pytest.mark.parametrize("by_earlier", [False, True])
def test_what_is_long_in_quarantine_goes_with_its_zip(quarantined, ingests, output, by_earlier):
    ingests.reconcile()
    assert quarantined.exists()
    noted(output, 31, by_earlier=by_earlier)
    ingests.reconcile()
    assert [path for path in (output / "quarantine").rglob("*") if path.is_file()] == []
    assert json.loads((output / f"reports/{INGEST}/quarantine.json").read_text()) == {}


@pytest.mark.parametrize("days", [29, None, -400])
def test_what_is_not_long_there_stays_however_old_its_files_are(quarantined, ingests, output, days):
    for file in (output / "quarantine").rglob("*"):
        age(file, YEAR)
    noted(output, days)
    for _ in range(2):
        ingests.reconcile()
        assert quarantined.exists()
    assert list(output.glob("quarantine/archive/**/*.zip"))


def test_what_was_moved_there_anew_counts_anew(quarantined, ingests, output):
    noted(output, 31)
    quarantined.write_bytes(quarantined.read_bytes() + b" ")
    for _ in range(2):
        ingests.reconcile()
        assert quarantined.exists()
    noted(output, 31)
    ingests.reconcile()
    assert not quarantined.exists()


@pytest.mark.parametrize("days", [-40, -400])
def test_a_date_that_is_ahead_is_believed_for_a_year_at_most(quarantined, ingests, output, days):
    notes = noted(output, days)
    before = notes.read_text()
    ingests.reconcile()
    (since,) = (note["since"] for note in json.loads(notes.read_text()).values())
    assert (since in before) is (days == -40)
    assert quarantined.exists()


def test_what_another_ingest_has_wanted_is_its_own_matter(quarantined, ingests, output):
    noted(output, 400)
    document = json.loads(quarantined.read_text())
    document["properties"]["dataspace:ingests"] = ["alps"]
    quarantined.write_text(json.dumps(document))
    ingests.reconcile()
    assert quarantined.exists()
