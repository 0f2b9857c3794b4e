"""Pages and menu entries in Airflow's web UI."""
