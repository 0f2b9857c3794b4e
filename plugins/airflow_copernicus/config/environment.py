"""Knows where this project's own files lie and what its environment variables mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
AREAS: Final = ROOT / "include" / "areas"
INGESTS: Final = ROOT / "include" / "ingests"

OUTPUT_ROOTS: Final = "SENTINEL2_OUTPUT_ROOTS"
TRUSTED_HOSTS: Final = "COPERNICUS_TRUSTED_HOSTS"
"""Set for all components: who may edit a connection could else send its password anywhere."""

_OF_ONE_TASK: Final = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")
"""Executors whose tasks have a pod or container each set one of them."""


def default_output_uri() -> str:
    """Return where files go unless a run says otherwise.

    Not `Path.as_uri`, which writes a blank as ``%20``: fsspec takes paths literally.
    """
    return os.environ.get("SENTINEL2_OUTPUT_URI") or f"file://{ROOT / 'data'}"


def output_roots() -> tuple[str, ...]:
    """Return the URIs below which runs may write, too, beside the outputs of the ingest files."""
    return _listed(OUTPUT_ROOTS)


def trusted_hosts() -> tuple[str, ...]:
    """Return the hosts, besides the service's and this machine, that credentials may go to."""
    return _listed(TRUSTED_HOSTS)


def _listed(variable: str) -> tuple[str, ...]:
    named = os.environ.get(variable, "").split(",")
    return tuple(text.strip() for text in named if text.strip())


def state_dir() -> Path | None:
    """Return where the tasks of one host share an account's session and what they learn of it.

    None in a pod or container that an executor has made for one task, where no place is named: its
    session would be lost with it, so the task ends it.
    """
    named = os.environ.get("COPERNICUS_STATE_DIR")
    if not named and any(os.environ.get(name) for name in _OF_ONE_TASK):
        return None
    home = os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow"
    return Path(named or Path(home) / "copernicus").expanduser()
