"""The scheduler notes on a finished run what its publish task said, in Airflow's database."""

from types import SimpleNamespace

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.xcom import XComModel
from airflow.sdk.timezone import utcnow
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from sqlalchemy import delete, text
from sqlalchemy.exc import OperationalError

from airflow_copernicus.listeners import run_notes
from airflow_copernicus.observability.run_note import NOTE_KEY

TEXT = "1 Aug 2024 · 5 products · 1.5 MB"
INGEST = ("CopernicusSearchOperator", "CopernicusPublishOperator")


@pytest.fixture(scope="module", autouse=True)
def database():
    initdb()


@pytest.fixture
def session():
    """A session that is never committed, as the scheduler's at that moment."""
    with create_session() as session:
        yield session
        session.rollback()


@pytest.fixture
def run(session):
    """Store a run of a DAG with tasks of these types, and what its publish task has pushed."""

    def make(pushed=None, types=INGEST, note=None):
        now = utcnow()
        run = DagRun(
            dag_id="lakes",
            run_id=f"manual__{now.isoformat()}",
            run_type=DagRunType.MANUAL,
            run_after=now,
        )
        run.note = note
        session.add(run)
        session.commit()
        if pushed is not None:
            push(session, run, pushed)
        tasks = [SimpleNamespace(task_id=f"my {name}", task_type=name) for name in types]
        run.dag = SimpleNamespace(tasks=tasks)
        return run

    yield make
    session.rollback()
    for kind in (XComModel, DagRunNote, DagRun):
        session.execute(delete(kind))
    session.commit()


def push(session, run, value):
    """Store an XCom as the API server does, without its task instance."""
    session.execute(text("PRAGMA foreign_keys=OFF"))
    session.execute(XComModel.__table__.insert().values(
        dag_run_id=run.id, task_id="my CopernicusPublishOperator", map_index=-1, key=NOTE_KEY,
        dag_id=run.dag_id, run_id=run.run_id, value=value, timestamp=utcnow(),
    ))  # fmt: skip
    session.commit()
    session.execute(text("PRAGMA foreign_keys=ON"))


@pytest.mark.parametrize("hook", [run_notes.on_dag_run_success, run_notes.on_dag_run_failed])
def test_the_note_is_what_publish_has_pushed(run, hook):
    ended = run({"text": TEXT})
    hook(ended)
    assert ended.note == TEXT


def test_a_rerun_has_a_new_note(run, session):
    ended = run({"text": TEXT}, note="1 Aug 2024 · 3 of 5 products delivered · 0.9 MB")
    run_notes.on_dag_run_success(ended)
    session.commit()
    assert ended.note == TEXT


def test_a_note_of_a_person_stays(run):
    ended = run({"text": TEXT}, note=("seen by me", "admin"))
    run_notes.on_dag_run_success(ended)
    assert ended.note == "seen by me"


@pytest.mark.parametrize("pushed", [None, "s3://xcoms/x.json", [1], {"text": 5}, {}])
def test_without_a_text_there_is_no_note(run, pushed, caplog):
    ended = run(pushed)
    run_notes.on_dag_run_success(ended)
    assert ended.note is None
    assert not caplog.records


def test_runs_of_other_dags_are_left_alone(run, monkeypatch):
    monkeypatch.setattr(run_notes, "_text", None)
    ended = run({"text": TEXT}, types=("BashOperator",))
    run_notes.on_dag_run_failed(ended)
    assert ended.note is None


def test_an_error_is_logged_and_leaves_the_scheduler_and_its_transaction_alone(
    run, session, monkeypatch, caplog
):
    def fail(*_args):
        raise OperationalError("select", {}, Exception("no such table"))

    ended = run({"text": TEXT})
    monkeypatch.setattr(run_notes, "_text", fail)
    run_notes.on_dag_run_success(ended)
    assert "could not be set" in caplog.text
    session.commit()
    assert ended.note is None
