"""Writes sizes as people do."""

from __future__ import annotations

from typing import Final

_SMALL_BYTES: Final = 1e5
_ONE_GB: Final = 1e9


def megabytes(size_bytes: float) -> str:
    """Return a size in millions of bytes."""
    decimals = 1 if size_bytes >= _SMALL_BYTES else 3
    return f"{size_bytes / 1e6:.{decimals}f} MB"


def gigabytes(size_bytes: float) -> str:
    """Return a size in thousands of millions of bytes, a smaller one in millions."""
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= _ONE_GB else megabytes(size_bytes)
