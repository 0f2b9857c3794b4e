"""Earlier import paths of `airflow_copernicus`, stored in Airflow's database and used in DAGs.

Not part of the pip package, which never had these paths.
"""
