"""Listener that creates or resizes the pool when the scheduler starts."""

from __future__ import annotations

import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

logger = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Create or resize the pool; errors are logged and do not stop the scheduler.

    Airflow calls this before the type of a job is set, so the command line is checked.
    """
    if sys.argv[1:2] != ["scheduler"] or type(component).__name__ != "Job":
        return
    try:
        from airflow_copernicus.listeners.pool import update_pool  # noqa: PLC0415 - only needed in the scheduler

        update_pool()
    except Exception:
        logger.exception(
            "The pool could not be created or resized. If it does not exist, downloads cannot "
            "start; create it: airflow pools set copernicus 4 'Concurrent transfers of the account'"
        )
