"""`airflow copernicus init`: a project of one area and one ingest."""

import ast
import json
from pathlib import Path

import pytest
from airflow.cli import cli_parser
from airflow.configuration import conf

from copernicus_dataspace import Area

ROOT = Path(__file__).parents[3]


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
    code = dag_file.read_text()
    ast.parse(code)
    assert f'area="{area.name}"' in code
    assert len(code.splitlines()) <= 5


def test_airflow_reads_the_dag_file_by_default(init, tmp_path):
    """Its safe mode skips files without these words."""
    init(str(tmp_path))
    code = (tmp_path / "sentinel2_lake.py").read_bytes().lower()
    assert b"dag" in code
    assert b"airflow" in code


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
    assert "2. Switch on both DAGs" in steps
    assert "airflow dags unpause lake_scl" in steps


def test_a_folder_that_cannot_be_written_is_named(init, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file/dags cannot be written: Not a directory"):
        init(str(tmp_path / "file" / "dags"))
