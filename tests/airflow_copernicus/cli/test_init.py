"""`airflow copernicus init`: a project of one area and one ingest."""

import json
from pathlib import Path

import pytest
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag

from copernicus_dataspace import Area

ROOT = Path(__file__).parents[3]
DAGS = {"lake_scl", "sentinel2_reconcile", "sentinel2_approve_removals"}


@pytest.fixture
def init(capsys):
    def init(*arguments):
        args = cli_parser.get_parser().parse_args(["copernicus", "init", *arguments])
        args.func(args)
        return capsys.readouterr().out

    return init


def test_it_writes_an_area_and_a_dag_file(init, tmp_path):
    said = init(str(tmp_path / "new" / "dags"))
    area, dag_file = sorted((tmp_path / "new" / "dags").iterdir())
    assert f"Wrote {area}." in said
    assert f"Wrote {dag_file}." in said
    assert json.loads(area.read_text()) == json.loads(
        (ROOT / "include/areas/lake.geojson").read_text()
    )
    assert Area.parse(area)
    assert dag_file.read_text() == (ROOT / "tests/examples/daily_ingest.py").read_text()
    assert dag_file.read_text() in (ROOT / "README.md").read_text()


def test_airflow_reads_the_dag_file(init, tmp_path):
    init(str(tmp_path))
    found = DagBag(tmp_path)
    assert found.import_errors == {}
    assert set(found.dags) == DAGS


def test_the_folder_is_that_of_the_dags_unless_given(init, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    assert conf.get("core", "dags_folder") == str(tmp_path)
    init()
    assert {file.name for file in tmp_path.iterdir()} == {"lake.geojson", "sentinel2_lake.py"}


def test_existing_files_are_named_and_kept(init, tmp_path):
    own = tmp_path / "sentinel2_lake.py"
    own.write_text("own")
    said = init(str(tmp_path))
    assert own.read_text() == "own"
    assert f"Kept {own}, which exists already." in said
    assert f"Wrote {tmp_path / 'lake.geojson'}." in said


def test_it_ends_with_the_next_two_steps(init, tmp_path):
    steps = init(str(tmp_path)).partition("Next:")[2]
    assert "1. In Airflow, Admin > Connections, add the connection copernicus_default" in steps
    assert "airflow copernicus check" in steps
    assert "2. Switch on the DAGs" in steps
    assert {f"airflow dags unpause {dag_id}" for dag_id in DAGS} <= set(
        map(str.strip, steps.splitlines())
    )


def test_a_folder_that_cannot_be_written_is_named(init, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file/dags cannot be written: Not a directory"):
        init(str(tmp_path / "file" / "dags"))
