"""Timetable of sensing days: runs start a publication delay after the end of their UTC day.

Products are published hours after sensing, so a run at midnight would miss most of its day.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pendulum
from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable

from copernicus_dataspace.catalogue.query import MISSION

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunType
    from pendulum import DateTime

DAILY: Final = "0 0 * * *"
_ONE_SECOND: Final = timedelta(seconds=1)
_MIDNIGHT: Final = re.compile(r"0+\s+0+(\s+\S+){3}")


class SensingDayTimetable(CronDataIntervalTimetable):
    """Intervals of whole UTC days, with runs `publication_delay` after the interval's end.

    =================== ===========================================================
    scheduled           at interval end + delay; run id and logical date are the
                        interval's first day
    `catchup=False`     starts with the newest interval whose delay is over, and
                        skips none while DAG and scheduler are running; intervals
                        missed meanwhile are fetched by `sentinel2_reconcile`, if
                        that is not paused
    manual with         the last interval that ended before the logical date: the
    logical date        UTC day before (REST and UI; the CLI uses the current time)
    manual without      no interval
    backfill of A..B    each ended interval that starts in A..B, without delay; run
                        ids contain the last second of the interval's last day. A
                        day still inside its delay gets the products published so
                        far, and no second, scheduled run. Days before the launch
                        of Sentinel-2A are skipped
    =================== ===========================================================

    Airflow calls the timetable in the same way for a backfill and for a DAG with both
    `catchup=True` and an `end_date`: such a DAG is not delayed.
    """

    def __init__(self, *, publication_delay: timedelta, cron: str = DAILY) -> None:
        """Create the timetable.

        Args:
            publication_delay: Time from an interval's end to its scheduled run.
            cron: Bounds of the intervals in UTC; a five-field expression or a preset.
        """
        super().__init__(cron, timezone="UTC")
        self.publication_delay = publication_delay
        self.description = f"{self.description} UTC, run {self._delay_in_words()} later"

    @property
    def summary(self) -> str:
        """The cron expression and the delay, for the list of DAGs."""
        return f"{super().summary} + {self._delay_in_words()}"

    def _delay_in_words(self) -> str:
        if not self.publication_delay:
            return "0 hours"
        return pendulum.duration(seconds=self.publication_delay.total_seconds()).in_words("en")

    def validate(self) -> None:
        """Validate the arguments; the constructor does not, so that stored DAGs always load.

        Raises:
            AirflowTimetableInvalid: The expression is malformed or has bounds other than UTC
                midnight, or the delay is negative.
        """
        super().validate()
        if not _MIDNIGHT.fullmatch(super().summary):
            raise AirflowTimetableInvalid(
                f"schedule {super().summary!r} has bounds other than midnight UTC, but a run "
                "covers whole UTC sensing days. To start runs later, increase publication_delay."
            )
        try:
            self._get_next(pendulum.datetime(2024, 1, 1))
        except ValueError as error:  # a date that never occurs, such as 30 February
            raise AirflowTimetableInvalid(f"schedule {super().summary!r}: {error}") from error
        if self.publication_delay < timedelta(0):
            raise AirflowTimetableInvalid(
                f"publication_delay is {self.publication_delay}: a run cannot start before its "
                "day has ended. Use zero or more."
            )

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """Return the next interval and the time of its run."""
        for_backfill = restriction.catchup and restriction.latest is not None
        if restriction.catchup:
            restriction = _since_launch(restriction)
        else:
            restriction = self._from_newest_due(restriction)
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None:
            return info
        if for_backfill:
            return info._replace(run_after=_backfill_time(info.run_after))
        return info._replace(run_after=info.run_after + self.publication_delay)

    def run_info_from_dag_run(self, *, dag_run: DagRun) -> DagRunInfo:
        """Return the interval from which the schedule continues after `dag_run`.

        A backfill run ahead of its delay is skipped, because earlier days are still waiting: the
        schedule continues from the newest due interval, of which Airflow creates no second run.
        The logical date is used, because the data interval of a manual run may be another one, and
        the schedule would stop at such a run.
        """
        info = super().run_info_from_dag_run(dag_run=dag_run)
        if info.logical_date is None or dag_run.logical_date is None:
            return info
        start = pendulum.instance(dag_run.logical_date)
        newest = self._newest_due()
        if start > newest.start:
            return DagRunInfo.interval(*self.infer_manual_data_interval(run_after=newest.start))
        if start != info.logical_date:
            return DagRunInfo.interval(start, self._get_next(start))
        return info

    def _newest_due(self) -> DataInterval:
        due = pendulum.now("UTC") - self.publication_delay
        return self.infer_manual_data_interval(run_after=due)

    def _from_newest_due(self, restriction: TimeRestriction) -> TimeRestriction:
        """Return a restriction that skips intervals older than the newest due one.

        Airflow's own catchup logic compares the end of an interval with the current time, and
        would skip intervals that have ended but are still inside their delay.
        """
        earliest = self._newest_due().start
        if restriction.earliest is not None:
            earliest = max(earliest, restriction.earliest)
        return TimeRestriction(earliest, restriction.latest, catchup=True)

    def generate_run_id(
        self,
        *,
        run_type: DagRunType,
        run_after: pendulum.DateTime,
        data_interval: DataInterval | None,
        **extra: Any,
    ) -> str:
        """Name scheduled runs after the interval's first day, and all others as Airflow does.

        Backfill runs are named by Airflow, after the time of `_backfill_time`. The day of a manual
        run is not known here: it may be a param.
        """
        if run_type == "scheduled" and data_interval is not None:
            return run_type.generate_run_id(suffix=data_interval.start.date().isoformat())
        return super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **extra
        )

    def serialize(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON."""
        return {
            "cron": super().summary,
            "publication_delay_s": self.publication_delay.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SensingDayTimetable:
        """Return the timetable from the output of `serialize`."""
        delay = timedelta(seconds=data["publication_delay_s"])
        return cls(cron=data["cron"], publication_delay=delay)


def _backfill_time(end: DateTime) -> DateTime:
    """Return the time of a backfill's run: the last second of its last day, once that has ended.

    Airflow names the run after it. Midnight would name the next day, and the first second of the
    own day would be in use where an earlier version has backfilled the day before.
    """
    return end - _ONE_SECOND if end <= pendulum.now("UTC") else end


def _since_launch(restriction: TimeRestriction) -> TimeRestriction:
    """Return a restriction that starts at the launch of Sentinel-2A.

    A backfill with a mistyped start would otherwise create thousands of empty runs.
    """
    launch = pendulum.instance(MISSION.start)
    return restriction._replace(earliest=max(launch, restriction.earliest or launch))
