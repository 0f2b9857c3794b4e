from datetime import timedelta
from types import SimpleNamespace

import pendulum
import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from airflow_copernicus.timetables import SensingDayTimetable

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DELAYED = SensingDayTimetable(publication_delay=DAY)
FIRST = pendulum.datetime(2026, 11, 1)


def november(day, hour=0, minute=0):
    return pendulum.datetime(2026, 11, day, hour, minute)


def sensing(day):
    return DataInterval(november(day), november(day + 1))


def stored(interval, logical_date=None, run_after=None):
    """What Airflow hands over of a run in its database."""
    return SimpleNamespace(
        run_after=run_after or interval.end,
        data_interval_start=interval.start,
        data_interval_end=interval.end,
        logical_date=logical_date or interval.start,
        partition_key=None,
        partition_date=None,
    )


@pytest.fixture
def at(monkeypatch):
    """Sets the clock."""

    def set_clock(now):
        monkeypatch.setattr(pendulum, "now", lambda _tz: now)

    return set_clock


def next_run(timetable, last=None, *, catchup, latest=None):
    """The question the scheduler asks: after each run it makes, and whenever the file is read."""
    return timetable.next_dagrun_info_v2(
        last_dagrun_info=last and timetable.run_info_from_dag_run(dag_run=last),
        restriction=TimeRestriction(FIRST, latest, catchup),
    )


def test_run_is_made_the_delay_after_its_day_ended(at):
    at(november(21, 12))
    info = next_run(DELAYED, stored(sensing(19)), catchup=False)
    assert info.data_interval == sensing(20)
    assert info.run_after == november(22)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        pytest.param(november(23), 21, id="due this very moment"),
        pytest.param(november(22, 23, 59), 20, id="due in a minute"),
        pytest.param(november(23, 12), 21, id="one ended and waiting"),
    ],
)
def test_first_run_without_catchup_is_the_newest_that_is_due(at, now, day):
    at(now)
    assert next_run(DELAYED, catchup=False).data_interval == sensing(day)


def test_first_run_never_lies_before_the_start_date(at):
    at(november(1, 6))
    assert next_run(DELAYED, catchup=False).data_interval == sensing(1)


def test_run_waiting_for_its_delay_is_not_skipped_without_catchup(at):
    two_days = SensingDayTimetable(publication_delay=60 * HOUR)
    at(november(22, 6))
    assert next_run(two_days, stored(sensing(18)), catchup=False).data_interval == sensing(19)


def test_missed_days_are_skipped_without_catchup_and_made_with_it(at):
    at(november(20, 6))
    assert next_run(DELAYED, stored(sensing(3)), catchup=False).data_interval == sensing(18)
    assert next_run(DELAYED, stored(sensing(3)), catchup=True).data_interval == sensing(4)


def test_backfill_ahead_of_the_delay_does_not_move_the_schedule_past_waiting_days(at):
    at(november(22, 6))
    two_days = SensingDayTimetable(publication_delay=60 * HOUR)
    newest_due = next_run(two_days, stored(sensing(21)), catchup=False)
    assert newest_due.data_interval == sensing(18)
    assert next_run(two_days, stored(sensing(18)), catchup=False).data_interval == sensing(19)


def test_manual_run_holding_the_next_logical_date_does_not_stall_the_schedule(at):
    at(november(23))
    manual = stored(sensing(20), logical_date=november(21), run_after=november(22))
    assert next_run(DELAYED, manual, catchup=True).data_interval == sensing(22)


def test_manual_run_takes_the_day_before_its_logical_date():
    for moment in (november(5), november(5, 13, 30)):
        assert DELAYED.infer_manual_data_interval(run_after=moment) == sensing(4)


def test_scheduled_run_is_named_after_its_day_and_others_as_airflow_does():
    names = {
        kind: DELAYED.generate_run_id(
            run_type=kind, run_after=november(22, 6), data_interval=sensing(20)
        )
        for kind in (DagRunType.SCHEDULED, DagRunType.MANUAL)
    }
    assert names == {
        DagRunType.SCHEDULED: "scheduled__2026-11-20",
        DagRunType.MANUAL: "manual__2026-11-22T06:00:00+00:00",
    }


def test_backfill_gives_each_day_once_and_at_once(at):
    """Through Airflow's own storage, as the scheduler and the API server load a DAG."""
    at(november(23, 6))
    infos = backfilled(november(19), november(22))
    assert [info.data_interval for info in infos] == [sensing(day) for day in range(19, 23)]
    assert all(info.run_after <= november(23, 6) for info in infos)


def test_backfill_runs_are_named_after_their_days(at):
    """And never as an earlier version named the run of the day before."""
    at(november(23, 6))
    names = [
        DagRun.generate_run_id(
            run_type=DagRunType.BACKFILL_JOB,
            logical_date=info.logical_date,
            run_after=info.run_after,
        )
        for info in backfilled(november(19), november(20))
    ]
    assert [name.partition("T")[0] for name in names] == [
        "backfill__2026-11-19",
        "backfill__2026-11-20",
    ]
    assert not any(name.endswith("T00:00:00+00:00") for name in names)


def test_an_interval_that_has_not_ended_is_not_run_early(at):
    """A DAG with catchup and an end date looks like a backfill."""
    at(november(20, 6))
    assert [info.run_after for info in backfilled(november(20), november(20))] == [november(21)]


def backfilled(first, last):
    dag = DAG("probe", schedule=DELAYED, start_date=FIRST, catchup=False)
    loaded = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return list(loaded.iter_dagrun_infos_between(first, last))


def test_stored_timetable_keeps_expression_and_delay():
    weekly = SensingDayTimetable(cron="@weekly", publication_delay=36 * HOUR)
    again = SensingDayTimetable.deserialize(weekly.serialize())
    assert again.serialize() == {"cron": "0 0 * * 0", "publication_delay_s": 129600.0}
    assert again.summary == "0 0 * * 0 + 1 day 12 hours"


@pytest.mark.parametrize(("delay", "words"), [(DAY, "1 day"), (timedelta(0), "0 hours")])
def test_list_of_dags_shows_expression_and_delay(delay, words):
    timetable = SensingDayTimetable(publication_delay=delay)
    assert timetable.summary == f"0 0 * * * + {words}"
    assert timetable.description == f"At 00:00 UTC, run {words} later"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"cron": "0 5 * * *"}, "increase publication_delay", id="five o'clock"),
        pytest.param({"cron": "@hourly"}, "midnight UTC", id="hourly"),
        pytest.param({"cron": "every day"}, "columns", id="malformed"),
        pytest.param({"publication_delay": -HOUR}, "Use zero or more", id="negative delay"),
    ],
)
def test_impossible_schedule_is_refused_when_the_dag_is_read(arguments, message):
    timetable = SensingDayTimetable(**{"publication_delay": DAY} | arguments)
    with pytest.raises(AirflowTimetableInvalid, match=message):
        timetable.validate()


@pytest.mark.parametrize("cron", ["@daily", "0 0 * * 1", "00 00 1 * *"])
def test_schedule_of_whole_days_is_accepted(cron):
    SensingDayTimetable(cron=cron, publication_delay=DAY).validate()


@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    delay=st.integers(min_value=0, max_value=60),
    ahead=st.sets(st.integers(min_value=24, max_value=5 * 24), max_size=4),
    catchup=st.booleans(),
)
@example(delay=26, ahead={98}, catchup=False)
def test_no_day_is_left_out_whatever_is_backfilled_meanwhile(delay, ahead, catchup):
    """A scheduler by the hour; at the hours `ahead` yesterday is backfilled before its time."""
    timetable = SensingDayTimetable(publication_delay=delay * HOUR)
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for hour in range(24, 5 * 24 + 1):
            now = FIRST + hour * HOUR
            patch.setattr(pendulum, "now", lambda _tz, now=now: now)
            if hour in ahead:
                yesterday = timetable.infer_manual_data_interval(run_after=now)
                made.setdefault(yesterday.start, stored(yesterday))
            info = next_run(timetable, made[max(made)] if made else None, catchup=catchup)
            while info.run_after <= now:
                assert info.run_after == info.data_interval.end + delay * HOUR
                run = made.setdefault(info.logical_date, stored(info.data_interval))
                info = next_run(timetable, run, catchup=catchup)
    due = (5 * 24 - delay) // 24
    assert {FIRST + n * DAY for n in range(due)} <= set(made)
