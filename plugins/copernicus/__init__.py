"""Earlier names of `airflow_copernicus`: Airflow's database and users' own DAGs hold them.

Not part of the package that is installed by pip, which never had these names.
"""
