import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.dags.ingest import build_dag, dag_of, ingest_dags
from airflow_copernicus.hooks.connection_limits import POOL
from airflow_copernicus.priority import REPAIR_RUN_PREFIX

ROOT = Path(__file__).parents[2]
HEAVY = ("pandas", "numpy", "geopandas", "rasterio", "shapely", "pystac", "boto3", "pyogrio")


@pytest.fixture(scope="module")
def bag():
    return DagBag(dag_folder=str(ROOT / "dags"))


@pytest.fixture
def ingest_file(tmp_path):
    def write(text, name="lakes"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return path

    return write


def test_every_dag_file_parses(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {
        "sentinel2_daily",
        "sentinel2_reconcile",
        "sentinel2_approve_removals",
        "example_clear_sky",
    }


def test_the_daily_dag_has_exactly_its_tasks(bag):
    dag = bag.dags["sentinel2_daily"]
    assert set(dag.task_ids) == {
        "search", "product.download", "product.extract", "publish", "all_delivered",
    }  # fmt: skip
    assert dag.get_task("product.download").downstream_task_ids == {"product.extract"}
    assert dag.get_task("publish").upstream_task_ids >= {"product.extract"}


def test_house_rules_hold_for_every_dag(bag):
    for dag in bag.dags.values():
        assert dag.doc_md
        assert dag.tags
        assert not dag.catchup
        assert dag.start_date.tzinfo is not None
        assert all(task.retries for task in dag.tasks)


@pytest.mark.parametrize(
    "name", ["sentinel2_daily", "sentinel2_reconcile", "sentinel2_approve_removals"]
)
def test_the_text_of_a_dag_names_pages_of_the_documentation(bag, name):
    pages = re.findall(r"`(docs/\S+)`", bag.dags[name].doc_md)
    assert len(pages) > 1
    assert all((ROOT / page).is_file() for page in pages)


def test_transfers_take_slots_of_the_pool(bag):
    tasks = bag.dags["sentinel2_daily"].tasks
    assert [task.task_id for task in tasks if task.pool == POOL] == ["product.download"]


def test_the_search_knows_what_the_downloads_will_ask_for(ingest_file):
    dag = dag_of(ingest_file("area: lake\nconnections: 3"))
    assert dag.get_task("search").connections == 3
    assert dag.get_task("product.download").pool_slots == 3


def test_every_task_of_the_past_is_behind_every_task_of_today(bag):
    """As the scheduler reads it, from the stored DAG."""
    stored = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["sentinel2_daily"]))

    def weights(run_id):
        of = [SimpleNamespace(task=task, run_id=run_id) for task in stored.tasks]
        return [ti.task.weight_rule.get_weight(ti) for ti in of]

    today = weights("scheduled__2024-08-01T00:00:00+00:00")
    assert sorted(today) == [1, 2, 3, 4, 5]
    assert weights("manual__x") == weights(None) == today
    for run_id in ("backfill__2024-08-01T00:00:00+00:00", f"{REPAIR_RUN_PREFIX}2024-08-01"):
        assert max(weights(run_id)) < 0


def test_every_param_explains_itself(bag):
    params = bag.dags["sentinel2_daily"].params
    for name in params:
        param = params.get_param(name)
        assert param.schema["title"]
        assert param.description
    assert params["area"] == "lake"
    assert params["bands"] == ["SCL_20m"]
    assert params["max_cloud_cover"] == 20


def test_parsing_imports_nothing_heavy():
    code = (
        "import sys; sys.path[:0] = ['plugins', 'include', 'dags']\n"
        "import sentinel2_daily, sentinel2_reconcile, example_clear_sky\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_file_gives_a_dag_with_its_defaults(ingest_file, tmp_path):
    path = ingest_file(
        "tiles: [T32TQM]\nbands: [B04, SCL_20m]\nmax_cloud_cover: 5\nschedule: '@weekly'\n"
        "publication_delay: 36 hours\nstart_day: 2024-01-01\ncatchup: true\n"
    )
    ingest = Ingest.read(path)
    assert ingest.timetable.publication_delay == timedelta(hours=36)
    assert ingest.start_day == datetime(2024, 1, 1, tzinfo=UTC)
    dag = build_dag(ingest, tmp_path)
    assert dag.dag_id == "lakes"
    assert dag.params["tiles"] == ["T32TQM"]
    assert dag.catchup


def test_one_broken_file_leaves_the_others(ingest_file, tmp_path):
    ingest_file("area: lake")
    ingest_file("bands: [", "broken")
    ingest_file("area: lake", "no id")
    ingest_file("area: &a {x: *a}", "loop")
    dags = ingest_dags(tmp_path)
    assert dags["no_id"].task_ids == dags["loop"].task_ids == ["broken_ingest_file"]
    assert set(dags["lakes"].task_ids) > {"search", "publish"}
    assert dags["broken"].task_ids == ["broken_ingest_file"]
    assert "broken.yaml is not YAML" in dags["broken"].description
    assert "broken" in dags["broken"].tags


@pytest.mark.parametrize(("text", "runs"), [("", 4), ("one_run_at_a_time: true\n", 1)])
def test_one_run_at_a_time_is_one_active_run(ingest_file, text, runs):
    dag = dag_of(ingest_file(f"tiles: [T36TXL]\n{text}"))
    assert dag.max_active_runs == runs
    assert dag.get_task("search").one_run_at_a_time is (runs == 1)
