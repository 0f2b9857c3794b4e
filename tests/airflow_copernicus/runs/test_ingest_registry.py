"""Each ingest registers in its output when it runs; reconcile finds it there."""

import contextlib
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException, ErrorType

from airflow_copernicus.dags import ingest_dag, reconcile_dag
from airflow_copernicus.runs import ingest_registry
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.ingest_archive import Archive
from airflow_copernicus.runs.ingest_registry import read_with_area
from airflow_copernicus.runs.outputs import find_ingests
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, StorageUnavailableError
from copernicus_dataspace.models.time_range import utc_now
from tests.airflow_copernicus.conftest import make_context

AREA = {
    "type": "Polygon",
    "coordinates": [[[31, 39], [31.1, 39], [31.1, 39.123456789], [31, 39]]],
}
NOWHERE = "gopher://nowhere"


@pytest.fixture
def output(tmp_path):
    return (tmp_path / "output").as_uri()


@pytest.fixture
def run(connected, output):
    """Return what runs the search of an ingest, with params of the run."""

    def search(dag_id="lake", run=None, **settings):
        dag = ingest_dag(dag_id, **{"area": AREA, "output_uri": output, **settings})
        task = dag.get_task("search")
        for name, value in {**dag.params, **(run or {})}.items():
            if name in task.template_fields:
                setattr(task, name, value)
        task.execute(make_context(dag_id=dag_id))

    return search


def registered(output):
    return [one["dag_id"] for one in find_ingests([output]).ingests]


def test_an_ingest_is_registered_with_its_settings_and_exact_area(run, output):
    run(bands=["SCL_20m", "B04"], max_removals=7)
    store = open_store(output)
    ingest, area = read_with_area(store, "lake", output)
    assert (ingest.defaults["bands"], ingest.max_removals) == (["SCL_20m", "B04"], 7)
    assert ingest.defaults["area"] == AREA
    assert [*area.geometry.exterior.coords][2] == (31.1, 39.123456789)


@pytest.mark.parametrize(
    "changes",
    [{"area": "8,53,9,54"}, {"product_ids": ["x"]}, {"output_uri": "elsewhere"}],
    ids=["area", "products", "output"],
)
def test_a_run_for_something_else_registers_nothing(run, output, tmp_path, changes):
    if "output_uri" in changes:
        changes = {"output_uri": (tmp_path / "elsewhere").as_uri()}
    with contextlib.suppress(DataSpaceError):
        run(run=changes)
    assert registered(output) == []


def test_a_changed_ingest_is_registered_anew_and_an_unchanged_one_once_a_day(
    run, output, tmp_path, monkeypatch
):
    record = tmp_path / "output" / "ingests" / "lake.json"
    run()
    first = record.read_bytes()
    run()
    assert record.read_bytes() == first
    run(tiles=["T36TXL"])
    assert json.loads(record.read_bytes())["settings"]["tiles"] == ["T36TXL"]
    second = record.read_bytes()
    monkeypatch.setattr(ingest_registry, "utc_now", lambda: utc_now() + timedelta(days=1))
    run(tiles=["T36TXL"])
    assert record.read_bytes() != second


def test_an_ingest_that_moved_is_maintained_where_it_is_now(run, output, tmp_path, monkeypatch):
    other = (tmp_path / "other").as_uri()
    run()
    monkeypatch.setattr(ingest_registry, "utc_now", lambda: utc_now() + timedelta(hours=1))
    run(output_uri=other)
    for outputs in ([output, other], [other, output]):
        assert find_ingests(outputs).ingests == [{"dag_id": "lake", "output_uri": other}]


def test_an_output_that_cannot_be_read_does_not_hide_the_others(run, output, tmp_path):
    run()
    found = find_ingests([NOWHERE, output])
    assert [one["dag_id"] for one in found.ingests] == ["lake"]
    assert [*found.unreadable] == [NOWHERE]


def chosen(output, *names, conf=None, others=()):
    """Run the task that lists the ingests; return them, and what it says of outputs."""
    pushed = {}
    dag = reconcile_dag(outputs=[output, *others])
    context = make_context(dag_id=dag.dag_id, conf=conf or {})
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    context["dag"] = dag
    task = dag.get_task("registered_ingests").python_callable
    return [one["dag_id"] for one in task([*names], **context)], pushed["unreadable"]


def test_all_ingests_are_reconciled_or_the_chosen_ones(run, output):
    run()
    run("shore")
    assert chosen(output)[0] == ["lake", "shore"]
    names, unreadable = chosen(output, "shore", others=[NOWHERE])
    assert names == ["shore"]
    assert [*unreadable] == [NOWHERE]
    with pytest.raises(
        ConfigurationError, match=r"ingests: unknown ingest hills; .*: lake, shore\."
    ):
        chosen(output, "lake", "hills")


def test_a_night_is_tried_again_if_what_it_needs_may_be_in_an_output_that_cannot_be_read(
    run, output
):
    with pytest.raises(StorageUnavailableError, match=f"{NOWHERE} cannot be read"):
        chosen(output, others=[NOWHERE])
    run()
    assert chosen(output, others=[NOWHERE])[0] == ["lake"]
    with pytest.raises(StorageUnavailableError, match=f"{NOWHERE} cannot be read"):
        chosen(output, "hills", others=[NOWHERE])


@pytest.mark.parametrize("harm", ["record", "area", "no area", "other settings", "other ingest"])
def test_a_damaged_record_is_said_in_words(run, output, tmp_path, harm):
    run()
    folder = tmp_path / "output" / "ingests"
    if harm == "record":
        (folder / "lake.json").write_text("{")
    elif harm == "other settings":
        text = (folder / "lake.json").read_text().replace('"area"', '"aera"', 1)
        (folder / "lake.json").write_text(text)
    elif harm == "other ingest":
        text = (folder / "lake.json").read_text().replace('"lake"', '"shore"', 1)
        (folder / "lake.json").write_text(text)
    elif harm == "area":
        (folder / "lake.geojson").write_text('{"type": "Point", "coordinates": [1, 2]}')
    else:
        (folder / "lake.geojson").unlink()
    with pytest.raises(ConfigurationError, match=r"lake(\.json|\.geojson|:) "):
        Archive.open({"dag_id": "lake", "output_uri": output}, make_context(), ())


def test_an_ingest_whose_dag_is_gone_is_left_alone(run, output):
    def get_dag(_dag_id):
        detail = {"status_code": 404}
        raise AirflowRuntimeError(SimpleNamespace(error=ErrorType.API_SERVER_ERROR, detail=detail))

    run()
    context = make_context()
    context["ti"].get_dag = get_dag
    with pytest.raises(AirflowSkipException, match=r"delete its record in .*ingests"):
        Archive.open({"dag_id": "lake", "output_uri": output}, context, ())


def test_a_dag_that_is_no_ingest_is_never_triggered(run, output):
    run()
    context = make_context()
    context["ti"].get_dag = lambda _: SimpleNamespace(is_paused=False, tags=["other"])
    with pytest.raises(AirflowSkipException, match="no ingest DAG lake"):
        Archive.open({"dag_id": "lake", "output_uri": output}, context, ())
