import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.models.time_range import (
    Window,
    format_instant,
    parse_day,
    parse_instant,
    spans,
)

instants = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
days = st.dates(date(2015, 1, 1), date(2035, 1, 1))


@given(days, st.lists(st.integers(1, 40), min_size=1, max_size=12), instants)
def test_adjacent_ranges_of_days_leave_no_gap_and_no_overlap(first, lengths, instant):
    windows, day = [], first
    for length in lengths:
        windows.append(Window.of_days(day, day + timedelta(days=length - 1)))
        day += timedelta(days=length)
    whole = Window.of_days(first, day - timedelta(days=1))
    assert all(a.end == b.start for a, b in itertools.pairwise(windows))
    assert sum(instant in window for window in windows) == (instant in whole)
    assert [d for window in windows for d in window.days] == list(whole.days)


@given(st.sets(days.filter(lambda day: day.year < 2018), max_size=12), st.integers(0, 400))
def test_spans_hold_all_days_and_none_in_a_longer_gap(some, gap):
    windows = spans(sorted(some), gap=gap)
    found = [day for window in windows for day in window.days]
    assert found == sorted(set(found))
    assert some <= set(found)
    apart = [(b - a).days - 1 for a, b in itertools.pairwise(sorted(some))]
    assert len(windows) == bool(some) + sum(between > gap for between in apart)
    assert len(found) - len(some) == sum(between for between in apart if between <= gap)


def test_only_whole_days_count_as_days():
    window = Window(datetime(2024, 8, 1, 5, tzinfo=UTC), datetime(2024, 8, 3, 5, tzinfo=UTC))
    assert window.days == (date(2024, 8, 2),)


@given(instants)
def test_every_instant_belongs_to_exactly_one_day(instant):
    around = [instant.date() + timedelta(days=n) for n in (-1, 0, 1)]
    assert [instant in Window.of_days(day, day) for day in around] == [False, True, False]


@given(days, st.integers(0, 400))
def test_of_days_covers_exactly_its_days(first, count):
    last = first + timedelta(days=count)
    found = Window.of_days(first, last).days
    assert found[0] == first
    assert found[-1] == last
    assert len(found) == count + 1


def test_reversed_days_are_refused():
    with pytest.raises(QueryError, match="last_day 2024-08-01 lies before first_day 2024-08-02"):
        Window.of_days(date(2024, 8, 2), date(2024, 8, 1))


def test_empty_window_is_refused():
    instant = datetime(2024, 8, 1, tzinfo=UTC)
    with pytest.raises(QueryError, match="empty or reversed"):
        Window(instant, instant)


def test_window_without_zone_is_refused():
    with pytest.raises(QueryError, match="time zone"):
        Window(datetime(2024, 8, 1), datetime(2024, 8, 2))


@pytest.mark.parametrize(
    "text",
    [
        "2024-08-01T08:36:01.024Z",
        "2024-08-01T08:36:01.024000Z",
        "2024-08-01T08:36:01.024+00:00",
        "2024-08-01T10:36:01.024+02:00",
        "2024-08-01T08:36:01.024",
    ],
)
def test_parse_instant_accepts_every_spelling_of_the_catalogue(text):
    assert parse_instant(text) == datetime(2024, 8, 1, 8, 36, 1, 24000, tzinfo=UTC)


@given(instants)
def test_format_instant_names_the_millisecond(instant):
    parsed = parse_instant(format_instant(instant))
    assert timedelta(0) <= instant - parsed < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["2024-8-1", "01.08.2024", "yesterday", "", "2024-02-30"])
def test_parse_day_refuses_what_is_no_day(text):
    with pytest.raises(QueryError, match="YYYY-MM-DD"):
        parse_day(text)
