"""Earlier import path of `airflow_copernicus.timetables`, stored in serialized DAGs."""

from airflow_copernicus import timetables


class SensingDayTimetable(timetables.SensingDayTimetable):
    """The timetable under its earlier path, by which Airflow imports it."""
