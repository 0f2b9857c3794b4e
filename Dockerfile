# The official image, with the project's pinned packages and the project itself installed in it.
# Slim: the full image brings some sixty providers whose own pins contradict these.
# The folders dags, include and plugins may be mounted over those in the image.
# `make digests` adds the image's digest, where a registry can be reached; commit what it writes.
FROM apache/airflow:slim-3.3.2-python3.12

COPY --chown=airflow:0 requirements.txt /opt/airflow/
RUN pip install --no-cache-dir --require-hashes --requirement /opt/airflow/requirements.txt

COPY --chown=airflow:0 pyproject.toml README.md LICENSE /opt/airflow/
COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 scripts /opt/airflow/scripts
RUN pip install --no-cache-dir --no-deps --editable /opt/airflow \
    && AIRFLOW_HOME=$(mktemp -d) python -c \
       "import airflow.providers.celery.executors.celery_executor, airflow_copernicus.hooks, copernicus_dataspace"
