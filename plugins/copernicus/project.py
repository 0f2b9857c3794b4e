"""Knows where this project's own files lie and what its environment variables mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
AREAS: Final = ROOT / "include" / "areas"
INGESTS: Final = ROOT / "include" / "ingests"


def default_output_uri() -> str:
    """Return where files go unless a run says otherwise.

    Not `Path.as_uri`, which writes a blank as ``%20``: fsspec takes paths literally.
    """
    return os.environ.get("SENTINEL2_OUTPUT_URI") or f"file://{ROOT / 'data'}"


def state_dir() -> Path:
    """Return where the tasks of one host share an account's session and what they learn of it."""
    home = os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow"
    return Path(os.environ.get("COPERNICUS_STATE_DIR") or Path(home) / "copernicus")
