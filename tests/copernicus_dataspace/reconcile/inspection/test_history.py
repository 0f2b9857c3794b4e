"""What is remembered of audits: shares that never flatter, days that are forgotten in time."""

import json
from datetime import UTC, date, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.json_records import write_json
from copernicus_dataspace.reconcile.inspection.history import History, Survey, TileCounts
from tests.support.products.held import held_product

LAST = date(2026, 11, 19)
PRESENT = datetime(2026, 11, 20, 3, tzinfo=UTC)
SURVEY = Survey(
    at=PRESENT,
    product_type="S2MSI2A",
    days=((date(2019, 5, 1), date(2019, 5, 1)), (LAST, LAST)),
)
SURVEY_JSON = json.loads(write_json(SURVEY))
BEFORE = {
    "at": PRESENT.isoformat(),
    "listed_at": PRESENT.isoformat(),
    "question": "0123456789abcdef",
    "awaited": [json.loads(write_json(held_product(1)))],
    "unlisted": ["a", "b"],
}
"""A survey as it was written before it told which days were looked at."""


def cell(present, expected, **why):
    return TileCounts(expected, present, why)


def day_before(number):
    return (LAST - timedelta(days=number)).isoformat()


def of_cells(*cells):
    """Return a history of one tile, its last day first."""
    return History(days={day_before(n): {"T36TXL": one} for n, one in enumerate(cells)})


shares = st.integers(0, 10**18).flatmap(
    lambda expected: st.tuples(st.integers(max(expected - 3, 0), expected), st.just(expected))
)
FULL = History(
    days={day_before(0): {"T36TXL": cell(1, 2, late=1)}, day_before(1): {"-": cell(0, 0)}},
    delays_h={day_before(0): [5.1], day_before(1): []},
    scrubbed=LAST,
    survey=SURVEY,
)


@given(st.lists(shares, max_size=5))
def test_completeness_is_a_hundred_only_where_all_is_present(found):
    history = of_cells(*(cell(*share) for share in found))
    present, expected = (sum(share[n] for share in found) for n in (0, 1))
    told = history.completeness(LAST, 30)
    assert (told is None) == (expected == 0)
    if expected:
        assert (told == 100) == (present == expected)
        assert 0 <= told <= 100 * present / expected + 1e-9
        assert 100 * present / expected - told < 0.0101


@pytest.mark.parametrize(
    ("present", "expected", "told"),
    [(0, 7, 0.0), (2, 3, 66.66), (9_999, 10_000, 99.99), (99_999, 100_000, 99.99), (7, 7, 100.0)],
)
def test_completeness_is_cut_off_after_two_digits(present, expected, told):
    assert of_cells(cell(present, expected)).completeness(LAST, 7) == told


def test_completeness_is_that_of_the_days_asked_for():
    history = of_cells(cell(1, 1), cell(1, 2), cell(0, 1))
    assert [history.completeness(LAST, n) for n in (0, 1, 2, 3, 365)] == [
        *(None, 100.0, 66.66),
        *(50.0, 50.0),
    ]
    assert history.completeness(LAST - timedelta(days=1), 1) == 50.0
    assert history.completeness(LAST + timedelta(days=1), 1) is None


def test_all_tiles_of_a_day_count():
    history = History(days={day_before(0): {"T36TXL": cell(1, 1), "T36TWL": cell(0, 3)}})
    assert history.completeness(LAST, 1) == 25.0


delays = st.lists(st.floats(-1, 10_000), max_size=60)


@given(st.lists(delays, max_size=4))
def test_freshness_is_median_and_the_delay_that_nineteen_of_twenty_keep(by_day):
    history = History(delays_h={day_before(n): found for n, found in enumerate(by_day)})
    every = [delay for found in by_day for delay in found]
    told = history.freshness(LAST, 30)
    assert (told is None) == (not every)
    if every:
        assert told["median_h"] == round(median(every), 1)
        assert told["p95_h"] in {round(delay, 1) for delay in every}
        late = [delay for delay in every if round(delay, 1) > told["p95_h"]]
        assert 20 * len(late) <= len(every)
        as_late = [delay for delay in every if round(delay, 1) >= told["p95_h"]]
        assert 20 * len(as_late) > len(every)


@pytest.mark.parametrize(
    ("delays_h", "median_h", "p95_h"),
    [
        ([3.0], 3.0, 3.0),
        ([1.0, 2.0], 1.5, 2.0),
        (list(range(20, 0, -1)), 10.5, 19),
        (list(range(1, 22)), 11, 20),
        (list(range(1, 101)), 50.5, 95),
    ],
)
def test_freshness_of_few(delays_h, median_h, p95_h):
    history = History(delays_h={day_before(1): delays_h})
    assert history.freshness(LAST, 2) == {"median_h": median_h, "p95_h": p95_h}
    assert history.freshness(LAST, 1) is None


@pytest.mark.parametrize("history", [History(), FULL], ids=["empty", "full"])
def test_what_was_written_is_read(history):
    assert History.read(history.to_bytes()) == history


def test_the_days_of_the_last_look_are_those_of_its_product_type():
    assert [*FULL.surveyed("S2MSI2A")] == [date(2019, 5, 1), LAST]
    assert [*FULL.surveyed("S2MSI1C")] == [*History().surveyed("S2MSI2A")] == []


def test_a_survey_written_before_tells_of_the_days_that_had_products():
    record = {**json.loads(FULL.to_bytes()), "survey": BEFORE}
    read = History.read(json.dumps(record).encode())
    assert read.survey == Survey(PRESENT)
    assert read.days == FULL.days
    assert [*read.surveyed("S2MSI2A")] == [LAST]
    assert History.read(read.to_bytes()) == read


@given(st.integers(0, len(FULL.to_bytes()) - 1))
def test_a_part_of_what_was_written_is_as_good_as_nothing(length):
    assert History.read(FULL.to_bytes()[:length]) == History()


@pytest.mark.parametrize(
    "content", [None, b"", b"null", b"[]", b"3", b"{}", b"\xff", b'{"days": {}, "survey": null}']
)
def test_what_is_damaged_is_as_good_as_nothing(content):
    assert History.read(content) == History()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days", None),
        ("days", 3),
        ("delays_h", "text"),
        ("scrubbed", "yesterday"),
        ("scrubbed", 3),
        ("survey", "text"),
        ("survey", {**SURVEY_JSON, "at": None}),
        ("survey", {**SURVEY_JSON, "days": [["2024-01-01"]]}),
        ("survey", {**SURVEY_JSON, "days": [["2024-01-02", "2024-01-01"]]}),
        ("survey", {**SURVEY_JSON, "days": [["2024-01-01", "soon"]]}),
        ("days", {"yesterday": {}}),
    ],
)
def test_a_wrong_value_is_as_good_as_nothing(name, value):
    record = json.loads(FULL.to_bytes())
    assert History.read(json.dumps({**record, name: value}).encode()) == History()


def test_days_found_anew_take_the_place_of_what_was_known():
    known = of_cells(cell(1, 2, late=1), cell(3, 4), cell(5, 6))
    looked_at = [LAST - timedelta(days=n) for n in (0, 1)]
    found = known.with_days(
        looked_at, {day_before(0): {"T36TWL": cell(2, 2)}}, {day_before(0): [3]}
    )
    assert found.days == {
        day_before(2): {"T36TXL": cell(5, 6)},
        day_before(0): {"T36TWL": cell(2, 2)},
    }
    assert found.delays_h == {day_before(0): [3]}
    assert list(found.days) == sorted(found.days)


def test_counts_of_days_that_were_not_inspected_leave_the_other_tiles():
    tiles = {"T36TWL": cell(1, 1), "T36TXL": cell(2, 2)}
    known = History(days={day_before(0): tiles}, delays_h={day_before(0): [3.0]})
    found = known.with_days([], {day_before(0): {"T36TXL": cell(1, 2, damaged=1)}}, {})
    assert found.days == {day_before(0): {**tiles, "T36TXL": cell(1, 2, damaged=1)}}
    assert found.delays_h == known.delays_h


def test_a_look_at_some_days_leaves_all_else_as_it_was():
    found = FULL.with_days([LAST - timedelta(days=9)], {}, {})
    assert found == FULL
    assert History().with_days([], {}, {}) == History()


def test_days_older_than_a_year_are_forgotten():
    days = {day_before(n): {"T36TXL": cell(1, 1)} for n in range(400)}
    hours = {day: [1.0] for day in days}
    looked_at = [LAST - timedelta(days=n) for n in range(400)]
    found = History().with_days(looked_at, days, hours)
    assert list(found.days) == list(found.delays_h) == [day_before(n) for n in range(364, -1, -1)]
    next_day = LAST + timedelta(days=1)
    later = found.with_days([next_day], {}, {})
    assert list(later.days) == [day_before(n) for n in range(363, -1, -1)]


@given(st.dates(date(2015, 1, 1), date(2030, 1, 1)), st.integers(1, 1000))
def test_an_old_day_that_is_looked_at_late_pushes_out_none_that_is_newer(day, age_days):
    new, old = ({"T36TXL": cell(n, 2)} for n in (1, 2))
    older = day - timedelta(days=age_days)
    known = History().with_days([day], {day.isoformat(): new}, {})
    found = known.with_days([older], {older.isoformat(): old}, {})
    remembered = {older.isoformat(): old} if age_days < 365 else {}
    assert found.days == {**remembered, day.isoformat(): new}


def test_what_is_offline_is_not_counted_but_told():
    history = of_cells(cell(1, 3, offline=1, missing=1), cell(2, 2), cell(0, 1, offline=1))
    assert history.completeness(LAST, 1) == 50.0
    assert history.completeness(LAST, 2) == 75.0
    assert [history.offline(LAST, n) for n in (1, 2, 3, 365)] == [1, 1, 2, 2]
    assert of_cells(cell(0, 2, offline=2)).completeness(LAST, 7) is None


@pytest.mark.parametrize("said", [9, -1, 10**9])
def test_no_more_is_offline_than_is_not_present(said):
    history = of_cells(cell(1, 3, offline=said))
    assert 0 <= history.offline(LAST, 1) <= 2
    assert history.completeness(LAST, 1) in (100.0, 33.33)


def test_days_on_which_nothing_was_expected_are_known():
    found = History().with_days([LAST, LAST - timedelta(days=1)], {day_before(0): {}}, {})
    assert [found.known_days(LAST, n) for n in (1, 7, 365)] == [1, 1, 1]
    both = History().with_days([LAST], {day_before(n): {} for n in (0, 1)}, {})
    assert [both.known_days(LAST, n) for n in (1, 7, 365)] == [1, 2, 2]


def test_a_look_at_old_days_can_tell_of_the_year_that_ends_with_them():
    old = LAST - timedelta(days=900)
    found = FULL.with_days([old], {f"{old}": {"T36TXL": cell(1, 2)}}, {f"{old}": [5.0]}, until=old)
    assert found.completeness(old, 7) == 50.0
    assert found.known_days(old, 365) == 1
    assert found.days.keys() == {f"{old}", *FULL.days}
