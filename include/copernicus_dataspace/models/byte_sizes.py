"""Formats sizes in bytes as MB and GB."""

from __future__ import annotations

from typing import Final

_SMALL_BYTES: Final = 1e5
_ONE_GB: Final = 1e9


def megabytes(size_bytes: float) -> str:
    """Return a size in MB."""
    decimals = 1 if size_bytes >= _SMALL_BYTES else 3
    return f"{size_bytes / 1e6:.{decimals}f} MB"


def gigabytes(size_bytes: float) -> str:
    """Return a size in GB, or in MB if it is smaller than 1 GB."""
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= _ONE_GB else megabytes(size_bytes)
