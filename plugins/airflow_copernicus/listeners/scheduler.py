"""What happens when the scheduler starts: the pool follows the connection."""

from __future__ import annotations

import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

logger = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Make or resize the pool; whatever goes wrong is logged and does not hinder the scheduler.

    Airflow calls this before a job knows its own type, hence the look at the command line.
    """
    if sys.argv[1:2] != ["scheduler"] or type(component).__name__ != "Job":
        return
    try:
        from airflow_copernicus.listeners.pool import follow_connections  # noqa: PLC0415 - for the scheduler only

        follow_connections()
    except Exception:
        logger.exception(
            "The pool could not be made or resized. Where it does not exist, downloads wait for "
            "ever: airflow pools set copernicus 4 'Transfers at once of the Copernicus account'"
        )
