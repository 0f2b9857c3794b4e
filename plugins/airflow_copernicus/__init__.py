"""The Airflow face of the Copernicus Data Space: connection, operators, timetable, retries."""
