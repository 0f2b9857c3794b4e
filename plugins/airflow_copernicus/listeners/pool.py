"""Sets the slots of the pool to the account's maximum number of concurrent transfers.

Runs in the scheduler, which has access to connections and pools.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow.models.connection import Connection
from airflow.models.pool import Pool
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.utils.retries import run_with_db_retries
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_copernicus.config.environment import ingests_folder
from airflow_copernicus.config.ingest_settings import read_all
from airflow_copernicus.hooks.connection_limits import (
    DEFAULT_MAX_CONNECTIONS,
    POOL,
    max_connections,
)

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION: Final = (
    "Concurrent transfers of the Copernicus account; set from max_connections of the connection at "
    "each start of the scheduler"
)
_DEFAULT_CONNECTION: Final = "copernicus_default"
_MAX_ATTEMPTS: Final = 5

logger = logging.getLogger(__name__)


def update_pool(ingests: Path | None = None) -> None:
    """Create or resize the pool; its slots are the lowest limit of all ingests' connections.

    If a connection cannot be read, an existing pool is not resized, and a new pool assumes the
    limit of a standard account for it.

    Args:
        ingests: Folder of ingest files; None for that of the installation.
    """
    folder = ingests or ingests_folder()
    known = [*read_all(folder)] if folder.is_dir() else []
    conn_ids = {ingest.copernicus_conn_id for ingest in known} or {_DEFAULT_CONNECTION}
    allowed = [_allowed(conn_id) for conn_id in sorted(conn_ids)]
    lowest = min(DEFAULT_MAX_CONNECTIONS if limit is None else limit for limit in allowed)
    slots = _set_pool(lowest, resize=None not in allowed)
    for ingest in known:
        if 0 <= slots < ingest.connections:
            logger.error(
                "%s: connections is %d, but the pool %s has %d slots: its downloads cannot start. "
                "Lower connections of the ingest, or raise max_connections of %s.",
                *(ingest.dag_id, ingest.connections, POOL, slots, ingest.copernicus_conn_id),
            )


def _allowed(conn_id: str) -> int | None:
    try:
        return max_connections(Connection.get_connection_from_secrets(conn_id).extra_dejson)
    except AirflowNotFoundException:
        logger.info(
            "Connection %s does not exist yet; it is ignored for the size of the pool.", conn_id
        )
    except Exception as error:  # noqa: BLE001 - the pool must exist in any case
        logger.warning(
            "Connection %s is ignored for the size of the pool: %s: %s",
            conn_id,
            type(error).__name__,
            error,
        )
    return None


def _set_pool(slots: int, *, resize: bool) -> int:
    """Create or update the pool; return its slots."""
    for attempt in run_with_db_retries(max_retries=_MAX_ATTEMPTS):
        with attempt, create_session() as session:
            pool = session.scalar(select(Pool).where(Pool.pool == POOL))
            if pool is None:
                pool = Pool(pool=POOL, slots=slots, include_deferred=False)
                session.add(pool)
            elif resize:
                pool.slots = slots
            pool.description = DESCRIPTION
            slots = pool.slots
    logger.info("The pool %s has %d slots.", POOL, slots)
    return slots
