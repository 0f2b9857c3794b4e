"""Airflow plugin: registers timetable, priority strategy, listener and report pages.

The entry point `airflow.plugins` names it, so that it comes with the wheel.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_copernicus.listeners import run_notes, scheduler, task_log
from airflow_copernicus.priority import TodayFirst
from airflow_copernicus.timetables import SensingDayTimetable
from airflow_copernicus.ui import plugin_views


class CopernicusPlugin(AirflowPlugin):
    """The classes and apps that Airflow imports by name."""

    name = "copernicus"
    timetables: list[Any] = [SensingDayTimetable]  # noqa: RUF012 - declared by Airflow as a list
    listeners: list[Any] = [scheduler, task_log, run_notes]  # noqa: RUF012
    priority_weight_strategies: list[Any] = [TodayFirst]  # noqa: RUF012
    fastapi_apps: list[Any] = [plugin_views.FASTAPI_APP]  # noqa: RUF012
    external_views: list[Any] = [plugin_views.reports_view()]  # noqa: RUF012
