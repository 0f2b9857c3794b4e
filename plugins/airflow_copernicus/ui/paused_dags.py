"""Warnings if the DAGs that maintain the archives are paused, from Airflow's database."""

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

MAINTENANCE_DAGS: Final = (RECONCILE_DAG_ID, APPROVAL_DAG_ID)


def unpaused_dags() -> set[str] | None:
    """Return the unpaused `MAINTENANCE_DAGS`; None if the database cannot be read."""
    unpaused = select(DagModel.dag_id).where(
        DagModel.dag_id.in_(MAINTENANCE_DAGS),
        DagModel.is_paused.is_(False),
        DagModel.is_stale.is_(False),
    )
    try:
        with create_session() as session:
            return {*session.scalars(unpaused)}
    except SQLAlchemyError:
        logger.warning("Cannot read whether %s are paused.", MAINTENANCE_DAGS, exc_info=True)
        return None


def alarms(unpaused: Collection[str] | None) -> list[str]:
    """Return warnings about archives that are not maintained."""
    if unpaused is None or RECONCILE_DAG_ID in unpaused:
        return []
    return [
        f"{RECONCILE_DAG_ID} is paused: late, damaged and missing products, and days missed while "
        "the scheduler was down, are neither detected nor downloaded. Unpause "
        f"{' and '.join(sorted({*MAINTENANCE_DAGS} - {*unpaused}, reverse=True))}."
    ]


def notes(unpaused: Collection[str] | None) -> list[str]:
    """Return notes about the state of the `MAINTENANCE_DAGS`."""
    if unpaused is None:
        return [f"It is unknown whether {' and '.join(MAINTENANCE_DAGS)} are paused."]
    if RECONCILE_DAG_ID in unpaused and APPROVAL_DAG_ID not in unpaused:
        return [f"{APPROVAL_DAG_ID} is paused: removals that need approval wait."]
    return []
