"""Listener that ends the log of a failed task with the reason.

Airflow logs a traceback, and then opens the group "Post Execute", which its UI shows closed.
"""

from __future__ import annotations

import logging

from airflow.listeners import hookimpl

from copernicus_dataspace.errors import DataSpaceError

logger = logging.getLogger(__name__)


@hookimpl
def on_task_instance_failed(error: BaseException | str | None) -> None:
    """Log the reason, outside the group; errors of other projects are left alone."""
    if isinstance(error, DataSpaceError):
        logger.info("::endgroup::")
        logger.error("%s: %s", type(error).__name__, error)
