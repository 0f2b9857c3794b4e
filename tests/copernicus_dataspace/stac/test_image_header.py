"""What the header of an image tells, and what a damaged one does not."""

import logging

import numpy as np
import pytest
import rasterio
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from copernicus_dataspace.stac.image_header import Raster, raster_at
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator.products.scene import encode

CORNER = (600_000, 4_500_000)
NOISE = np.random.default_rng(1).integers(0, 65535, (500, 500)).astype(np.uint16)
IMAGE = encode(NOISE, 32636, CORNER, 20)
GRID = Raster("EPSG:32636", (500, 500), (20.0, 0.0, 600_000.0, 0.0, -20.0, 4_500_000.0), "uint16")
VRT = b"""<VRTDataset rasterXSize="1" rasterYSize="1"><SRS>EPSG:32636</SRS>
<GeoTransform>0,1,0,0,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>"""


def as_tiff():
    with MemoryFile() as memory:
        profile = {"crs": "EPSG:32636", "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}
        with memory.open(driver="GTiff", count=1, width=1, height=1, dtype="uint8", **profile):
            pass
        return bytes(memory.read())


def placeless():
    with MemoryFile(ext=".jp2") as memory:
        shape = {"count": 1, "width": 9, "height": 9, "dtype": "uint8"}
        with memory.open(driver="JP2OpenJPEG", **shape) as image:
            image.write(np.ones((1, 9, 9), dtype=np.uint8))
        return bytes(memory.read())


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path))


def test_the_beginning_of_a_file_is_enough(store, monkeypatch):
    store.write("x/a.jp2", IMAGE)
    assert len(IMAGE) > 400_000
    read = []
    head = Store.head
    monkeypatch.setattr(Store, "head", lambda *one: read.append(head(*one)) or read[-1])
    assert raster_at(store, "x/a.jp2") == GRID
    assert [len(content) for content in read] == [65_536]


def test_it_is_read_back_from_an_asset():
    assert Raster.of_asset(GRID.fields()) == GRID
    assert Raster.of_asset({"file:size": 3}) is None


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "content",
    [b"", b"no image", IMAGE[:40], IMAGE[:300], IMAGE[1000:], as_tiff(), placeless(), VRT],
    ids=["empty", "text", "boxes cut", "header cut", "headless", "tiff", "placeless", "vrt"],
)
def test_what_tells_no_place_is_told_and_hurts_nobody(store, caplog, content):
    store.write("x/a.jp2", content)
    with caplog.at_level(logging.WARNING, "copernicus_dataspace.stac.image_header"):
        assert raster_at(store, "x/a.jp2") is None
    assert "x/a.jp2: no georeference in its header" in caplog.text


@given(st.integers(0, 3000), st.integers(0, 255), st.integers(1, 3))
def test_no_broken_byte_raises(place, value, count):
    broken = bytearray(IMAGE[:65_536])
    broken[place : place + count] = bytes([value]) * count
    found = Raster.of_header(bytes(broken))
    assert found is None or found.code.startswith("EPSG:")


def test_what_is_no_image_is_not_opened(store):
    assert raster_at(store, "x/MTD_TL.xml") is None
