"""The way in for Python programs: search and download without Airflow."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pystac
import pytest

import copernicus_dataspace
from copernicus_dataspace import Area, Client, ClientOptions, DownloadError, errors
from copernicus_dataspace.errors import (
    AreaError,
    ConfigurationError,
    CredentialsError,
    ProductNotFoundError,
    QueryError,
    StorageRefusedError,
)
from copernicus_dataspace_emulator import Fault, make_product

LAKE = {
    "type": "Polygon",
    "coordinates": [[[34.49, 40.62], [34.51, 40.62], [34.51, 40.64], [34.49, 40.62]]],
}
DAY = "2024-08-01"


def offer(emulator, day=1, **facts):
    settings = {"tile": "36TXL", "sensed": f"2024-08-{day:02}T08:36:01.024Z", "scale": 0.003}
    return emulator.add(make_product(**{**settings, **facts}))


def arguments_of(emulator):
    connection = emulator.connection()
    extra = connection["extra"]
    urls = {name: url for name, url in extra.items() if name.endswith("_url")}
    return {"username": connection["login"], "password": connection["password"], **urls}


@pytest.fixture
def client(emulator):
    with Client(**arguments_of(emulator)) as running:
        yield running


def downloads(emulator):
    return [one for one in emulator.requests if one.service == "download" and one.status == 200]


def test_a_search_and_a_download_are_two_calls(emulator, client, tmp_path):
    offered = [offer(emulator, day) for day in (1, 2)]
    products = client.search(area=LAKE, first_day=DAY, last_day="2024-08-07")
    assert [product.id for product in products] == [one.id for one in offered]
    items = client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    assert [item.datetime.day for item in items] == [1, 2]
    for item, one in zip(items, offered, strict=True):
        path = Path(item.assets["SCL_20m"].get_absolute_href())
        (true,) = (path for path in one.files if path.endswith("_SCL_20m.jp2"))
        assert path.read_bytes() == one.read(true)
        assert path.is_relative_to(tmp_path / "bands/S2MSI2A/2024/08")
        assert pystac.Item.from_file(item.self_href).properties == item.properties
    listed = pystac.Catalog.from_file(str(tmp_path / "catalog.json")).get_items(recursive=True)
    assert {item.id for item in listed} == {item.id for item in items}


def test_what_is_there_is_not_downloaded_again_unless_asked_for(emulator, client, tmp_path):
    offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    ask = {"bands": ["SCL_20m"], "to": str(tmp_path), "progress": False}
    first = client.download(products, **ask)
    moved = len(downloads(emulator))
    again = client.download([*products, *products], **ask)
    assert [item.to_dict() for item in again] == [item.to_dict() for item in first]
    assert len(downloads(emulator)) == moved
    client.download(products, overwrite=True, **ask)
    assert len(downloads(emulator)) > moved
    client.download(products, **{**ask, "bands": ["B02_60m"]})
    (item,) = client.download(products, **ask)
    assert {"SCL_20m", "B02_60m"} <= item.assets.keys()


def test_those_that_fail_are_named_and_the_others_arrive(emulator, client, tmp_path):
    good, bad = offer(emulator, 1), offer(emulator, 2)
    emulator.faults.add(Fault("download", status=404, times=None, match=bad.id))
    products = client.search(tiles=["36TXL"], first_day=DAY, last_day="2024-08-02")
    with pytest.raises(
        DownloadError, match="1 of 2 products failed, the others were downloaded"
    ) as it:
        client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    (item,) = it.value.items
    assert item.properties["datetime"].startswith(DAY)
    ((stem, error),) = it.value.errors.items()
    assert stem == error.product == products[1].stem
    assert error.status == 404
    assert bad.id in error.url
    emulator.faults.clear()
    items = client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    assert len(items) == 2
    assert good.id != bad.id


def test_a_failure_leaves_no_connection_open(emulator, tmp_path):
    offer(emulator, 1), offer(emulator, 2)
    emulator.faults.add(Fault("download", status=404, times=None))
    with Client(**arguments_of(emulator)) as client:
        products = client.search(tiles=["36TXL"], first_day=DAY, last_day="2024-08-02")
        with pytest.raises(DownloadError) as failed:
            client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    port = urlsplit(emulator.download_url).port
    open_ones = [
        one
        for one in psutil.Process().net_connections("tcp")
        if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
    ]
    assert failed.value.errors  # which refer to the responses
    assert open_ones == []


def test_when_all_fail_none_is_called_downloaded(emulator, tmp_path):
    offer(emulator)
    with Client(**{**arguments_of(emulator), "password": "wrong"}) as client:
        products = client.search(tiles=["36TXL"], first_day=DAY)
        with pytest.raises(DownloadError, match="1 of 1 products failed, none was downloaded"):
            client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)


def test_an_area_file_that_is_missing_is_named(client, tmp_path):
    with pytest.raises(AreaError, match=f"there is no file {tmp_path}/nosuch.geojson"):
        client.search(area=f"{tmp_path}/nosuch.geojson", first_day=DAY)


def test_an_interrupted_download_goes_on(emulator, client, tmp_path):
    offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    emulator.faults.add(Fault("download", status=404, times=None, match="B02_60m"))
    ask = {"bands": ["SCL_20m", "B02_60m"], "to": tmp_path, "progress": False}
    with pytest.raises(DownloadError):
        client.download(products, **ask)
    emulator.faults.clear()
    before = len(emulator.requests)
    client.download(products, **ask)
    paths = [one.path for one in emulator.requests[before:] if one.service == "download"]
    assert not [path for path in paths if "SCL_20m" in path]


@pytest.mark.parametrize("transfer", ["files", "archive"])
def test_progress_counts_every_byte(emulator, client, tmp_path, capsys, transfer):
    offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    client.download(products, bands=["SCL_20m"], to=tmp_path, transfer=transfer)
    shown = capsys.readouterr().err
    assert "Sentinel-2: 100%" in shown or transfer == "archive"
    assert "B/s" in shown


def test_areas_come_as_people_have_them(emulator, client, tmp_path, monkeypatch):
    offer(emulator)
    (tmp_path / "lake.geojson").write_text(json.dumps(LAKE))
    monkeypatch.chdir(tmp_path)
    area = Area.parse(LAKE)
    wkt = "POLYGON((34.49 40.62,34.51 40.62,34.51 40.64,34.49 40.62))"
    for given in (
        "lake.geojson",
        tmp_path / "lake.geojson",
        LAKE,
        area,
        wkt,
        "34.49,40.62,34.51,40.64",
    ):
        assert len(client.search(area=given, first_day=date(2024, 8, 1))) == 1
    far = {"type": "Point", "coordinates": [0, 0]}
    assert client.search(area=far, first_day=DAY) == []


def test_filters_and_versions(emulator, client):
    cloudy = offer(emulator, cloud_cover=80)
    newer = offer(emulator, 2, baseline="05.11", seed=2)
    older = offer(emulator, 2, baseline="05.10", seed=3)
    days = {"tiles": ["36TXL"], "first_day": DAY, "last_day": "2024-08-02"}
    assert {one.id for one in client.search(**days)} == {cloudy.id, newer.id}
    assert {one.id for one in client.search(**days, versions="all")} == {
        *(cloudy.id, newer.id, older.id)
    }
    assert [one.id for one in client.search(**days, max_cloud_cover=79)] == [newer.id]
    assert client.search(**days, product_type="S2MSI1C") == []
    assert [one.id for one in client.search(product_ids=[older.name])] == [older.id]
    frame = client.search(**days).to_dataframe()
    assert list(frame["id"]) == [cloudy.id, newer.id]
    assert client.search(**days).to_dataframe(geometry=True).crs == "EPSG:4326"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({}, QueryError, "none of first_day, last_day and product_ids"),
        ({"first_day": DAY}, QueryError, "neither area nor tiles"),
        ({"tiles": ["36TXL"], "first_day": "1 August"}, QueryError, "1 August"),
        ({"tiles": ["36TXL"], "first_day": DAY, "last_day": "2024-07-01"}, QueryError, "2024-07"),
        ({"tiles": ["36TXL"], "first_day": DAY, "versions": "some"}, ConfigurationError, "some"),
        ({"product_ids": ["S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T124005"]},
         ProductNotFoundError, "not listed"),
        ({"area": "nowhere.geojson", "first_day": DAY}, errors.AreaError, "nowhere.geojson"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_in_words(client, arguments, kind, words):
    with pytest.raises(kind, match=words):
        client.search(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bands": ["SCL_20m"], "transfer": "ftp"}, "transfer 'ftp' is unknown"),
        ({"bands": [20]}, "expected a list of strings"),
    ],
)
def test_arguments_of_a_download_are_checked(client, tmp_path, arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        client.download([], to=tmp_path, **arguments)


def test_a_place_that_takes_nothing_is_refused_before_anything_is_downloaded(
    emulator, client, tmp_path
):
    offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageRefusedError):
        client.download(products, bands=["SCL_20m"], to=tmp_path / "file")
    assert not downloads(emulator)


def test_no_account_is_needed_to_search_and_a_wrong_one_is_refused(emulator, tmp_path):
    offer(emulator)
    with Client(**{**arguments_of(emulator), "password": "wrong"}) as stranger:
        products = stranger.search(tiles=["36TXL"], first_day=DAY)
        assert len(products) == 1
        with pytest.raises(DownloadError) as caught:
            stranger.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    (error,) = caught.value.errors.values()
    assert isinstance(error, CredentialsError)
    assert error.code == "invalid_grant"


def test_all_of_it_is_to_be_had_from_the_package():
    assert issubclass(copernicus_dataspace.CorruptDownloadError, errors.TransientError)
    assert {"Client", "Area", "Products", "DataSpaceError"} <= set(copernicus_dataspace.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = copernicus_dataspace.Nonsense


def test_nothing_heavy_is_imported_before_it_is_asked_for():
    code = "import sys, copernicus_dataspace; print({'requests', 'shapely', 'pystac', 'pandas', "
    code += "'tqdm', 'fsspec'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_clients_of_a_host_share_what_they_learn_of_the_account(emulator, tmp_path):
    for day in (1, 2, 3):
        offer(emulator, day)
    options = ClientOptions(state_dir=tmp_path / "state")
    with Client(**arguments_of(emulator), options=options) as client:
        products = client.search(tiles=["36TXL"], first_day=DAY, last_day="2024-08-03")
        client.download(products, bands=["SCL_20m"], to=tmp_path / "data", progress=False)
    stored = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    (shared,) = (json.loads(content) for content in stored if b'"pace"' in content)
    assert len(shared["pace"]["ends"]) == 3


def test_object_storage_is_a_place_too(emulator, client, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    one = offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    (item,) = client.download(products, bands=["SCL_20m"], to="s3://archive/lake", progress=False)
    assert item.self_href.startswith("s3://archive/lake/bands/S2MSI2A/2024/08/01/")
    (true,) = (path for path in one.files if path.endswith("_SCL_20m.jp2"))
    assert bucket.cat(item.assets["SCL_20m"].get_absolute_href()) == one.read(true)


def test_nothing_but_the_archive_is_left(emulator, client, tmp_path):
    offer(emulator)
    products = client.search(tiles=["36TXL"], first_day=DAY)
    client.download(products, bands=["SCL_20m"], to=tmp_path, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "bands",
        "stac",
        "catalog.json",
        ".staging",
    }
    assert not [path for path in (tmp_path / ".staging").rglob("*") if path.is_file()]
