"""The output as strangers read it: pystac its items, odc-stac their pixels."""

import hashlib
import re
import runpy
from datetime import date
from pathlib import Path

import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pystac.extensions.eo import EOExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.grid import GridExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sat import SatExtension
from pystac.extensions.timestamps import TimestampsExtension
from rasterio.io import MemoryFile

from copernicus_dataspace_emulator.products import scene
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "read_week.py"
LAKE = (34.50, 40.63)
TILES = ("36TXK", "36TXL")
BORDER = (36.0, 40.9)
"""On the edge of two UTM zones."""

DAYS = [date(2024, 8, day) for day in range(1, 8)]
FIELDS = {
    "file": "file/v2.1.0",
    "eo": "eo/v1.1.0",
    "grid": "grid/v1.1.0",
    "proj": "projection/v2.0.0",
    "sat": "sat/v1.0.0",
    "processing": "processing/v1.2.0",
    "product": "product/v1.0.0",
}


@pytest.fixture
def week(connected, ingest):
    """Seven days of two tiles over the lake, delivered; the products by day."""
    add = connected.add
    products = {
        day: [
            add(lake_product(tile=tile, sensed=f"{day}T08:36:01.024Z", around=LAKE))
            for tile in TILES
        ]
        for day in DAYS
    }
    ran = deliver(ingest, TILES)
    assert ran.errors == []
    return products


@pytest.fixture
def items(tmp_path):
    """What returns the items of the output, as pystac reads them."""

    def read():
        root = pystac.Catalog.from_file(str(tmp_path / "output" / "catalog.json"))
        return sorted(root.get_items(recursive=True), key=lambda item: item.id)

    return read


def deliver(ingest, tiles, **params):
    span = {"first_day": str(DAYS[0]), "last_day": str(DAYS[-1])}
    return ingest(make_context(run_type="manual"), tiles=[*tiles], **span, **params)


def image_of(product):
    """Return pixels, reference system and transform of a product's SCL."""
    with MemoryFile(product.read(scl_of(product))) as memory, memory.open() as image:
        return image.read(1), image.crs, image.transform


def mosaic(products, box):
    """Return what the products show on a grid of theirs; the first that sees anything is right."""
    canvas = np.zeros(box.shape, dtype=np.uint8)
    for product in products:
        pixels, crs, transform = image_of(product)
        assert crs.to_epsg() == box.crs.epsg
        column, row = (round(one) for one in ~box.transform @ (transform.c, transform.f))
        height, width = pixels.shape
        part = canvas[row : row + height, column : column + width]
        part[part == 0] = pixels[part == 0]
    return canvas


def assert_shows(array, week):
    """Fail unless every pixel of an array is that of the week's images, at its place and day."""
    box = array.odc.geobox
    corners = {image_of(product)[2] for products in week.values() for product in products}
    assert box.crs.epsg == 32636
    assert (box.transform.a, box.transform.e) == (20, -20)
    assert box.transform.c == min(one.c for one in corners)
    assert box.transform.f == max(one.f for one in corners)
    assert array.dtype == np.uint8
    assert array.odc.nodata == 0
    assert [str(moment)[:10] for moment in array.time.values] == [str(day) for day in week]
    for shown, products in zip(array.values, week.values(), strict=True):
        assert len(np.unique(shown)) > 3
        assert (shown == mosaic(products, box)).all()


def test_a_week_is_one_array_at_its_place(week, items):
    array = odc.stac.load(items(), bands=["SCL_20m"]).SCL_20m
    assert_shows(array, week)


def test_the_example_of_the_documentation_reads_a_week(week, monkeypatch, tmp_path):
    (tmp_path / "data").symlink_to(tmp_path / "output")
    monkeypatch.chdir(tmp_path)
    assert_shows(runpy.run_path(str(EXAMPLE))["scl"], week)


def test_a_grid_of_ones_own_and_two_zones(connected, ingest, items):
    tiles = ("36TYL", "37TBF")
    products = [connected.add(lake_product(tile=tile, around=BORDER, scale=0.01)) for tile in tiles]
    assert deliver(ingest, tiles).errors == []
    grid = GeoBox.from_bbox((35.97, 40.88, 36.03, 40.92), crs="EPSG:4326", resolution=0.0005)
    loaded = items()
    assert {item.properties["proj:code"] for item in loaded} == {"EPSG:32636", "EPSG:32637"}
    for product in products:
        (item,) = (one for one in loaded if product.name.startswith(one.id))
        array = odc.stac.load([item], bands=["SCL_20m"], geobox=grid).SCL_20m
        agree = (array[0].values == sampled(product, grid)).mean()
        assert agree > 0.99  # GDAL is right to an eighth of a pixel; one pixel beside it, 0.8 do
    both = odc.stac.load(loaded, bands=["SCL_20m"], geobox=grid).SCL_20m[0].values
    first, second = (sampled(product, grid) for product in products)
    assert (both == np.where(first, first, second)).mean() > 0.99


def sampled(product, grid):
    """Return the pixel of an image that each centre of a grid's pixels lies in; 0 outside."""
    pixels, crs, transform = image_of(product)
    rows, columns = np.indices(grid.shape) + 0.5
    lon, lat = grid.transform @ (columns, rows)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    column, row = (np.floor(one).astype(int) for one in ~transform @ (x, y))
    inside = (row >= 0) & (column >= 0) & (row < pixels.shape[0]) & (column < pixels.shape[1])
    assert inside.mean() > 0.5
    found = np.zeros(grid.shape, dtype=np.uint8)
    found[inside] = pixels[row[inside], column[inside]]
    return found


def test_pystac_knows_the_extensions(connected, ingest, items):
    product = connected.add(lake_product(around=LAKE))
    ingest(bands=["SCL_20m", "B04", "*/MTD_TL.xml"])
    (item,) = items()
    assert EOExtension.ext(item).cloud_cover == 12.5
    assert GridExtension.ext(item).code == "MGRS-36TXL"
    assert ProjectionExtension.ext(item).code == "EPSG:32636"
    assert SatExtension.ext(item).relative_orbit == int(re.search(r"_R(\d{3})_", product.name)[1])
    assert TimestampsExtension.ext(item).published == product.facts.published
    pixels, crs, transform = image_of(product)
    grid = ProjectionExtension.ext(item.assets["SCL_20m"])
    assert grid.code == f"EPSG:{crs.to_epsg()}"
    assert grid.shape == [*pixels.shape]
    assert grid.transform == [*transform][:6]
    assert item.assets["SCL_20m"].extra_fields["data_type"] == "uint8"
    assert item.assets["B04_10m"].extra_fields["data_type"] == "uint16"
    assert "proj:shape" not in item.assets["MTD_TL.xml"].extra_fields
    for asset in item.assets.values():
        content = Path(asset.get_absolute_href()).read_bytes()
        file = FileExtension.ext(asset)
        assert file.size == len(content)
        assert file.checksum == "1620" + hashlib.sha3_256(content).hexdigest()


def test_an_old_digest_is_a_multihash_of_md5(connected, ingest, items):
    connected.add(lake_product(baseline="02.14"))
    ingest()
    (asset,) = items()[0].assets.values()
    content = Path(asset.get_absolute_href()).read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert FileExtension.ext(asset).checksum == f"d50110{md5}"


@pytest.mark.parametrize("cloud_cover", [0.0, None])
def test_what_is_used_is_declared_and_what_is_declared_is_used(
    connected, ingest, items, cloud_cover
):
    connected.add(lake_product(cloud_cover=cloud_cover))
    ingest(bands=["*/MTD_TL.xml"] if cloud_cover is None else ["SCL_20m"])
    (item,) = items()
    fields = {*item.properties}.union(*(asset.extra_fields for asset in item.assets.values()))
    prefixes = {field.partition(":")[0] for field in fields if ":" in field} - {"dataspace"}
    used = [FIELDS[prefix] for prefix in prefixes] + ["timestamps/v1.1.0"]
    assert "published" in fields
    assert sorted(item.stac_extensions) == sorted(
        f"https://stac-extensions.github.io/{one}/schema.json" for one in used
    )
    assert ("eo:cloud_cover" in fields) == (cloud_cover is not None)


def test_an_image_without_a_usable_header_is_delivered_all_the_same(
    connected, ingest, items, monkeypatch
):
    monkeypatch.setattr(scene, "encode", lambda *_: b"no image at all")
    product = connected.add(lake_product())
    assert ingest().errors == []
    (asset,) = items()[0].assets.values()
    content = Path(asset.get_absolute_href()).read_bytes()
    assert content == product.read(scl_of(product))
    assert content.startswith(b"no image at all")
    assert not {"proj:shape", "proj:transform", "data_type"} & {*asset.extra_fields}


def test_a_further_band_keeps_the_grids_of_the_others(connected, ingest, items):
    connected.add(lake_product(around=LAKE))
    ingest()
    before = items()[0].assets["SCL_20m"].to_dict()
    ingest(make_context(run_id="more"), bands=["SCL_20m", "B04"])
    ingest(make_context(run_id="other", dag_id="other_lake"))
    (item,) = items()
    assert item.assets["SCL_20m"].to_dict() == before
    assert "proj:transform" in item.assets["B04_10m"].extra_fields
    with rasterio.open(item.assets["B04_10m"].get_absolute_href()) as image:
        grid = ProjectionExtension.ext(item.assets["B04_10m"])
        assert (grid.shape, grid.transform) == ([*image.shape], [*image.transform][:6])
