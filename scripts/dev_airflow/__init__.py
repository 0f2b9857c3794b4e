"""Airflow on this machine, without containers: for demo, run and the end-to-end tests."""
