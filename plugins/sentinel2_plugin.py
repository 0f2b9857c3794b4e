"""Airflow plugin of a checkout: earlier import paths, and the package's plugin if necessary.

An installed package registers its plugin by an entry point. Airflow reports a second plugin of the
same name as an error, so it is registered here only if there is no entry point.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_copernicus.provider_info import DISTRIBUTION
from copernicus.priority import TodayFirst
from copernicus.timetables import SensingDayTimetable


class EarlierNamesPlugin(AirflowPlugin):
    """Classes under earlier import paths, which Airflow's database of a checkout holds."""

    name = "copernicus_earlier_names"
    timetables: list[Any] = [SensingDayTimetable]  # noqa: RUF012 - declared by Airflow as a list
    priority_weight_strategies: list[Any] = [TodayFirst]  # noqa: RUF012


def _has_entry_point() -> bool:
    try:
        return bool(distribution(DISTRIBUTION).entry_points.select(group="airflow.plugins"))
    except PackageNotFoundError:
        return False


if not _has_entry_point():
    from airflow_copernicus.plugin import CopernicusPlugin  # noqa: F401 - Airflow finds it here
