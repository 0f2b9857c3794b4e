"""The pool follows the connections that the ingest files name, in a real database of Airflow."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airflow.jobs.job import Job
from airflow.models.pool import Pool
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_copernicus.hooks.connection_limits import POOL
from airflow_copernicus.listeners import pool, scheduler

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def database():
    initdb()


@pytest.fixture(autouse=True)
def no_pool(database):
    with create_session() as session:
        session.query(Pool).filter(Pool.pool == POOL).delete()


@pytest.fixture
def ingests(tmp_path):
    """Write ingest files; return their folder."""

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def allow(connect):
    def store(number, conn_id="copernicus_default"):
        connect({"conn_type": "copernicus", "extra": {"max_connections": number}}, conn_id)

    return store


def slots():
    with create_session() as session:
        found = session.scalar(select(Pool).where(Pool.pool == POOL))
        return found and found.slots


def set_slots(number):
    with create_session() as session:
        session.add(Pool(pool=POOL, slots=number, description="mine", include_deferred=True))


def test_a_new_pool_has_the_slots_of_the_connection(ingests, allow):
    allow(20)
    pool.update_pool(ingests(lake="area: lake"))
    assert slots() == 20


def test_a_pool_follows_a_changed_connection(ingests, allow):
    set_slots(4)
    allow("3")
    pool.update_pool(ingests(lake="area: lake"))
    assert slots() == 3
    with create_session() as session:
        found = session.scalar(select(Pool).where(Pool.pool == POOL))
        assert found.description == pool.DESCRIPTION
        assert found.include_deferred


def test_the_least_of_several_connections_decides(ingests, allow):
    allow(20)
    allow(3, "second")
    folder = ingests(one="area: lake", two="area: lake\ncopernicus_conn_id: second", bad="bands: [")
    pool.update_pool(folder)
    assert slots() == 3


@pytest.mark.parametrize("number", [None, "many", 0])
@pytest.mark.parametrize(("before", "after"), [(None, 4), (7, 7)])
def test_what_cannot_be_read_counts_as_an_ordinary_account(ingests, allow, number, before, after):
    if number is not None:
        allow(number)
    if before:
        set_slots(before)
    pool.update_pool(ingests(lake="area: lake"))
    assert slots() == after


def test_a_secret_that_cannot_be_fetched_leaves_a_pool_of_an_ordinary_account(
    ingests, monkeypatch, caplog
):
    def fail(conn_id):
        raise PermissionError("vault is sealed")

    monkeypatch.setattr(pool.Connection, "get_connection_from_secrets", fail)
    pool.update_pool(ingests(lake="area: lake"))
    assert slots() == 4
    assert (
        "copernicus_default is ignored for the size of the pool: PermissionError: vault is"
        in caplog.text
    )


def test_without_ingests_the_usual_connection_decides(tmp_path, allow):
    allow(2)
    pool.update_pool(tmp_path / "nowhere")
    assert slots() == 2


def test_no_bound_is_many_slots(ingests, allow):
    allow("inf")
    pool.update_pool(ingests(lake="area: lake"))
    assert slots() == 1000


def test_an_ingest_that_asks_for_more_is_an_error_in_the_log(ingests, allow, caplog):
    allow(3)
    with caplog.at_level(logging.ERROR):
        pool.update_pool(
            ingests(greedy="area: lake\nconnections: 4", modest="area: lake\nconnections: 3")
        )
    (record,) = (one for one in caplog.records if one.name == "airflow_copernicus.listeners.pool")
    assert "greedy: connections is 4, but the pool copernicus has 3 slots" in record.getMessage()


def test_only_the_scheduler_makes_the_pool(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["airflow", "triggerer"])
    Job()
    assert slots() is None
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    Job()
    assert slots() == 4


def test_several_schedulers_may_start_at_once(ingests, allow):
    allow(3)
    folder = ingests(lake="area: lake")
    with ThreadPoolExecutor(4) as schedulers:
        for started in [schedulers.submit(pool.update_pool, folder) for _ in range(4)]:
            started.result()
    assert slots() == 3


def test_what_goes_wrong_is_logged_and_hinders_nobody(monkeypatch, caplog):
    def fail():
        raise RuntimeError("no database")

    monkeypatch.setattr(pool, "update_pool", fail)
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    scheduler.on_starting(component=Job())
    assert "airflow pools set copernicus 4" in caplog.text
    assert "no database" in caplog.text


def test_the_listener_imports_no_client():
    code = (
        "import sys; sys.path[:0] = ['plugins', 'include']\n"
        "import airflow_copernicus.listeners.pool\n"
        "print([n for n in ('pandas', 'shapely', 'copernicus_dataspace.service') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout + done.stderr
