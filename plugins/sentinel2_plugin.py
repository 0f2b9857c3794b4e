"""Registers with Airflow what must be registered; holds no logic."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from copernicus import listener, ui
from copernicus.priority import TodayFirst
from copernicus.timetables import SensingDayTimetable


class Sentinel2Plugin(AirflowPlugin):
    """What the scheduler, the DAG processor and the API server must know by name."""

    name = "sentinel2"
    timetables: list[Any] = [SensingDayTimetable]  # noqa: RUF012 - declared so by Airflow
    listeners: list[Any] = [listener]  # noqa: RUF012
    priority_weight_strategies: list[Any] = [TodayFirst]  # noqa: RUF012
    fastapi_apps: list[Any] = [ui.FASTAPI_APP]  # noqa: RUF012
    external_views: list[Any] = [ui.reports_view()]  # noqa: RUF012
