"""Earlier name of `airflow_copernicus.priority`, as serialized DAGs hold it."""

from airflow_copernicus import priority


class TodayFirst(priority.TodayFirst):
    """The same by its earlier name: Airflow finds a strategy by the name of its class."""
