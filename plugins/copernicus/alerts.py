"""Earlier import path of `airflow_copernicus.notifications.webhook`."""

from airflow_copernicus.notifications.webhook import (
    FailedDaysNotifier,
    LateDaysNotifier,
    late_after,
    tell_late,
)

__all__ = ["FailedDaysNotifier", "LateDaysNotifier", "late_after", "tell_late"]
