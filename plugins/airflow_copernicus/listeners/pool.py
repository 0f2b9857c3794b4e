"""Gives the pool as many slots as the account may have transfers at once.

Runs in the scheduler, which may read connections and write pools.
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

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.config.ingests import read_all
from airflow_copernicus.hooks.connection_limits import ORDINARY, POOL, most_connections

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION: Final = (
    "Transfers at once of the Copernicus account; follows max_connections of the connection at "
    "each start of the scheduler"
)
_DEFAULT_CONNECTION: Final = "copernicus_default"
_TRIES: Final = 5

logger = logging.getLogger(__name__)


def follow_connections(ingests: Path = INGESTS) -> None:
    """Make the pool, or resize it; its slots are the least any ingest's connection allows.

    While one of the connections cannot be read, a pool that is there stays as it is, and a new one
    is made as if that connection were of an ordinary account.
    """
    named = [*read_all(ingests)] if ingests.is_dir() else []
    conn_ids = {ingest.copernicus_conn_id for ingest in named} or {_DEFAULT_CONNECTION}
    allowed = [_allowed(conn_id) for conn_id in sorted(conn_ids)]
    least = min(ORDINARY if one is None else one for one in allowed)
    slots = _set_pool(least, resize=None not in allowed)
    for ingest in named:
        if 0 <= slots < ingest.connections:
            logger.error(
                "%s: connections is %d, but the pool %s has %d slots: its downloads would wait for "
                "ever. Lower connections in include/ingests, or raise max_connections of %s.",
                *(ingest.dag_id, ingest.connections, POOL, slots, ingest.copernicus_conn_id),
            )


def _allowed(conn_id: str) -> int | None:
    try:
        return most_connections(Connection.get_connection_from_secrets(conn_id).extra_dejson)
    except AirflowNotFoundException:
        logger.info("Connection %s is not there yet; it does not size the pool.", conn_id)
    except Exception as error:  # noqa: BLE001 - whatever it is, there must be a pool
        logger.warning(
            "Connection %s does not size the pool: %s: %s", conn_id, type(error).__name__, error
        )
    return None


def _set_pool(slots: int, *, resize: bool) -> int:
    """Return the slots the pool has now."""
    for attempt in run_with_db_retries(max_retries=_TRIES):
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
