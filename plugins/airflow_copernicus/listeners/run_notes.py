"""Listener that sets the note of a finished run, from an XCom of its publish task.

Runs in the scheduler, which holds a lock on the run. The XCom is read in a session of its own, so
that an error cannot break the scheduler's transaction; the note is set in the scheduler's session,
because another one would wait for that lock for ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow.listeners import hookimpl

from airflow_copernicus.observability.run_note import NOTE_KEY, TEXT_KEY

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

_PUBLISH: Final = "CopernicusPublishOperator"

logger = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: DagRun) -> None:
    """Set the note of a run that succeeded."""
    _set_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun) -> None:
    """Set the note of a run that failed."""
    _set_note(dag_run)


def _set_note(dag_run: DagRun) -> None:
    """Set the note unless a person wrote one; errors are logged."""
    from sqlalchemy.orm import object_session  # noqa: PLC0415 - tasks load this module, too

    if object_session(dag_run) is None:  # of dag.test()
        return
    try:
        tasks = dag_run.dag.tasks if dag_run.dag else ()
        publish = next((task.task_id for task in tasks if task.task_type == _PUBLISH), None)
        if publish is None or _is_by_a_person(dag_run):
            return
        text = _text(dag_run, publish)
        if text:
            dag_run.note = text
    except Exception:
        logger.exception("The note of the run %s could not be set.", dag_run.run_id)


def _is_by_a_person(dag_run: DagRun) -> bool:
    note = dag_run.dag_run_note
    return note is not None and note.user_id is not None


def _text(dag_run: DagRun, publish: str) -> str | None:
    from airflow.models.xcom import XComModel  # noqa: PLC0415 - as above
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    pushed = select(XComModel.value).where(
        XComModel.dag_run_id == dag_run.id,
        XComModel.task_id == publish,
        XComModel.key == NOTE_KEY,
    )
    with create_session(scoped=False) as session:
        value = session.scalars(pushed).first()
    text = value.get(TEXT_KEY) if isinstance(value, dict) else None
    return text if isinstance(text, str) else None
