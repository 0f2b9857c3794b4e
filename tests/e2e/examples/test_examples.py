"""The example DAG files of the documentation run under a real scheduler, as they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

DAY = datetime.now(UTC).date() - timedelta(days=5)
INGESTS = ("lake_vegetation", "lake_water", "two_tiles")


@pytest.fixture(scope="module", autouse=True)
def product(rehearsal):
    return rehearsal.add(DAY)


def run(rehearsal, dag, **conf):
    """Switch a DAG on and trigger it; return how the run ended."""
    rehearsal.airflow.unpause(dag)
    return rehearsal.finished(rehearsal.trigger(dag, **conf), dag)


def bands_of(rehearsal, day):
    return {
        "_".join(name.removesuffix(".jp2").split("_")[-2:]) for name in rehearsal.delivered(day)
    }


def test_there_are_no_import_errors(rehearsal):
    assert rehearsal.airflow.api("GET", "importErrors")["import_errors"] == []


def test_a_downstream_dag_runs_after_each_complete_day(rehearsal):
    rehearsal.airflow.unpause("after_lake_scl")
    assert run(rehearsal, "lake_scl", first_day=f"{DAY}") == "success"
    rehearsal.airflow.wait(
        lambda: {one["state"] for one in rehearsal.runs("after_lake_scl")} == {"success"},
        120,
        lambda: f"{rehearsal.runs('after_lake_scl')}",
    )
    assert f"{DAY}" in {one["partition_key"] for one in rehearsal.runs("after_lake_scl")}


def test_every_ingest_delivers_its_bands(rehearsal):
    runs = {}
    for dag in INGESTS:
        rehearsal.airflow.unpause(dag)
        runs[dag] = rehearsal.trigger(dag, first_day=f"{DAY}")
    assert {rehearsal.finished(one, dag) for dag, one in runs.items()} == {"success"}
    assert bands_of(rehearsal, DAY) == {"SCL_20m", "B03_10m", "B04_10m", "B08_10m"}


def test_own_operators_deliver_the_day_before(rehearsal):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    rehearsal.add(yesterday)
    assert run(rehearsal, "lake_two_bands") == "success"
    assert bands_of(rehearsal, yesterday) == {"B04_10m", "B08_10m"}


def test_files_go_to_object_storage(rehearsal, storage):
    assert run(rehearsal, "lake_in_bucket", first_day=f"{DAY}") == "success"
    found = storage.list_objects_v2(Bucket="my-bucket", Prefix="sentinel2/bands/")["Contents"]
    assert {Path(one["Key"]).suffix for one in found} == {".jp2", ".json"}


def test_all_of_them_are_reconciled(rehearsal):
    dag = "sentinel2_reconcile"
    rehearsal.airflow.unpause(dag)
    rehearsal.airflow.wait(lambda: rehearsal.runs(dag), 60, lambda: "no scheduled run")
    (run,) = rehearsal.runs(dag)
    assert rehearsal.finished(run["dag_run_id"], dag) == "success"
    reports = {path.parent.name for path in (rehearsal.output / "reports").glob("*/latest.json")}
    assert reports >= {"lake_scl", "lake_vegetation", "lake_water", "two_tiles"}
