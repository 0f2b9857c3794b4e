"""Knows whether the DAGs that keep the archives true are switched on; reads Airflow's database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from airflow_copernicus.links import APPROVAL_DAG_ID, RECONCILE_DAG_ID

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

KEEPERS: Final = (RECONCILE_DAG_ID, APPROVAL_DAG_ID)


def switched_on() -> set[str] | None:
    """Return which of the `KEEPERS` are there and not paused; None where that cannot be read."""
    running = select(DagModel.dag_id).where(
        DagModel.dag_id.in_(KEEPERS), DagModel.is_paused.is_(False), DagModel.is_stale.is_(False)
    )
    try:
        with create_session() as session:
            return {*session.scalars(running)}
    except SQLAlchemyError:
        logger.warning("Whether %s are switched on cannot be read.", KEEPERS, exc_info=True)
        return None


def alarms(on: Collection[str] | None) -> list[str]:
    """Return what keeps archives from being looked after, in sentences."""
    if on is None or RECONCILE_DAG_ID in on:
        return []
    return [
        f"{RECONCILE_DAG_ID} is switched off: what came late, is damaged or missing, and days that "
        "passed while the scheduler was down, are neither noticed nor fetched. Switch on "
        f"{' and '.join(sorted({*KEEPERS} - {*on}, reverse=True))}."
    ]


def notes(on: Collection[str] | None) -> list[str]:
    """Return what else should be known of the `KEEPERS`, in sentences."""
    if on is None:
        return [f"It is not known just now whether {' and '.join(KEEPERS)} are switched on."]
    if RECONCILE_DAG_ID in on and APPROVAL_DAG_ID not in on:
        return [f"{APPROVAL_DAG_ID} is switched off: what it is to ask a person for waits."]
    return []
