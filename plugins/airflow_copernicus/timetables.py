"""When a sensing day is asked for: some time after it ended, because products come late.

Knows intervals and the publication delay. Which products a day has is not its business.
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

DAILY: Final = "0 0 * * *"
_MIDNIGHT: Final = re.compile(r"0+\s+0+(\s+\S+){3}")


class SensingDayTimetable(CronDataIntervalTimetable):
    """Whole UTC days, each one's run created `publication_delay` after the interval's end.

    =================== ===========================================================
    scheduled           at interval end + delay; run id and logical date name the
                        interval's start
    `catchup=False`     begins with the newest interval whose delay is over, and
                        leaves none out while DAG and scheduler are up; those that
                        come due while either is down are left to
                        `sentinel2_reconcile`, where that is switched on
    manual, logical     the last interval that ended by then: the UTC day before
    date given          (by REST and UI; the CLI takes the trigger's own time)
    manual, none given  no interval
    backfill of A..B    each interval that starts in A..B and has ended, at once:
                        who asks by hand does not want to wait. A day still inside
                        its delay is run too, with what is published so far, and
                        its scheduled run is then not made a second time;
                        none before the launch of Sentinel-2A
    =================== ===========================================================

    Airflow asks for a backfill in the very words in which it asks for a DAG that has both
    `catchup=True` and an `end_date`: such a DAG is not delayed.
    """

    def __init__(self, *, publication_delay: timedelta, cron: str = DAILY) -> None:
        """Describe the intervals.

        Args:
            publication_delay: Time from an interval's end to its scheduled run.
            cron: Where intervals begin and end, in UTC; a five-field expression or a preset.
        """
        super().__init__(cron, timezone="UTC")
        self.publication_delay = publication_delay
        self.description = f"{self.description} UTC, run {self._delay_in_words()} later"

    @property
    def summary(self) -> str:
        """The cron expression and the delay, as the list of DAGs shows it."""
        return f"{super().summary} + {self._delay_in_words()}"

    def _delay_in_words(self) -> str:
        if not self.publication_delay:
            return "0 hours"
        return pendulum.duration(seconds=self.publication_delay.total_seconds()).in_words("en")

    def validate(self) -> None:
        """Check what the constructor must take as it is (a stored DAG has to load again).

        Raises:
            AirflowTimetableInvalid: The expression is malformed or has bounds other than UTC
                midnight, or the delay is negative.
        """
        super().validate()
        if not _MIDNIGHT.fullmatch(super().summary):
            raise AirflowTimetableInvalid(
                f"schedule {super().summary!r} has bounds other than midnight UTC, but a run "
                "covers whole UTC sensing days. To start later in the day raise publication_delay."
            )
        try:
            self._get_next(pendulum.datetime(2024, 1, 1))
        except ValueError as error:  # a day that never comes
            raise AirflowTimetableInvalid(f"schedule {super().summary!r}: {error}") from error
        if self.publication_delay < timedelta(0):
            raise AirflowTimetableInvalid(
                f"publication_delay is {self.publication_delay}: a run cannot start before its "
                "day has ended. Give zero or more."
            )

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """The next interval, and when its run may be made."""
        for_backfill = restriction.catchup and restriction.latest is not None
        if restriction.catchup:
            restriction = _since_launch(restriction)
        else:
            restriction = self._from_newest_due(restriction)
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None or for_backfill:
            return info
        return info._replace(run_after=info.run_after + self.publication_delay)

    def run_info_from_dag_run(self, *, dag_run: DagRun) -> DagRunInfo:
        """The interval after which the schedule goes on, once `dag_run` exists.

        A run that a backfill made ahead of its delay is passed over, because those before it
        still wait; the schedule looks at the newest due interval again, and Airflow makes no
        second run of it. What counts is the logical date, which for a manual run is not the
        interval it works on: a schedule that met such a run would stand still.
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
        """The restriction that skips everything older than the newest interval that is due.

        Airflow's own skipping looks at the intervals' ends, and would pass over an interval
        that has ended but waits for its delay.
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
        """Scheduled runs are named after the interval's start, all others as Airflow does it."""
        if run_type == "scheduled" and data_interval is not None:
            run_after = data_interval.start
        return super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **extra
        )

    def serialize(self) -> dict[str, Any]:
        """The constructor's arguments as JSON."""
        return {
            "cron": super().summary,
            "publication_delay_s": self.publication_delay.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SensingDayTimetable:
        """The timetable that `serialize` described."""
        delay = timedelta(seconds=data["publication_delay_s"])
        return cls(cron=data["cron"], publication_delay=delay)


def _since_launch(restriction: TimeRestriction) -> TimeRestriction:
    """The restriction without the years before the mission, which a mistyped backfill may ask for.

    Airflow makes a run of every interval that a timetable names.
    """
    launch = pendulum.instance(MISSION.start)
    return restriction._replace(earliest=max(launch, restriction.earliest or launch))
