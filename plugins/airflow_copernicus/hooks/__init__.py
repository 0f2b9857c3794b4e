"""The Copernicus hook and its Airflow connection."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_copernicus.hooks.copernicus import CopernicusHook

__all__ = ["CopernicusHook"]


def __getattr__(name: str) -> Any:
    """Import the hook at first use, so that parsing a DAG file does not import it."""
    if name != "CopernicusHook":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from airflow_copernicus.hooks.copernicus import CopernicusHook  # noqa: PLC0415

    return CopernicusHook
