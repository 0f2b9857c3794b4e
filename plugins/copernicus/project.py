"""Knows where this project's own files lie and what its environment variables mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
AREAS: Final = ROOT / "include" / "areas"
INGESTS: Final = ROOT / "include" / "ingests"


def default_output_uri() -> str:
    """Return where files go unless a run says otherwise."""
    return os.environ.get("SENTINEL2_OUTPUT_URI") or (ROOT / "data").as_uri()
