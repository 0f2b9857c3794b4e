"""What goes wrong while a setting is read is permanent and names it; a fault that passes is not."""

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest

from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.dags import ingest_dags
from airflow_copernicus.operators import (
    CopernicusAskOperator,
    CopernicusAuditOperator,
    CopernicusDownloadOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace.errors import (
    AreaError,
    ConfigurationError,
    PermanentError,
    StorageFullError,
    TransientError,
)
from copernicus_dataspace.geometry import area_input
from copernicus_dataspace.geometry.area import Area
from tests.airflow_copernicus.config.test_broken_ingests import registered_ingests
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support.airflow.registered import registered

ODD = (5, 1.5, True, [None], [[]], {"a": 1}, "\ud800", "x" * 10_000, object())
CURVE = "CURVEPOLYGON(CIRCULARSTRING(0 0,1 1,2 0,1 -1,0 0))"
SQUARE = {"type": "Polygon", "coordinates": [[[34, 44], [36, 44], [36, 46], [34, 46], [34, 44]]]}
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)


@pytest.fixture
def output(tmp_path):
    return (tmp_path / "output").as_uri()


@pytest.fixture
def search(connected, output):
    def run(**changes):
        asked = {"tiles": ["T36TXL"], "bands": ["SCL_20m"], "output_uri": output, **changes}
        return CopernicusSearchOperator(task_id="search", **asked).execute(make_context())

    return run


@pytest.fixture
def areas(tmp_path, monkeypatch):
    folder = tmp_path / "areas"
    folder.mkdir()
    (folder / "lake.geojson").write_text(json.dumps(SQUARE))
    monkeypatch.setenv("AIRFLOW__COPERNICUS__AREAS_FOLDER", str(folder))
    return folder


@pytest.fixture
def ingest_file(tmp_path, output):
    folder = tmp_path / "ingests"
    folder.mkdir()
    path = folder / "lakes.yaml"
    path.write_text(json.dumps({"area": "lake", "output_uri": output}))
    return path


def failing(number, part):
    """Return what takes the place of a function, and fails for one file or folder."""

    def instead(original):
        def called(self, *args, **kwargs):
            if part in str(self):
                raise OSError(number, os.strerror(number), str(self))
            return original(self, *args, **kwargs)

        return called

    return instead


def break_file(monkeypatch, number, name):
    path = type(area_input.Path())
    for method in ("stat", "read_text", "read_bytes"):
        wrap = failing(number, name)
        monkeypatch.setattr(path, method, wrap(getattr(path, method)))


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize(
    "name",
    [
        *("area", "tiles", "product_type", "max_cloud_cover", "first_day", "last_day"),
        *("product_ids", "versions", "bands", "output_uri", "copernicus_conn_id"),
    ],
)
def test_no_value_of_a_setting_is_tried_again(connected, search, name, value):
    with contextlib.suppress(PermanentError):
        search(**{name: value})


@pytest.mark.parametrize("name", ["bands", "transfer", "keep_archive", "overwrite", "output_uri"])
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_nor_is_one_of_a_download(connected, search, output, name, value):
    connected.add(lake_product())
    (batch,) = search()
    asked = {"bands": ["SCL_20m"], "output_uri": output, name: value}
    with contextlib.suppress(PermanentError):
        CopernicusDownloadOperator(task_id="d", batch=batch, **asked).execute(make_context())


@pytest.mark.parametrize("ingest", [["a"], {"a": 1}, 5, None, "nowhere"])
def test_nor_is_an_ingest_that_is_none(ingest_file, areas, output, ingest):
    registered(ingest_file)
    ask = CopernicusAskOperator(task_id="ask", outputs=[output], ingest=ingest)
    with pytest.raises(ConfigurationError, match=r"unknown ingest.*registered ingests: lakes"):
        ask.execute(make_context())


@pytest.mark.parametrize("ingests", [5, [None], [["a"]], {"a": 1}, "nowhere"])
def test_nor_are_ingests_of_a_reconcile(ingest_file, areas, output, ingests):
    registered(ingest_file)
    with pytest.raises(ConfigurationError, match="ingests"):
        registered_ingests(output, chosen=ingests)


def test_an_area_with_curves_is_refused_in_words(search):
    with pytest.raises(AreaError, match=r"it has curves\. Write POLYGON"):
        search(area=CURVE)


@pytest.mark.parametrize("error", [OverflowError, NotImplementedError, ZeroDivisionError, KeyError])
def test_what_nobody_thought_of_names_the_setting_and_its_cause(search, monkeypatch, error):
    def parse(*_args, **_kwargs):
        raise error("deep inside")

    monkeypatch.setattr(Area, "parse", parse)
    with pytest.raises(
        ConfigurationError, match=rf"\(area\): 'x.*raised {error.__name__}"
    ) as refused:
        search(area="x" * 500)
    assert isinstance(refused.value.__cause__, error)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "error",
    [
        StorageFullError("full"),
        OSError(errno.EIO, "broken"),
        OSError(errno.ESTALE, "stale"),
        ConnectionResetError("gone"),
        MemoryError(),
    ],
)
def test_what_may_pass_is_handed_on(error):
    with pytest.raises(type(error)) as raised, reading(area="lake"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENAMETOOLONG])
def test_what_lasts_is_a_fault_of_the_setting(number):
    with pytest.raises(ConfigurationError, match="area 'lake'"), reading(area="lake"):
        raise OSError(number, "lasting")


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("name", ["lake.geojson", "areas"])
def test_an_area_on_a_share_that_fails_is_tried_again(search, areas, monkeypatch, number, name):
    break_file(monkeypatch, number, name)
    with pytest.raises((TransientError, OSError)) as raised:
        search(area="lake", tiles=None)
    assert not isinstance(raised.value, PermanentError)
    assert os.strerror(number) in str(raised.value)


def test_an_area_that_nobody_may_read_is_not(search, areas, monkeypatch):
    break_file(monkeypatch, errno.EACCES, "lake.geojson")
    with pytest.raises(AreaError, match="Permission denied"):
        search(area="lake", tiles=None)


@pytest.mark.parametrize("number", PASSING)
def test_a_share_that_fails_breaks_no_ingest(connected, areas, ingest_file, monkeypatch, number):
    audit = CopernicusAuditOperator(task_id="audit", ingest=registered(ingest_file))
    break_file(monkeypatch, number, "lake.geojson")
    assert Ingest.read(ingest_file).defaults["area"] == "lake"
    product = connected.add(lake_product(tile="36TXQ"))
    connected.add(lake_product(tile="36TXL"))
    (repair,) = audit.execute(make_context())
    assert repair["conf"]["product_ids"] == [product.id], "in the area of the last run"


@pytest.mark.parametrize("number", PASSING)
def test_an_ingest_file_on_a_share_that_fails_is_tried_again(
    areas, ingest_file, monkeypatch, number
):
    """It may be what allows the output."""
    audit = CopernicusAuditOperator(task_id="audit", ingest=registered(ingest_file))
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(ingest_file.parent))
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "")
    opened = os.open

    def unreadable(path, *args, **kwargs):
        if Path(path) == ingest_file:
            raise OSError(number, os.strerror(number))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", unreadable)
    with pytest.raises(TransientError, match=r"lakes\.yaml cannot be read"):
        audit.execute(make_context())
    (dag,) = ingest_dags(ingest_file.parent).values()
    assert "broken" in dag.tags


def test_an_odd_extra_of_a_connection_names_the_connection(connect, emulator, search):
    connect({**emulator.connection(), "extra": {"max_connections": [], "totp_secret": {}}})
    with pytest.raises(PermanentError):
        search()
