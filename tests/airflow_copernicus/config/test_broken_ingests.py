"""A broken ingest file beside a good one: reconcile, pool and alerts go on, and say so."""

import logging
import os

import pytest
from airflow.models.pool import Pool
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_copernicus.dags.reconcile import build_reconcile_dag
from airflow_copernicus.hooks.connection_limits import POOL
from airflow_copernicus.listeners import pool
from airflow_copernicus.notifications import run_report
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.runs.ingest_archive import Archive
from copernicus_dataspace.errors import ConfigurationError
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import INGEST, Ingests, held, stem
from tests.support.airflow.registered import registered

BROKEN = {
    "area": ('area: leak\nproduct_type: "S2MSI2A"', "no such name"),
    "band": ("area: lake\nbands: [SCL_30m]", "SCL exists at 20m and 60m"),
    "yaml": ("area: [", "is not YAML"),
    "pipe": (None, "not a regular file"),
}


def spoil(path, content):
    path.unlink(missing_ok=True)
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)


@pytest.fixture
def ingests(tmp_path, ingest):
    """A good ingest, and one of each broken kind beside it."""
    made = Ingests.below(tmp_path, ingest)
    for name, (content, _) in BROKEN.items():
        spoil(made.folder / f"{name}.yaml", content)
    return made


def steps(folder, name, **chosen):
    path = folder / f"{name}.yaml"
    return (
        CopernicusAuditOperator(task_id="audit", ingest=registered(path), **chosen),
        CopernicusSettleOperator(task_id="settle", ingest=registered(path), **chosen),
    )


@pytest.mark.parametrize("name", BROKEN)
def test_reconcile_leaves_a_broken_ingest_out_with_a_warning(ingests, caplog, name):
    for step in steps(ingests.folder, name):
        caplog.clear()
        with pytest.raises(AirflowSkipException):
            step.execute(make_context(dag_id="sentinel2_reconcile"))
        (record,) = (one for one in caplog.records if one.levelno == logging.WARNING)
        assert record.getMessage().startswith(
            f"{name} is skipped, because its file is invalid: {name}.yaml"
        )
        assert BROKEN[name][1] in record.getMessage()


def test_reconcile_mends_the_good_one_all_the_same(connected, ingests):
    product = connected.add(lake_product())
    assert ingests.reconcile()["missing"] == []
    assert held(ingests.output) == [stem(product)]


def test_every_ingest_has_a_place_in_the_reconcile_dag(ingests):
    (ingests.folder / "no id.yaml").write_text("area: lake")
    (ingests.folder / "lake.v2.yaml").write_text("area: lake")
    dag = build_reconcile_dag(ingests.folder)
    audits = {task_id for task_id in dag.task_ids if task_id.endswith(".audit")}
    assert audits == {f"{name}.audit" for name in (*BROKEN, INGEST, "no_id", "lake-v2")}


def test_a_night_of_broken_ingests_alone_is_green(tmp_path):
    initdb()
    spoil(tmp_path / "area.yaml", BROKEN["area"][0])
    run = build_reconcile_dag(tmp_path).test()
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert run.state == "success", states
    assert set(states.values()) == {"skipped"}


@pytest.mark.parametrize("name", BROKEN)
def test_choosing_a_broken_ingest_says_so(ingests, name):
    for step in steps(ingests.folder, name, ingests=[INGEST, name]):
        with pytest.raises(
            ConfigurationError, match=f"^ingests: {name} is selected, but "
        ) as caught:
            step.execute(make_context(dag_id="sentinel2_reconcile"))
        assert BROKEN[name][1] in str(caught.value)
    for step in steps(ingests.folder, name, ingests=[INGEST]):
        with pytest.raises(AirflowSkipException, match="not among the selected"):
            step.execute(make_context(dag_id="sentinel2_reconcile"))
    with pytest.raises(
        ConfigurationError,
        match=r"unknown ingest nonsense; known ingests: area, band, pipe, sentin",
    ):
        Archive.of_file(str(ingests.folder / f"{INGEST}.yaml"), ["nonsense"], make_context())


def test_what_breaks_after_the_audit_is_left_out_too(connected, ingests):
    connected.add(lake_product())
    audit, settle = steps(ingests.folder, INGEST)
    context = make_context(dag_id="sentinel2_reconcile")
    audit.execute(context)
    spoil(ingests.folder / f"{INGEST}.yaml", "bands: [SCL_30m]")
    with pytest.raises(AirflowSkipException, match="is invalid"):
        settle.execute(context)


def test_a_broken_ingest_still_wants_what_it_shares(ingests):
    archive = Archive.of_file(str(ingests.folder / f"{INGEST}.yaml"), None, make_context())
    assert set(BROKEN) < archive.known


def test_the_pool_follows_the_good_ones(ingests, connect):
    initdb()
    connect({"conn_type": "copernicus", "extra": {"max_connections": 3}})
    pool.update_pool(ingests.folder)
    with create_session() as session:
        assert session.scalar(select(Pool).where(Pool.pool == POOL)).slots == 3
        session.query(Pool).filter(Pool.pool == POOL).delete()


@pytest.mark.parametrize("name", BROKEN)
def test_an_alert_of_a_broken_ingest_says_why(ingests, monkeypatch, name):
    monkeypatch.setattr(run_report, "INGESTS", ingests.folder)
    told = run_report.report({"dag": DAG(name, schedule=None), "run_id": "manual__x"})
    assert BROKEN[name][1] in told["note"]
    told = run_report.report({"dag": DAG(INGEST, schedule=None), "run_id": "manual__x"})
    assert told["note"] == "The search has no result; see the log of the task search."
