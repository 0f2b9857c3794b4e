"""What is removed without being asked, and what waits for a person."""

import json
from datetime import timedelta

import pytest

from copernicus_dataspace.errors import ConfigurationError
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of
from tests.airflow_copernicus.reconcile.approvals.conftest import (
    COUNT,
    LEFT,
    RECORD,
    flip,
    names,
    newer_of,
)
from tests.airflow_copernicus.reconcile.test_reconcile import DAY, INGEST, held, states, stem


def test_what_is_more_than_the_limit_is_asked_for_and_all_that_adds_is_done(
    approvals, asked, old, new
):
    assert held(approvals.output) == names(*old[2:], *new)
    assert approvals.questioned() == [stem(one) for one in old[2:]]
    trigger = asked["request"]
    assert trigger["conf"] == {"ingest": INGEST}
    rows = {one["name"]: (one["action"], one["now"]) for one in asked["report"]["exceptions"]}
    assert rows[stem(old[0])] == ("removed", "gone")
    assert rows[stem(old[-1])] == ("waits for approval: remove", "kept")
    approval = asked["report"]["approval"]
    assert approval["waiting"] == LEFT
    assert trigger["trigger_run_id"] in approval["path"].replace("%3A", ":")
    assert sum(len(one["replaced"]) for one in approvals.changes(asked).values()) == 2


def test_more_runs_in_a_night_remove_no_more_and_ask_no_more(approvals, asked, old, new, clock):
    for number, params in enumerate(
        [{}, {"first_day": f"{DAY - timedelta(days=COUNT)}", "last_day": f"{DAY}"}, {"scrub": True}]
    ):
        clock.now += timedelta(hours=number)
        settled = approvals.reconcile(**params)
        assert settled["request"] is None
        assert settled["change"] is None
        assert settled["report"]["approval"]["waiting"] == LEFT
    assert held(approvals.output) == names(*old[2:], *new)


def test_what_waits_is_not_removed_by_the_nights_that_follow(approvals, asked, old, new, clock):
    for _ in range(3):
        clock.pass_days(1)
        settled = approvals.reconcile()
        assert settled["request"] is None
    assert settled["report"]["approval"]["since"].startswith("2026-11-20T03:00:00")
    assert held(approvals.output) == names(*old[2:], *new)


def test_the_next_night_has_a_limit_of_its_own(connected, ingest, approvals, asked, old, clock):
    more = [
        connected.add(lake_product(sensed=f"{DAY - timedelta(days=ago)}T10:36:01.024Z"))
        for ago in (20, 21, 22)
    ]
    ingest(
        make_context(run_id="more"),
        first_day=f"{DAY - timedelta(days=22)}",
        last_day=f"{DAY - timedelta(days=20)}",
    )
    for product in more:
        newer_of(product, connected)
    clock.pass_days(1)
    settled = approvals.reconcile()
    assert settled["report"]["approval"]["waiting"] == LEFT + 1
    begun = settled["request"]
    assert settled["ended_request"] == asked["request"]
    assert begun["trigger_run_id"] != asked["request"]["trigger_run_id"]


def test_the_latest_report_says_what_a_run_by_hand_has_asked_for(connected, approvals, old):
    """The overview of all archives shows the latest report of a night."""
    nightly = approvals.reconcile()["report"]
    for product in old:
        newer_of(product, connected)
    days = {"first_day": f"{DAY - timedelta(days=COUNT)}", "last_day": f"{DAY}"}
    asked = approvals.reconcile(**days)["report"]["approval"]
    latest = json.loads((approvals.output / f"reports/{INGEST}/latest.json").read_text())
    assert asked["waiting"] == LEFT
    assert latest == {**nightly, "approval": {**asked, "answer": ""}}


def test_a_dry_run_asks_nobody(approvals, old, new, ingest):
    ingest(
        make_context(run_id="more"), first_day=f"{DAY - timedelta(days=COUNT)}", last_day=f"{DAY}"
    )
    settled = approvals.reconcile(is_dry_run=True)
    assert settled["request"] is None
    assert held(approvals.output) == names(*old, *new)
    assert not (approvals.output / RECORD).exists()


@pytest.mark.parametrize("policy", ["quarantine", "keep"])
def test_moves_to_quarantine_count_and_what_is_kept_asks_nobody(approvals, old, new, policy):
    approvals.write(superseded=policy)
    settled = approvals.reconcile()
    kept = old if policy == "keep" else old[2:]
    assert held(approvals.output) == names(*kept, *new)
    assert settled["report"]["approval"]["waiting"] == (0 if policy == "keep" else LEFT)
    assert (settled["request"] is not None) == (policy != "keep")


@pytest.mark.parametrize(("most", "gone"), [(0, 0), (1, 1), (2, 2), (100, 2)])
def test_the_limit_is_a_setting_of_the_ingest(approvals, old, new, most, gone):
    approvals.write(max_removals=most)
    settled = approvals.reconcile()
    assert held(approvals.output) == names(*old[gone:], *new)
    assert settled["report"]["approval"]["waiting"] == COUNT - gone


@pytest.mark.parametrize("most", [-1, 1.5, "10", None, True])
def test_a_limit_is_a_whole_number(approvals, most):
    approvals.write(max_removals=most)
    with pytest.raises(ConfigurationError, match=r"max_removals: .* cannot be used"):
        approvals.reconcile()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"done": "x"}'])
def test_with_a_damaged_record_everything_is_asked_for(approvals, old, new, content):
    path = approvals.output / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    settled = approvals.reconcile()
    assert held(approvals.output) == names(*old, *new)
    assert settled["report"]["approval"]["waiting"] == COUNT
    page = (approvals.output / f"reports/{INGEST}/latest.html").read_text()
    assert "The record of earlier removals is damaged" in page


def test_what_was_withdrawn_is_limited_and_asked_for_too(connected, approvals, old):
    for product in old:
        connected.remove(product.id, "Corrupted product")
    connected.add(lake_product(sensed=f"{DAY}T10:36:01.024Z"))
    settled = approvals.reconcile()
    assert len([one for one in states(settled).values() if one == ("withdrawn", "gone")]) == 2
    assert settled["report"]["approval"]["waiting"] == LEFT
    approvals.ask()
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert sorted(
        gone for one in settled["changes"].values() for gone in one["withdrawn"]
    ) == sorted(one.id for one in old[2:])


def test_what_is_left_to_others_is_no_removal(connected, approvals, old):
    approvals.write("other")
    approvals.reconcile(name="other")
    new = [newer_of(product, connected) for product in old]
    settled = approvals.reconcile()
    rows = {one["name"]: one["action"] for one in settled["report"]["exceptions"]}
    assert {rows[stem(one)] for one in old} == {"released to other"}
    assert (settled["request"], settled["report"]["approval"]["waiting"]) == (None, 0)
    assert held(approvals.output) == names(*old, *new)


def test_a_plan_of_days_not_looked_at_waits_on(connected, approvals, asked, old, new):
    settled = approvals.reconcile(first_day=f"{DAY}")
    assert settled["request"] is None
    assert settled["report"]["approval"]["waiting"] == LEFT


def test_a_successor_whose_bytes_are_wrong_takes_no_place_until_it_is_right(
    connected, ingest, approvals, old
):
    new = newer_of(old[0], connected)
    ingest(make_context(run_id="more"), product_ids=[new.id])
    path = approvals.file_of(new)
    right = path.read_bytes()
    flip(path)
    approvals.write(scrub_days=0)
    settled = approvals.reconcile()
    assert states(settled)[stem(old[0])] == ("superseded", "kept")
    (row,) = settled["report"]["exceptions"]
    assert row["action"] == f"kept: its replacement is damaged ({path.name})"
    assert stem(old[0]) in held(approvals.output)
    settled = approvals.reconcile()
    assert states(settled) == {
        stem(new): ("damaged", "present"),
        stem(old[0]): ("superseded", "gone"),
    }
    assert path.read_bytes() == right == new.read(scl_of(new))
