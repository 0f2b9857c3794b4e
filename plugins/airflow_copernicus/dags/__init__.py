"""Factories of DAGs for your own DAG files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_copernicus.dags.ingest import ingest_dag, ingest_dags
    from airflow_copernicus.dags.reconcile import reconcile_dag

__all__ = ["ingest_dag", "ingest_dags", "reconcile_dag"]

_MODULES: Final = {"ingest_dag": "ingest", "ingest_dags": "ingest", "reconcile_dag": "reconcile"}


def __getattr__(name: str) -> Any:
    """Import a factory when it is used, so that a DAG file imports only what it needs."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
