#!/usr/bin/env bash
# What docker compose runs once before Airflow: the database, the first user, the pool and the
# connection. May run again at any time: what is there stays as it is, the pool's size excepted.
# As root, which is in the container, it first gives the mounted folders to AIRFLOW_UID and becomes
# that user; /entrypoint is the image's own, and gives a name to a user that has none.
set -euo pipefail

if [ "$(id -u)" = 0 ] && [ "${AIRFLOW_UID:-0}" != 0 ]; then
  mkdir -p "$AIRFLOW_HOME"/logs "$AIRFLOW_HOME"/data
  mkdir -p -m 0700 "$COPERNICUS_STATE_DIR" # what may be written by others is not trusted
  chown "$AIRFLOW_UID:0" "$AIRFLOW_HOME"/logs "$AIRFLOW_HOME"/data
  chown -R "$AIRFLOW_UID:0" "$AIRFLOW_HOME"/state # small, and may be of an earlier AIRFLOW_UID
  exec setpriv --reuid "$AIRFLOW_UID" --regid 0 --clear-groups /entrypoint bash "$0"
fi

airflow db migrate
python "$(dirname "$0")/create_admin.py" # no argument of any process holds a password
airflow pools set copernicus "$COPERNICUS_MAX_CONNECTIONS" "Connections of the account"

if [ -z "$COPERNICUS_USERNAME" ] || [ -z "$COPERNICUS_PASSWORD" ]; then
  echo "COPERNICUS_USERNAME and COPERNICUS_PASSWORD are not set: enter the connection in the UI."
  exit
fi
connections=$(mktemp --suffix .json) # for its owner only
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
airflow connections import "$connections" # leaves a connection that is there as it is
