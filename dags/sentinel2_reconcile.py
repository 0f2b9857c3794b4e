"""The Airflow DAGs that maintain the archives of all ingests, and ask for approval of removals."""

from airflow_copernicus.dags import reconcile_dag

reconcile_dag()
