"""What the trigger form is told, and what a run's configuration may hold."""

import json

import pytest
from airflow.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from airflow_copernicus.config.params import PARAMS, dag_params
from airflow_copernicus.dags.ingest import dag_of
from copernicus_dataspace.models.band_choices import band_choices
from copernicus_dataspace.models.bands import check_bands

SQUARE = {"type": "Polygon", "coordinates": [[[34, 44], [36, 44], [36, 46], [34, 46], [34, 44]]]}
DEFAULTS = {name: param["default"] for name, param in PARAMS.items()}


@pytest.fixture
def areas(tmp_path):
    for name in ("lake.geojson", "river.gpkg", "river.kml", "notes.txt", ".hidden.json"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def stored(tmp_path):
    """Return the params of an ingest's DAG as the API server has them, with a configuration."""

    def params(conf=None, **settings):
        path = tmp_path / "lakes.yaml"
        path.write_text(json.dumps({"tiles": ["T36TXL"], **settings}))
        dag = DagSerialization.to_dict(dag_of(path))
        return DagSerialization.from_dict(dag).params.deep_merge(conf)

    return params


def schemas(params):
    return {name: param.schema for name, param in params.items()}


def test_the_days_come_first_and_rare_params_lie_in_one_closed_section(stored):
    shown = [*stored()]
    assert shown[:2] == ["first_day", "last_day"]
    sections = [PARAMS[name]["schema"].get("section") for name in shown]
    rare = shown[sections.index("More options") :]
    assert set(sections) == {None, "More options"}
    assert set(rare) == {
        "product_ids", "versions", "transfer", "keep_archive", "output_uri", "overwrite",
    }  # fmt: skip


def test_areas_are_suggested_by_name(areas):
    assert schemas(dag_params(DEFAULTS, [areas]))["area"]["examples"] == ["lake", "river"]


@pytest.mark.parametrize("folder", ["nowhere", "notes.txt"])
def test_without_area_files_the_area_is_free_text(areas, folder):
    assert "examples" not in schemas(dag_params(DEFAULTS, [areas / folder]))["area"]


def test_geojson_of_an_ingest_is_shown_as_json(areas):
    """With suggestions Airflow's form would show "[object Object]"."""
    assert "examples" not in schemas(dag_params({**DEFAULTS, "area": SQUARE}, [areas]))["area"]


def test_bands_are_chosen_from_the_names_of_both_product_types_with_words():
    schema = PARAMS["bands"]["schema"]
    assert len(schema["examples"]) > 50
    assert schema["values_display"]["B04_10m"] == "B04_10m: red (L2A)"
    assert schema["values_display"]["B10"] == "B10: cirrus (L1C)"
    for name, words in band_choices().items():
        for product_type, level in (("S2MSI2A", "L2A"), ("S2MSI1C", "L1C")):
            if level in words or "/" in name or "*" in name:
                check_bands([name], product_type)


def test_an_ingests_own_bands_and_patterns_can_be_chosen_again(areas):
    own = {**DEFAULTS, "bands": ["SCL_20m", "SCL", "*/MTD_DS.xml"]}
    choices = schemas(dag_params(own, [areas]))["bands"]["examples"]
    assert choices[:2] == ["SCL", "*/MTD_DS.xml"]
    assert len(choices) == len({*choices})


@pytest.mark.parametrize(
    "conf",
    [
        {"bands": ["*/MTD_DS.xml"]},
        {"bands": ["B04"], "product_type": "S2MSI1C"},
        {"area": "a river"},
        {"area": SQUARE},
        {"area": None, "tiles": None, "product_ids": None, "max_cloud_cover": None},
        {"copernicus_repair": {"2024-08-01": ["x"]}, "product_ids": ["x"]},
    ],
)
@pytest.mark.parametrize("area", ["lake", SQUARE])
def test_a_configuration_may_hold_what_the_form_does_not_offer(stored, conf, area):
    params = stored(conf, area=area)
    params.validate()
    stored({**params.dump()}, area=area).validate()  # as a repair run hands all of them on


@pytest.mark.parametrize(
    "conf",
    [
        {"bands": None},
        {"bands": []},
        {"bands": "SCL_20m"},
        {"max_cloud_cover": 101},
        {"product_type": "L2A"},
        {"first_day": "soon"},
        {"keep_archive": None},
    ],
)
def test_what_no_run_can_use_is_refused_when_it_is_triggered(stored, conf):
    with pytest.raises(ParamValidationError):
        stored(conf).validate()
