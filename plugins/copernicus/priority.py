"""Earlier import path of `airflow_copernicus.priority`, stored in serialized DAGs."""

from airflow_copernicus import priority


class TodayFirst(priority.TodayFirst):
    """The strategy under its earlier path, by which Airflow imports it."""
