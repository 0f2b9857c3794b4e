"""A broken ingest beside good ones: reconcile, pool and alerts go on, and say so."""

import errno
import json
import os

import pytest
from airflow.models.pool import Pool
from airflow.sdk import DAG
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_copernicus.dags import reconcile_dag
from airflow_copernicus.hooks.connection_limits import POOL
from airflow_copernicus.listeners import pool
from airflow_copernicus.notifications import run_report
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.runs.ingest_archive import Archive
from copernicus_dataspace.errors import ConfigurationError
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import INGEST, Ingests, held, stem

BROKEN = {
    "area": ('area: leak\nproduct_type: "S2MSI2A"', "no such name"),
    "band": ("area: lake\nbands: [SCL_30m]", "SCL exists at 20m and 60m"),
    "yaml": ("area: [", "is not YAML"),
    "pipe": (None, "not a regular file"),
}
RECORD = {
    "dag_id": "alps",
    "settings": {"tiles": ["T36TXL"]},
    "area_sha256": None,
    "registered": "2026-11-20T00:00:00+00:00",
}
DAMAGED = {
    "cut": json.dumps(RECORD)[:40],
    "empty": "",
    "list": "[]",
    "no settings": json.dumps({"dag_id": "alps"}),
    "deep": "[" * 100_000,
    "unknown band": json.dumps({**RECORD, "settings": {"bands": ["SCL_30m"]}}),
    "unknown setting": json.dumps({**RECORD, "settings": {"colour": "blue"}}),
    "no area": json.dumps({**RECORD, "area_sha256": "0" * 64}),
}
"""Content of the registry's record of a further ingest."""


def spoil(path, content):
    path.unlink(missing_ok=True)
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)


@pytest.fixture
def ingests(tmp_path, ingest, monkeypatch):
    """A good ingest, and one of each broken kind beside it, all of which were good once."""
    made = Ingests.below(tmp_path, ingest)
    for name in BROKEN:
        made.write(name)
    known = made.registered()
    monkeypatch.setattr(made, "registered", lambda: known)
    for name, (content, _) in BROKEN.items():
        spoil(made.folder / f"{name}.yaml", content)
    return made


@pytest.fixture
def alps(ingests):
    """Write the registry's record of a further ingest; return what names it."""

    def write(content):
        (ingests.output / "ingests/alps.json").write_text(content)
        return {"dag_id": "alps", "output_uri": ingests.output.as_uri()}

    return write


def steps(ingest):
    return (
        CopernicusAuditOperator(task_id="audit", ingest=ingest),
        CopernicusSettleOperator(task_id="settle", ingest=ingest),
    )


def night():
    return make_context(dag_id="sentinel2_reconcile")


def registered_ingests(*outputs, chosen=None):
    """Return the names that reconcile finds, and the outputs that it cannot read."""
    context, pushed = night(), {}
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    task = reconcile_dag(outputs=outputs).get_task("registered_ingests")
    found = task.python_callable(chosen, **context)
    return [one["dag_id"] for one in found], pushed["unreadable"]


@pytest.mark.parametrize("name", BROKEN)
def test_an_ingest_whose_file_breaks_is_reconciled_as_it_was(connected, ingests, name):
    product = connected.add(lake_product())
    assert ingests.reconcile(name=name)["missing"] == []
    assert held(ingests.output) == [stem(product)]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_stops_its_own_ingest_alone(connected, ingests, alps, damage):
    product = connected.add(lake_product())
    for step in steps(alps(DAMAGED[damage])):
        with pytest.raises(ConfigurationError, match="alps"):
            step.execute(night())
    assert connected.requests == []
    assert ingests.reconcile()["missing"] == []
    assert held(ingests.output) == [stem(product)]


def test_every_registered_ingest_has_its_turn_each_night(ingests, alps):
    alps(DAMAGED["cut"])
    everyone = sorted([*BROKEN, INGEST, "alps"])
    assert registered_ingests(ingests.output.as_uri()) == (everyone, {})


def test_an_output_that_cannot_be_read_hides_no_other(ingests):
    away = "s3://nobody@bucket/x"
    names, unreadable = registered_ingests(away, ingests.output.as_uri(), chosen=[INGEST])
    assert names == [INGEST]
    assert "nobody" in unreadable[away]


def test_an_ingest_file_that_cannot_be_read_now_hides_no_output(ingests, monkeypatch, tmp_path):
    first = ingests.write("a_file")
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(ingests.folder))
    monkeypatch.setenv("AIRFLOW__COPERNICUS__OUTPUT_URI", (tmp_path / "elsewhere").as_uri())
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "")
    opened = os.open

    def fails(path, *args, **kwargs):
        if path == first:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", fails)
    names, unreadable = registered_ingests()
    assert names == sorted([*BROKEN, INGEST])
    assert unreadable.keys() == {str(ingests.folder)}
    assert "a_file.yaml cannot be read" in unreadable[str(ingests.folder)]


def test_a_night_without_ingests_is_green(tmp_path):
    initdb()
    run = reconcile_dag(outputs=[tmp_path.as_uri()]).test()
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert run.state == "success", states
    ran = {"registered_ingests", "all_outputs_read"}
    assert {name for name, state in states.items() if state == "success"} == ran
    assert {state for name, state in states.items() if name not in ran} == {"skipped"}


def test_choosing_ingests(ingests, alps):
    alps(DAMAGED["cut"])
    output = ingests.output.as_uri()
    assert registered_ingests(output, chosen=[INGEST, " alps "]) == (["alps", INGEST], {})
    with pytest.raises(
        ConfigurationError,
        match=r"^ingests: unknown ingest nonsense; registered ingests: alps, area, band, pipe,",
    ):
        registered_ingests(output, chosen=["nonsense", INGEST])


def test_a_record_that_is_damaged_after_the_audit_is_named(connected, ingests, alps):
    connected.add(lake_product())
    audit, settle = steps(alps(json.dumps(RECORD)))
    context = night()
    audit.execute(context)
    alps(DAMAGED["cut"])
    with pytest.raises(ConfigurationError, match=r"alps\.json is damaged"):
        settle.execute(context)


def test_a_broken_ingest_still_wants_what_it_shares(ingests, alps):
    alps(DAMAGED["cut"])
    archive = Archive.open(ingests.registered()[INGEST], night(), ())
    assert archive.known == {*BROKEN, INGEST, "alps"}


def test_the_pool_follows_the_good_ones(ingests, connect):
    initdb()
    connect({"conn_type": "copernicus", "extra": {"max_connections": 3}})
    pool.update_pool(ingests.folder)
    with create_session() as session:
        assert session.scalar(select(Pool).where(Pool.pool == POOL)).slots == 3
        session.query(Pool).filter(Pool.pool == POOL).delete()


@pytest.fixture
def told(ingests, monkeypatch):
    """Return the note of an alert about an ingest's run."""
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(ingests.folder))
    monkeypatch.setenv("AIRFLOW__COPERNICUS__OUTPUT_URI", ingests.output.as_uri())

    def note(name):
        run = {"dag": DAG(name, schedule=None), "run_id": "manual__x"}
        return run_report.report(run)["note"]

    return note


NO_RESULT = "The search has no result; see the log of the task search."


@pytest.mark.parametrize("name", BROKEN)
def test_an_alert_of_a_broken_ingest_says_why(told, name):
    assert BROKEN[name][1] in told(name)
    assert told(INGEST) == NO_RESULT


def test_an_alert_of_an_ingest_without_a_file_has_its_registered_settings(told, alps):
    alps(json.dumps(RECORD))
    assert told("alps") == NO_RESULT
    alps(DAMAGED["cut"])
    assert "alps.json is damaged" in told("alps")
