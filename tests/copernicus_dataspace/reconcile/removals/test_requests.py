"""Which removals may be done without being asked, over any sequence of nights."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.json_records import from_json
from copernicus_dataspace.reconcile.removals.question import plain, plan_table
from copernicus_dataspace.reconcile.removals.record import RemovalRecord, night_limit
from copernicus_dataspace.reconcile.removals.requests import Decision, Removal, Request

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def removal(number, **changes):
    facts = {
        "id": f"id-{number}",
        "name": f"S2A_{number:04}",
        "day": f"2024-08-{number % 28 + 1:02}",
        "tile": "T36TXL",
        "state": "superseded",
        "why": "replaced by S2A_new",
        "instead": ("S2A_new",),
        "policy": "remove",
    }
    return from_json({**facts, **changes}, Removal)


def removals(count, start=0):
    return [removal(number) for number in range(start, start + count)]


def waiting(*asked):
    return RemovalRecord(request=Request(asked, NOW, "run"))


@pytest.mark.parametrize(
    ("max_removals", "held", "limit"),
    [
        (10, 1_000, 10),
        (10, 199, 9),
        (10, 100, 5),
        (10, 59, 2),
        (10, 1, 2),
        (10, 0, 2),
        (1_000, 400, 20),
        (2, 10_000, 2),
        (1, 10_000, 1),
        (1, 0, 1),
        (0, 10_000, 0),
        (0, 0, 0),
    ],
)
def test_the_limit_of_a_night(max_removals, held, limit):
    assert night_limit(max_removals, held) == limit


def test_what_is_more_is_asked_for_and_the_surest_and_oldest_go_first():
    young = removal(9, day="2024-09-01")
    gone = removal(8, state="withdrawn", day="2020-01-01", instead=())
    old = removal(7, day="2024-08-01")
    at_once, asked = RemovalRecord().share_out([young, gone, old], 1, NOW)
    assert (at_once, asked) == ([old], [young, gone])
    assert RemovalRecord().share_out([gone, old, young], 1, NOW) == (at_once, asked)


def test_runs_within_a_night_share_its_limit_and_the_next_night_has_its_own():
    record = RemovalRecord().with_done(["a", "b"], NOW)
    for later, left in ((HOUR, 1), (22 * HOUR, 1), (24 * HOUR, 3), (23.9 * HOUR, 3)):
        at_once, _ = record.share_out(removals(5), 3, NOW + later)
        assert len(at_once) == left


def test_thirty_days_have_a_limit_of_their_own():
    record = RemovalRecord()
    for night in range(5):
        record = record.with_done([f"{night}a", f"{night}b"], NOW + night * DAY)
    assert record.share_out(removals(3), 2, NOW + 5 * DAY)[0] == []
    assert record.share_out(removals(3), 2, NOW + 29.9 * DAY)[0] == []
    assert len(record.share_out(removals(3), 2, NOW + 30 * DAY)[0]) == 2


def test_a_second_try_of_a_night_does_the_same_and_no_more():
    found = removals(5)
    at_once, asked = RemovalRecord().share_out(found, 2, NOW)
    record = RemovalRecord().with_done([one.name for one in at_once], NOW)
    assert record.share_out(found, 2, NOW) == (at_once, asked)
    assert record.share_out(found, 2, NOW + HOUR)[0] == []


def test_instants_to_come_count_as_of_this_night():
    record = RemovalRecord(done=(("a", NOW + 400 * DAY), ("b", NOW + HOUR)))
    assert len(record.share_out(removals(5), 2, NOW)[0]) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"done": [["a"]], "request": null, "rejected": [], "lost_at": null}',
        b'{"done": [["a", "soon"]], "request": null, "rejected": [], "lost_at": null}',
        b'{"done": [["a", 5]], "request": null, "rejected": [], "lost_at": null}',
        b'{"done": [], "request": {}, "rejected": [], "lost_at": null}',
        b'{"done": [], "request": null, "rejected": [{"id": 1}], "lost_at": null}',
        b'{"done": [], "request": null, "rejected": 3, "lost_at": null}',
        b'{"done": 7, "request": null, "rejected": [], "lost_at": null}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_lets_nothing_go_unasked_for_thirty_days(content):
    record = RemovalRecord.read(content, NOW)
    kept = RemovalRecord.read(record.to_bytes(), NOW + DAY)
    for later in (timedelta(0), DAY, 29.9 * DAY):
        assert kept.share_out(removals(3), 10, NOW + later) == ([], removals(3))
    assert len(kept.share_out(removals(3), 10, NOW + 30 * DAY)[0]) == 3


def test_without_a_record_the_limits_are_whole():
    assert RemovalRecord.read(None, NOW) == RemovalRecord()


def test_a_record_is_read_as_it_was_written():
    record = RemovalRecord(
        done=(("a", NOW),),
        request=Request((removal(1), removal(2, instead=())), NOW, "run"),
        rejected=(removal(3, policy="quarantine"),),
    )
    assert RemovalRecord.read(record.to_bytes(), NOW) == record


def test_what_waits_is_never_done_unasked():
    asked = removals(2)
    changed = replace(asked[0], instead=("S2A_newer",))
    at_once, again = waiting(*asked).share_out([changed, asked[1]], 10, NOW + 9 * DAY)
    assert (at_once, again) == ([], [changed, asked[1]])


@pytest.mark.parametrize("change", ["state", "policy", "instead", "id"])
def test_what_was_rejected_is_asked_for_only_where_it_has_changed(change):
    no, other = removals(2)
    record = waiting(no, other).answered([Decision(False, (no, other))])
    assert record.request is None
    assert record.share_out([no, other], 10, NOW + 99 * DAY) == ([], [])
    changed = replace(no, **{change: ("x",) if change == "instead" else "x"})
    assert record.share_out([changed, other], 10, NOW) == ([], [changed])
    same = replace(no, why="said in other words")
    assert record.share_out([same, other], 10, NOW) == ([], [])


def test_an_approval_ends_an_earlier_rejection():
    (one,) = removals(1)
    record = RemovalRecord(rejected=(one,)).answered([None, Decision(True, (one,))])
    assert record == RemovalRecord()


def test_an_answer_to_part_of_a_plan_leaves_the_rest():
    one, two = removals(2)
    assert waiting(one, two).answered([Decision(True, (one,))]) == waiting(two)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"approved": true}', b'{"removals": []}'])
def test_a_damaged_answer_is_none(content):
    assert Decision.read(content) is None


def test_only_true_is_an_approval():
    record = json.loads(Decision(True, ()).to_bytes())
    assert Decision.read(json.dumps(record).encode()) == Decision(True, ())
    for word in ("yes", 1, "true", None):
        assert Decision.read(json.dumps({**record, "approved": word}).encode()) is None


def test_a_look_at_some_days_asks_for_the_others_still():
    one, two = removal(1), removal(2)
    pairs = {("superseded", "remove"), ("withdrawn", "quarantine")}
    assert waiting(one, two).asking([], {one.day}, pairs) == (two,)
    assert waiting(one).asking([two], {two.day}, pairs) == (one, two)
    assert waiting(one).asking([], set(), {("superseded", "keep")}) == ()


nights = st.lists(
    st.tuples(
        st.floats(0, 40 * 24),  # hours since the one before
        st.integers(0, 30),  # found
        st.integers(0, 400),  # held
        st.booleans(),  # killed and tried again
    ),
    max_size=25,
)


@given(nights, st.integers(0, 12))
def test_never_more_than_the_limits_over_any_sequence_of_nights(happening, max_removals):
    record, now, gone, number, stored = RemovalRecord(), NOW, [], 0, None
    for hours, count, held, is_killed in happening:
        now += timedelta(hours=hours)
        found = removals(count, number)
        number += count
        limit = night_limit(max_removals, held)
        for _ in range(1 + is_killed):
            record = RemovalRecord.read(stored, now)
            at_once, asked = record.share_out(found, limit, now)
            names = {one.name for one in at_once}
            assert len(at_once) + len(asked) == len(found)
            stored = record.with_done(names, now).to_bytes()
        gone += [(name, now) for name in names]
        of_night = [name for name, at in gone if at > now - timedelta(hours=23)]
        of_month = [name for name, at in gone if at > now - timedelta(days=30)]
        if names:
            assert len(of_night) <= limit
            assert len(of_month) <= 5 * limit


texts = st.text(max_size=400)


@given(texts)
def test_a_foreign_text_stays_in_its_cell(text):
    shown = plain(text)
    bare = re.sub(r"&#\d+;", "", shown)
    assert re.fullmatch(r"[^\W_ .,;-]*", re.sub(r"[ .,;…-]", "", bare))


def test_the_table_of_a_plan_is_cut_and_says_so():
    many = removals(250)
    table = plan_table(many, "/copernicus/reports/a/latest", "file:///x.json")
    rows = [line for line in table.splitlines() if line.startswith("| S2A")]
    assert len(rows) == 100
    assert "250 products: 250 superseded. On approval: 250 removed." in table
    assert "and 150 more" in table
    assert "(</copernicus/reports/a/latest>)" in table
    assert len({row.count("|") for row in rows}) == 1


def test_the_table_says_all_that_is_to_be_decided():
    odd = removal(1, state="withdrawn", why="deleted | <b>now</b>", instead=(), policy="quarantine")
    row = plan_table([odd], "r", "f").splitlines()[6]
    assert row == (
        "| S2A&#95;0001 | 2024-08-02 | T36TXL | withdrawn | deleted &#124; &#60;b&#62;now&#60;&#47;"
        "b&#62; | - | moved to quarantine |"
    )
