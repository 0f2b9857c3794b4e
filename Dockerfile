# The official image, with the project's pinned packages and the project's wheel installed in it.
# Slim: the full image brings some sixty providers whose own pins contradict these.
# The folders dags and include (areas and ingests) may be mounted over those in the image.
# `make digests` adds the image's digest, where a registry can be reached; commit what it writes.
FROM apache/airflow:slim-3.3.2-python3.12 AS packages
COPY --chown=airflow:0 requirements.txt /opt/airflow/
RUN pip install --no-cache-dir --require-hashes --requirement /opt/airflow/requirements.txt

FROM packages AS build
COPY --chown=airflow:0 pyproject.toml README.md LICENSE /tmp/project/
COPY --chown=airflow:0 include /tmp/project/include
COPY --chown=airflow:0 plugins /tmp/project/plugins
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel /tmp/project

FROM packages
COPY --from=build /tmp/wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps /tmp/wheel/*.whl \
    && AIRFLOW_HOME=$(mktemp -d) python -c \
       "import airflow.providers.celery.executors.celery_executor, airflow_copernicus.hooks, copernicus_dataspace"
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 include/areas /opt/airflow/include/areas
COPY --chown=airflow:0 include/ingests /opt/airflow/include/ingests
COPY --chown=airflow:0 plugins/.airflowignore plugins/sentinel2_plugin.py /opt/airflow/plugins/
COPY --chown=airflow:0 plugins/copernicus /opt/airflow/plugins/copernicus
COPY --chown=airflow:0 scripts /opt/airflow/scripts
