"""Paths of this project and its environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
AREAS: Final = ROOT / "include" / "areas"
INGESTS: Final = ROOT / "include" / "ingests"

OUTPUT_ROOTS: Final = "SENTINEL2_OUTPUT_ROOTS"
TRUSTED_HOSTS: Final = "COPERNICUS_TRUSTED_HOSTS"
"""An environment variable, because users who may edit connections must not extend the list."""

_TASK_CONTAINER_VARIABLES: Final = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")
"""Set by executors that run each task in its own pod or container."""


def default_output_uri() -> str:
    """Return the default of the param `output_uri`.

    `Path.as_uri` would encode a space as ``%20``, but fsspec does not decode paths.
    """
    return os.environ.get("SENTINEL2_OUTPUT_URI") or f"file://{ROOT / 'data'}"


def output_roots() -> tuple[str, ...]:
    """Return further URIs below which runs may write, in addition to those of ingest files."""
    return _comma_separated(OUTPUT_ROOTS)


def trusted_hosts() -> tuple[str, ...]:
    """Return further hosts that may receive credentials; the service and localhost always may."""
    return _comma_separated(TRUSTED_HOSTS)


def _comma_separated(variable: str) -> tuple[str, ...]:
    values = os.environ.get(variable, "").split(",")
    return tuple(value.strip() for value in values if value.strip())


def state_dir() -> Path | None:
    """Return the folder in which the tasks of a host share an account's session and limits.

    None in a pod or container of a single task, unless the folder is configured: nothing can be
    shared there, so the task logs out at its end.
    """
    configured = os.environ.get("COPERNICUS_STATE_DIR")
    if not configured and any(os.environ.get(name) for name in _TASK_CONTAINER_VARIABLES):
        return None
    home = os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow"
    return Path(configured or Path(home) / "copernicus").expanduser()
