"""Folders of runs: named so that every disk takes them, found again, and old ones told."""

import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import assume, example, given
from hypothesis import strategies as st

from copernicus_dataspace.ingest.run_folders import old_runs, old_staging, placed
from copernicus_dataspace.reconcile.report_files import answer_names
from copernicus_dataspace.storage.layout import RunLayout, folder_name, id_of, run_name
from copernicus_dataspace.storage.leases import Lease, sweep_leases
from copernicus_dataspace.storage.store import Store

RUN = RunLayout("daily", "scheduled__2024-06-01T00:00:00+00:00")
RESERVED = {"con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(10))}
FORBIDDEN = re.compile(r'[<>:"/\\|?*%#\x00-\x1f\x7f]|[^\x00-\x7f]')
ODD = st.sampled_from(
    (
        *("con", "COM1", "lpt9.txt", "nul ", "a.", "a ", " a", ".a", "..", "...", "Lake", "lake"),
        *("a:b", "a=3Ab", "a~b", "2024-08-01T00", "2024-08-01t00", "00Z", "00z", "x" * 300),
        *("\u017f", "\u212a", "\u0130"),  # letters that are like others where case is ignored
    )
)
IDS = ODD | st.text(min_size=1, max_size=300) | st.from_regex(r"[\w.:+~ -]{1,40}", fullmatch=True)
NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path))


@given(IDS)
def test_a_name_is_one_that_every_disk_takes(text):
    name = run_name(text)
    assert not FORBIDDEN.search(name)
    assert 0 < len(name) <= 143
    assert name == name.strip(" ").rstrip(".")
    assert not name.startswith(".")
    assert name.partition(".")[0].lower() not in RESERVED


@given(IDS, IDS)
@example("Lake", "lake")
@example("2024-08-01T00", "2024-08-01t00")
@example("x" * 300, "x" * 300 + "y")
@example("a:b", "a=3Ab")
def test_different_ids_have_different_names_whatever_the_case(one, other):
    assume(one != other)
    assert run_name(one).casefold() != run_name(other).casefold()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9))
def test_a_name_tells_the_id_also_one_of_an_earlier_version(text):
    assert id_of(run_name(text)) == text
    assert id_of(folder_name(text)) in (text, None)  # a long one is of two ids that may be


def test_usual_ids_are_read_at_a_glance():
    assert run_name("sentinel2_daily") == "sentinel2_daily"
    assert run_name("by hand") == "by hand"
    assert run_name(RUN.run_id) == "scheduled__2024-06-01T00=3A00=3A00+00=3A00"


def test_a_run_that_an_earlier_version_began_stays_where_it_is(store):
    assert placed(store, RUN) == RUN
    assert ":" not in RUN.records_dir + RUN.staging_dir
    store.write("runs/daily/scheduled__2024-06-01T00:00:00+00:00/search/begun.json", b"{}")
    earlier = placed(store, RUN)
    assert earlier == replace(RUN, is_earlier=True)
    assert earlier.records_dir == f"runs/daily/{RUN.run_id}"
    assert earlier.staging_dir == f".staging/daily/{RUN.run_id}"


def test_an_answer_that_an_earlier_version_has_kept_is_known_by_its_name():
    run_id = "Lake__2026-11-20T030000Z"
    assert len({*answer_names(run_id)}) == 2
    assert f"{folder_name(run_id)}.json" in answer_names(run_id)


def aged(store, tmp_path, path, days):
    store.write(path, b"x")
    then = time.time() - 86_400 * days
    os.utime(tmp_path / path, (then, then))


def test_old_is_what_nobody_has_written_to(store, tmp_path):
    for name, days in (("a", 40), ("b", 40), ("c", 1)):
        aged(store, tmp_path, f"runs/daily/{name}/search/search.json", days)
    aged(store, tmp_path, "runs/daily/b/summary.json", 1)
    aged(store, tmp_path, "runs/daily/manual__2024-06-01T00:00:00+00:00/x/y.json", 40)
    aged(store, tmp_path, "runs/other/a/summary.json", 40)
    before = NOW - timedelta(days=30)
    assert {(one.run_id, one.path) for one in old_runs(store, "daily", before)} == {
        ("a", "runs/daily/a"),
        (
            "manual__2024-06-01T00:00:00+00:00",
            "runs/daily/manual__2024-06-01T00:00:00+00:00",
        ),
    }


def test_of_a_run_about_many_only_what_it_says_of_one_is_old(store, tmp_path):
    for path in ("r1/lake", "r1/alps", "r2/lake"):
        aged(store, tmp_path, f"runs/reconcile/{path}/plan.json", 40)
    before = NOW - timedelta(days=30)
    found = [one.path for one in old_runs(store, "reconcile", before, "lake")]
    assert found == ["runs/reconcile/r1/lake", "runs/reconcile/r2"]


def test_staging_is_old_by_dag_and_run_where_nobody_has_written_to_it(store, tmp_path):
    known, other = "k" * 150, "o" * 150
    for dag_id in ("daily", known, other):
        for run, days in (("old", 8), ("new", 6)):
            aged(store, tmp_path, f".staging/{run_name(dag_id)}/{run}/p/x", days)
    aged(store, tmp_path, ".staging/.claims/p.json", 8)
    old = old_staging(store, NOW - timedelta(days=7), [known])
    assert {dag_id: [(one.run_id, one.path) for one in runs] for dag_id, runs in old.items()} == {
        dag_id: [("old", f".staging/{run_name(dag_id)}/old")] for dag_id in ("daily", known)
    }


@pytest.mark.parametrize(
    ("content", "days", "goes"),
    [
        (Lease("d", "r", NOW - timedelta(days=8)).to_bytes(), 0, True),
        (Lease("d", "r", NOW - timedelta(days=6)).to_bytes(), 9, False),
        (Lease("d", "r", NOW + timedelta(minutes=5)).to_bytes(), 9, False),
        (Lease("d", "r", NOW + timedelta(days=9999)).to_bytes(), 8, True),
        (Lease("d", "r", NOW + timedelta(days=9999)).to_bytes(), 0, False),
        (b"", 8, True),
        (b"{", 0, False),
    ],
    ids=["ended", "just ended", "held", "ahead", "ahead and new", "empty", "damaged and new"],
)
def test_dead_claims_go_and_no_others(store, tmp_path, content, days, goes):
    aged(store, tmp_path, ".staging/.claims/p.json", days)
    store.write(".staging/.claims/p.json", content)
    then = time.time() - 86_400 * days
    os.utime(tmp_path / ".staging/.claims/p.json", (then, then))
    sweep_leases(store, NOW)
    assert bool(store.sizes(".staging")) is not goes


def test_a_claim_that_was_just_taken_over_stays(store, monkeypatch):
    path = ".staging/.claims/p.json"
    dead, alive = (Lease("d", "r", NOW + timedelta(days=d)).to_bytes() for d in (-8, 0))
    store.write(path, dead)
    read = store.read

    def then_taken_over(path):
        content = read(path)
        store.write(path, alive)
        return content

    monkeypatch.setattr(store, "read", then_taken_over)
    sweep_leases(store, NOW)
    assert read(path) == alive
