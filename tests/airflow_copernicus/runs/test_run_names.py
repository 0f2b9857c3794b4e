"""Folders of runs have names that every disk takes; those of earlier versions are still used."""

import re

import pytest

from copernicus_dataspace.storage.layout import folder_name
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support.faults.storage_scene import Run

RUN_ID = "scheduled__2024-08-01T00:00:00+00:00"
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@pytest.fixture
def product(connected):
    return connected.add(lake_product(scale=0.003))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return what makes a run of an id."""

    def make(run_id, dag_id="sentinel2_daily"):
        monkeypatch.setattr(
            "tests.support.faults.storage_scene.make_context",
            lambda **changes: make_context(**{"run_id": run_id, "dag_id": dag_id, **changes}),
        )
        return Run((tmp_path / "output").as_uri(), tmp_path)

    return make


def folders(tmp_path):
    below = (tmp_path / "output" / top for top in ("runs", ".staging"))
    return [path for top in below for path in top.rglob("*") if path.is_dir()]


@pytest.mark.parametrize("dag_id", ["sentinel2_daily", "aux", "Lake.v2", "lake."])
@pytest.mark.parametrize(
    "run_id", [RUN_ID, "manual__2026-11-30T07:50:31.1+00:00_AbC ", "nul", "*?"]
)
def test_all_that_a_run_leaves_has_a_name_that_every_disk_takes(
    product, run, tmp_path, run_id, dag_id
):
    one = run(run_id, dag_id)
    for step in ("search", "download"):
        getattr(one, step)()
        for path in folders(tmp_path):
            assert not re.search(r'[<>:"|?*\\]|[. ]\Z', path.name)
            assert not RESERVED.fullmatch(path.name)
    one.extract()
    one.publish()


@pytest.mark.parametrize("step", ["download", "extract", "publish"])
def test_a_run_that_an_earlier_version_began_goes_on_where_it_is(product, run, tmp_path, step):
    one, output = run(RUN_ID), tmp_path / "output"
    one.up_to(step)
    for top in ("runs", ".staging"):
        for path in (output / top / "sentinel2_daily").glob("scheduled__*"):
            path.rename(path.with_name(folder_name(RUN_ID)))
    for later in ("download", "extract", "publish")[
        ("download", "extract", "publish").index(step) :
    ]:
        getattr(one, later)()
    assert [path.name for path in output.glob("runs/sentinel2_daily/*")] == [RUN_ID]
    assert (output / "runs/sentinel2_daily" / RUN_ID / "summary.json").exists()
    assert [path for path in (output / ".staging").rglob("*") if path.is_file()] == []


def test_an_earlier_run_that_is_cleared_leaves_nothing_of_its_first_try(product, run, tmp_path):
    one, folder = run(RUN_ID), tmp_path / "output/runs/sentinel2_daily" / folder_name(RUN_ID)
    (folder / "search").mkdir(parents=True)
    (folder / "search/search.json").write_text("{}")
    (folder / "search/old.json").write_text("{}")
    one.search()
    assert not (folder / "search/old.json").exists()
    assert (folder / "search/search.json").read_text() != "{}"
