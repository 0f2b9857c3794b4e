import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataspace.errors import QueryError
from dataspace.window import Window, format_instant, parse_day, parse_instant

instants = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
days = st.dates(date(2015, 1, 1), date(2035, 1, 1))


@st.composite
def windows(draw):
    start = draw(instants)
    return Window(
        start, start + draw(st.timedeltas(timedelta(milliseconds=3), timedelta(days=400)))
    )


@given(windows(), instants)
def test_halves_leave_no_gap_and_no_overlap(window, instant):
    pieces = [part for half in window.halves() for part in _split(half)]
    assert pieces[0].start == window.start
    assert pieces[-1].end == window.end
    assert all(a.end == b.start for a, b in itertools.pairwise(pieces))
    assert sum(instant in piece for piece in pieces) == (instant in window)


def _split(window):
    try:
        return window.halves()
    except QueryError:
        return (window,)


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
