"""What a person is asked, and what an answer does."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.runs import ingest_archive
from copernicus_dataspace.errors import ConfigurationError, NotStagedError, QueryError
from copernicus_dataspace.reconcile import repair
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.approvals.conftest import (
    COUNT,
    DAG_ID,
    LEFT,
    RECORD,
    flip,
    names,
    newer_of,
)
from tests.airflow_copernicus.reconcile.test_reconcile import DAY, INGEST, held, stem


def test_what_is_approved_goes_and_downstream_is_told(approvals, asked, old, new, clock):
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert held(approvals.output) == names(*new)
    told = {a: b for one in settled["changes"].values() for a, b in one["replaced"].items()}
    assert told == {a.id: [b.id] for a, b in zip(old[2:], new[2:], strict=True)}
    linked = [path.read_text() for path in approvals.output.glob("stac/S2MSI2A/*/*/*/catalog.json")]
    assert len(linked) == COUNT
    assert not [text for text in linked if any(stem(one) in text for one in old)]
    latest = json.loads((approvals.output / f"reports/{INGEST}/latest.json").read_text())
    assert latest["approval"]["answer"] == (
        f"approved: {LEFT} of {LEFT} removed or moved to quarantine"
    )
    clock.pass_days(1)
    after = approvals.reconcile()
    assert after["request"] is None
    assert after["report"]["exceptions"] == []
    assert after["report"]["approval"]["waiting"] == 0


def test_what_is_rejected_stays_and_is_not_asked_for_again(approvals, asked, old, new, clock):
    settled = approvals.answer(is_approved=False)
    assert (settled["removed"], settled["change"]) == ([], None)
    for _ in range(2):
        clock.pass_days(1)
        later = approvals.reconcile()
        assert (later["request"], later["change"]) == (None, None)
        assert later["report"]["approval"]["waiting"] == 0
        assert later["report"]["approval"]["rejected"] == LEFT
    actions = {one["action"] for one in later["report"]["exceptions"]}
    assert actions == {"kept: its removal was rejected"}
    assert held(approvals.output) == names(*old[2:], *new)
    with pytest.raises(AirflowSkipException, match="no removals are pending"):
        approvals.ask("another")


def test_what_was_rejected_can_be_asked_for_again_by_hand(approvals, asked, old, new, clock):
    approvals.answer(is_approved=False)
    clock.pass_days(1)
    approvals.reconcile()
    approvals.ask("again", with_rejected=True)
    assert sorted(approvals.questioned("again")) == names(*old[2:])
    assert approvals.answer("again", is_approved=True)["removed"] == []
    settled = approvals.answer("again", is_approved=True, with_rejected=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    approvals.reconcile()
    assert json.loads((approvals.output / RECORD).read_text())["rejected"] == []


def test_a_rejected_product_with_another_successor_is_asked_for(
    connected, approvals, asked, old, new, clock
):
    approvals.answer(is_approved=False)
    newest = newer_of(old[-1], connected, baseline="05.13", generation="2024-10-01T00:00:00Z")
    clock.pass_days(1)
    approvals.reconcile()
    approvals.ask("another")
    assert approvals.questioned("another") == [stem(old[-1])]
    assert stem(newest) in held(approvals.output)


def test_a_newer_plan_takes_the_place_of_the_one_that_waits(
    connected, ingest, approvals, asked, old, new
):
    """Were the earlier one answered all the same, only what both name would go."""
    approvals.write(withdrawn="keep")
    connected.remove(new[-1].id)  # so the newer plan no longer names the last one
    more = connected.add(lake_product(sensed=f"{DAY}T10:36:01.024Z"))
    ingest(make_context(run_id="more"))
    newer_of(more, connected)
    later = _an_hour_later(approvals)
    begun = later["request"]
    assert later["ended_request"] == asked["request"]
    with pytest.raises(AirflowSkipException, match="a newer request replaces this one"):
        approvals.ask()
    approvals.ask(begun["trigger_run_id"])
    assert sorted(approvals.questioned(begun["trigger_run_id"])) == names(*old[2:-1], more)
    removed = approvals.answer(is_approved=True)["removed"]
    assert sorted(removed) == names(*old[2:-1])
    assert {stem(more), stem(old[-1])} < set(held(approvals.output))


def _an_hour_later(approvals):
    ingest_archive.utc_now.now += timedelta(hours=1)
    return approvals.reconcile()


def test_what_is_shown_is_what_can_be_approved(approvals, asked, old, new):
    """Airflow shows the first text of a question again where its run is cleared."""
    shown = approvals.ask()
    path = approvals.output / RECORD
    record = json.loads(path.read_text())
    line = record["request"]["removals"][0]
    record["request"]["removals"].append({**line, "name": stem(new[0]), "id": new[0].id})
    path.write_text(json.dumps(record))
    assert approvals.ask() == shown
    assert stem(new[0]) not in approvals.questioned()


def test_a_question_ends_where_nothing_is_left_to_ask(connected, approvals, asked, old, new):
    approvals.write(withdrawn="keep")
    for product in new[2:]:
        connected.remove(product.id)
    settled = approvals.reconcile()
    assert (settled["request"], settled["ended_request"]) == (None, asked["request"])
    assert settled["report"]["approval"]["waiting"] == 0
    with pytest.raises(AirflowSkipException, match="or no removals are pending"):
        approvals.ask()
    assert approvals.answer(is_approved=True)["removed"] == []
    assert set(names(*old[2:])) < set(held(approvals.output))


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "no item", "withdrawn", "offered anew"])
def test_only_what_a_new_look_names_too_is_removed(connected, approvals, asked, old, new, harm):
    successor, kept = new[-1], old[-1]
    path = approvals.file_of(successor)
    if harm == "flipped":
        flip(path)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "gone":
        path.unlink()
    elif harm == "no item":
        (path.parent / "item.json").unlink()
    elif harm == "withdrawn":
        connected.remove(successor.id)
    else:
        newer_of(kept, connected, baseline="05.13", generation="2024-10-01T00:00:00Z")
    before = approvals.file_of(kept).read_bytes()
    removed = approvals.answer(is_approved=True)["removed"]
    assert sorted(removed) == names(*old[2:-1])
    assert approvals.file_of(kept).read_bytes() == before


@pytest.mark.parametrize("policy", ["keep", "quarantine"])
def test_a_changed_policy_is_not_what_was_approved(approvals, asked, old, policy):
    approvals.write(superseded=policy)
    assert approvals.answer(is_approved=True)["removed"] == []
    assert set(names(*old[2:])) < set(held(approvals.output))


def test_nothing_is_done_for_an_ingest_that_is_switched_off(approvals, asked, old, new):
    with pytest.raises(AirflowSkipException, match="is paused"):
        approvals.ask("another", is_paused=True)
    with pytest.raises(AirflowSkipException, match="is paused"):
        approvals.answer(is_approved=True, is_paused=True)
    assert held(approvals.output) == names(*old[2:], *new)


def test_a_product_that_another_run_has_is_left_and_asked_for_again(
    approvals, asked, old, new, clock
):
    lease = approvals.output / f".staging/.claims/{stem(old[-1])}.json"
    lease.parent.mkdir(parents=True, exist_ok=True)
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    lease.write_text(json.dumps({"dag_id": "other", "run_id": "r", "until": until}))
    assert sorted(approvals.answer(is_approved=True)["removed"]) == names(*old[2:-1])
    lease.unlink()
    clock.now += timedelta(hours=1)
    settled = approvals.reconcile()
    assert settled["report"]["approval"]["waiting"] == 1
    assert settled["request"] != asked["request"]


def test_a_removal_that_was_killed_is_told_downstream_all_the_same(
    approvals, asked, old, new, monkeypatch
):
    really, lives = repair.retire, [1]

    def mortal(*arguments):
        lives[0] -= 1
        if lives[0] < 0:
            raise KeyboardInterrupt
        return really(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(repair, "retire", mortal)
        with pytest.raises(KeyboardInterrupt):
            approvals.answer(is_approved=True)
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert sum(len(one["replaced"]) for one in settled["changes"].values()) == LEFT
    assert held(approvals.output) == names(*new)


def test_a_question_names_no_more_than_the_record_does(approvals, asked, old, new):
    """Who may trigger, or forges a question, reaches nothing that the ingest's own plan lacks."""
    (path,) = approvals.output.glob(f"runs/{DAG_ID}/{approvals.run_id}/*/question.json")
    question = json.loads(path.read_text())
    (line,) = [one for one in question["removals"] if one["name"] == stem(old[-1])]
    forged = {**line, "name": stem(new[0]), "id": new[0].id}
    path.write_text(json.dumps({**question, "removals": [forged, {**forged, "day": "2020-01-01"}]}))
    assert approvals.answer(is_approved=True)["removed"] == []
    assert held(approvals.output) == names(*old[2:], *new)


def test_an_answer_to_a_lost_question_is_red_and_nothing_is_removed(approvals, asked, old, new):
    (path,) = approvals.output.glob(f"runs/{DAG_ID}/{approvals.run_id}/*/question.json")
    path.unlink()
    for content in (None, "", "{", '{"removals": 3}'):
        if content is not None:
            path.write_text(content)
        for is_approved in (True, False):
            with pytest.raises(NotStagedError, match="missing or damaged: nothing is removed"):
                approvals.answer(is_approved=is_approved)
    assert held(approvals.output) == names(*old[2:], *new)


@pytest.mark.parametrize("name", ["", "nonsense", "../ingests/sentinel2_daily", "/etc/passwd", "*"])
def test_only_a_registered_ingest_can_be_asked_about(approvals, name):
    with pytest.raises(ConfigurationError, match=r"unknown ingest .*; registered ingests: s"):
        approvals.ask("another", ingest=name)


def test_a_misspelt_setting_of_the_run_is_refused(approvals):
    with pytest.raises(
        QueryError,
        match="unknown param path in the run's configuration; params are ingest, with_rejected",
    ):
        approvals.ask("another", conf={"path": "x"})


def test_the_question_shows_the_plan(approvals, asked, old, new):
    question = approvals.ask("another")
    assert question["subject"] == (
        f"{INGEST}: may {LEFT} products be removed or moved to quarantine?"
    )
    rows = [line for line in question["body"].splitlines() if line.startswith("| S2")]
    assert len(rows) == LEFT
    shown = rows[0].replace("&#95;", "_")
    assert shown.startswith(f"| {stem(old[2])} | 2024-07-30 | T36TXL | superseded |")
    assert f"| {stem(new[2])} | removed |" in shown
