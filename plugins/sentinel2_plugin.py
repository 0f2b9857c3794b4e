"""Airflow plugin: registers timetables, priority strategies, listeners and the report pages."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_copernicus.listeners import run_notes, scheduler, task_log
from airflow_copernicus.priority import TodayFirst
from airflow_copernicus.timetables import SensingDayTimetable
from airflow_copernicus.ui import plugin_views
from copernicus import priority as earlier_priority
from copernicus import timetables as earlier_timetables


class Sentinel2Plugin(AirflowPlugin):
    """The classes and apps that Airflow imports by name."""

    name = "sentinel2"
    timetables: list[Any] = [  # noqa: RUF012 - declared by Airflow as a list
        SensingDayTimetable,
        earlier_timetables.SensingDayTimetable,
    ]
    listeners: list[Any] = [scheduler, task_log, run_notes]  # noqa: RUF012
    priority_weight_strategies: list[Any] = [TodayFirst, earlier_priority.TodayFirst]  # noqa: RUF012
    fastapi_apps: list[Any] = [plugin_views.FASTAPI_APP]  # noqa: RUF012
    external_views: list[Any] = [plugin_views.reports_view()]  # noqa: RUF012
