"""Airflow provider of the Copernicus Data Space: hook, operators, timetable, DAG factories."""
