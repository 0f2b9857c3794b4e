"""DAGs that are declared in somebody's own DAG file, as Airflow reads it."""

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_copernicus.dags import ingest_dag
from copernicus_dataspace.errors import ConfigurationError

AREA = '{"type": "Polygon", "coordinates": [[[31, 39], [31.1, 39], [31.1, 39.1], [31, 39]]]}'
FIVE_LINES = """
from airflow_copernicus.dags import ingest_dag, reconcile_dag

lake = ingest_dag("lake_scl", area="lake.geojson", bands=["SCL_20m"], max_cloud_cover=20)
audit = reconcile_dag()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lake.geojson").write_text(AREA)
    return tmp_path


def bag_of(folder, content):
    (folder / "mine.py").write_text(content)
    return DagBag(dag_folder=str(folder), safe_mode=True)


def test_five_lines_are_three_dags(folder):
    bag = bag_of(folder, FIVE_LINES)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"lake_scl", "sentinel2_reconcile", "sentinel2_approve_removals"}
    dag = bag.dags["lake_scl"]
    assert dag.params["area"] == "lake.geojson"
    assert dag.params["bands"] == ["SCL_20m"]
    assert dag.params["max_cloud_cover"] == 20
    assert dag.get_task("search").areas_folder == folder


@pytest.mark.parametrize("place", ["areas/lake.geojson", "lake.geojson"])
def test_an_area_lies_beside_the_file_or_in_areas(tmp_path, place):
    (tmp_path / "areas").mkdir()
    (tmp_path / place).write_text(AREA)
    assert set(bag_of(tmp_path, FIVE_LINES).dags) > {"lake_scl"}


def test_an_ingest_that_is_wrong_is_an_import_error(tmp_path):
    content = FIVE_LINES.replace("lake.geojson", "shore")
    (error,) = bag_of(tmp_path, content).import_errors.values()
    assert 'lake_scl: area: "shore": no such name; there are: lake' in error
    assert "ConfigurationError" in error


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_cloud_covr": 20}, "did you mean max_cloud_cover"),
        ({"max_cloud_cover": 120}, "max_cloud_cover: 120 cannot be used"),
        ({"bands": ["B99"]}, "B99"),
        ({"tiles": [], "bands": []}, "bands"),
        ({"first_day": "2024-08-01"}, "is a param of a single run"),
        ({"area": Path("lake.geojson")}, "area: .*lake.geojson.* cannot be used"),
    ],
)
def test_each_problem_is_named(settings, words):
    with pytest.raises(ConfigurationError, match=f"lake: .*{words}"):
        ingest_dag("lake", **{"tiles": ["T36TXL"], **settings})


@pytest.mark.parametrize("dag_id", ["", "a b", "__a", "sentinel2_reconcile", "Sentinel2_Reconcile"])
def test_not_every_name_does(dag_id):
    with pytest.raises(ConfigurationError, match="DAG id"):
        ingest_dag(dag_id, tiles=["T36TXL"])


def test_values_of_python_and_arguments_of_the_dag_are_taken():
    dag = ingest_dag(
        "lake",
        tiles=("T36TXL",),
        start_day=date(2024, 8, 1),
        publication_delay=timedelta(hours=36),
        tags=["mine"],
        max_active_runs=2,
        default_args={"retries": 1},
    )
    assert dag.params["tiles"] == ["T36TXL"]
    assert f"{dag.start_date:%Y-%m-%d}" == "2024-08-01"
    assert dag.timetable.publication_delay == timedelta(hours=36)
    assert ({*dag.tags}, dag.max_active_runs) == ({"mine", "sentinel-2", "copernicus"}, 2)
    assert {task.retries for task in dag.tasks} == {1}
    assert dag.get_task("search").retry_exponential_backoff


def test_ingest_files_and_their_areas_lie_in_any_folder(folder):
    (folder / "wanted").mkdir()
    (folder / "wanted" / "shore.geojson").write_text(AREA)
    (folder / "wanted" / "shore.yaml").write_text("area: shore")
    (folder / "wanted" / "broken.yaml").write_text("area: nowhere")
    bag = bag_of(
        folder,
        "from pathlib import Path\n\n"
        "from airflow_copernicus.dags import ingest_dags\n\n"
        "ingest_dags(Path(__file__).parent / 'wanted')\n",
    )
    assert set(bag.dags) == {"shore", "broken"}
    assert bag.dags["shore"].get_task("search").areas_folder == folder / "wanted"
    assert bag.dags["broken"].task_ids == ["broken_ingest_file"]


def test_the_folder_may_be_an_option_of_the_installation(folder, monkeypatch):
    (folder / "wanted").mkdir()
    (folder / "wanted" / "shore.yaml").write_text("tiles: [T36TXL]")
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(folder / "wanted"))
    bag = bag_of(folder, "from airflow_copernicus.dags import ingest_dags\n\ningest_dags()\n")
    assert set(bag.dags) == {"shore"}


def test_five_lines_import_nothing_heavy(folder):
    (folder / "mine.py").write_text(FIVE_LINES)
    code = (
        "import sys, mine\n"
        "heavy = ('pandas', 'numpy', 'shapely', 'rasterio', 'pystac', 'boto3')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr
