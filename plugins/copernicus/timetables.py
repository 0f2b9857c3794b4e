"""Earlier name of `airflow_copernicus.timetables`, as serialized DAGs hold it."""

from airflow_copernicus import timetables


class SensingDayTimetable(timetables.SensingDayTimetable):
    """The same by its earlier name: Airflow finds a timetable by the name of its class."""
