#!/usr/bin/env bash
# Initialisation by docker compose before Airflow starts: database, first user, pool, connection.
# May be repeated: existing objects are kept, except that the pool is resized.
# As root, the user of the container, it first changes the owner of the mounted folders to
# AIRFLOW_UID, then switches to that user; the image's /entrypoint adds a name for the uid.
set -euo pipefail

if [ "$(id -u)" = 0 ] && [ "${AIRFLOW_UID:-0}" != 0 ]; then
  mkdir -p "$AIRFLOW_HOME"/logs "$AIRFLOW_HOME"/data
  mkdir -p -m 0700 "$COPERNICUS_STATE_DIR" # a folder that others can write to is rejected
  chown "$AIRFLOW_UID:0" "$AIRFLOW_HOME"/logs "$AIRFLOW_HOME"/data
  chown -R "$AIRFLOW_UID:0" "$AIRFLOW_HOME"/state # small, may belong to an earlier AIRFLOW_UID
  exec setpriv --reuid "$AIRFLOW_UID" --regid 0 --clear-groups /entrypoint bash "$0"
fi

airflow db migrate
python "$(dirname "$0")/create_admin.py" # passwords are not visible in process arguments
airflow pools set copernicus "$COPERNICUS_MAX_CONNECTIONS" "Concurrent transfers of the account"

if [ -z "$COPERNICUS_USERNAME" ] || [ -z "$COPERNICUS_PASSWORD" ]; then
  echo "COPERNICUS_USERNAME and COPERNICUS_PASSWORD are not set: add the connection in the UI."
  exit
fi
connections=$(mktemp --suffix .json) # mode 0600
trap 'rm -f "$connections"' EXIT
python - > "$connections" <<'PYTHON'
import json
import os

urls = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")
names = (*urls, "s3_access_key", "s3_secret_key")
extra = {name: os.environ[f"COPERNICUS_{name.upper()}"] for name in names}
extra = {name: value for name, value in extra.items() if value}
extra["max_connections"] = int(os.environ["COPERNICUS_MAX_CONNECTIONS"])
connection = {
    "conn_type": "copernicus",
    "login": os.environ["COPERNICUS_USERNAME"],
    "password": os.environ["COPERNICUS_PASSWORD"],
    "port": 443,
    "extra": json.dumps(extra),
}
print(json.dumps({"copernicus_default": connection}))
PYTHON
airflow connections import "$connections" # keeps an existing connection
