"""Real products, where they lie beside the project: through emulator and operators."""

import re
from collections import Counter

import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from defusedxml.ElementTree import parse

from copernicus_dataspace.errors import CorruptDownloadError, CorruptProductError
from tests.airflow_copernicus.conftest import make_context

CLASSES = {
    "SATURATED_DEFECTIVE_PIXEL_PERCENTAGE": 1,
    "CAST_SHADOW_PERCENTAGE": 2,
    "CLOUD_SHADOW_PERCENTAGE": 3,
    "VEGETATION_PERCENTAGE": 4,
    "NOT_VEGETATED_PERCENTAGE": 5,
    "WATER_PERCENTAGE": 6,
    "UNCLASSIFIED_PERCENTAGE": 7,
    "MEDIUM_PROBA_CLOUDS_PERCENTAGE": 8,
    "HIGH_PROBA_CLOUDS_PERCENTAGE": 9,
    "THIN_CIRRUS_PERCENTAGE": 10,
    "SNOW_ICE_PERCENTAGE": 11,
}


@pytest.fixture
def offer(connected, shared_data):
    def add(part):
        (path,) = (path for path in shared_data.glob("*.zip") if part in path.name)
        connected.add_zip(path)
        stem = path.stem
        day = re.search(r"_(\d{4})(\d\d)(\d\d)T", stem)
        return stem, "-".join(day.groups()), re.search(r"_T(\w{5})_", stem)[1]

    return add


@pytest.mark.parametrize("transfer", ["files", "archive"])
def test_the_scl_of_a_real_product_agrees_with_its_own_metadata(ingest, offer, transfer):
    stem, day, tile = offer("T33TVM")
    bands = ["SCL_20m", "MTD_MSIL2A.xml*"]
    ran = ingest(make_context(day), tiles=[tile], bands=bands, transfer=transfer)
    assert ran.errors == []
    folder = ran.output / "bands" / "S2MSI2A" / day.replace("-", "/") / stem
    (scl,) = folder.glob("*_SCL_20m.jp2")
    with rasterio.open(scl) as image:
        counts = Counter(
            dict(zip(*map(list, np.unique(image.read(1), return_counts=True)), strict=True))
        )
    valid = sum(counts.values()) - counts[0]
    metadata = parse(folder / "MTD_MSIL2A.xml")
    for name, number in CLASSES.items():
        percent = float(next(metadata.iter(name)).text)
        assert 100 * counts[number] / valid == pytest.approx(percent, abs=1e-4), name


@pytest.mark.parametrize("part", ["T33TVM", "T22HBD"])
def test_the_scl_of_a_real_product_opens_where_it_lies(ingest, offer, part):
    _, day, tile = offer(part)
    ran = ingest(make_context(day), tiles=[tile], bands=["SCL_20m"])
    assert ran.errors == []
    items = [*pystac.Catalog.from_file(str(ran.output / "catalog.json")).get_items(recursive=True)]
    array = odc.stac.load(items, bands=["SCL_20m"]).SCL_20m
    (scl,) = ran.output.rglob("*_SCL_20m.jp2")
    with rasterio.open(scl) as image:
        assert array.odc.crs.epsg == image.crs.to_epsg()
        assert [*array.odc.transform] == [*image.transform]
        assert (array[0].values == image.read(1)).all()
    assert array.dtype == np.uint8
    assert str(array.time.values[0])[:10] == day


@pytest.mark.parametrize("transfer", ["files", "archive"])
@pytest.mark.parametrize("part", ["T56JMM", "T53JQJ", "T48LWP"])
def test_genuine_members_of_a_real_product_arrive(ingest, offer, part, transfer):
    _, day, tile = offer(part)
    bands = ["*/MTD_TL.xml", "MTD_MSIL1C.xml*", "*/MTD_DS.xml"]
    context = make_context(day)
    ran = ingest(context, tiles=[tile], product_type="S2MSI1C", bands=bands, transfer=transfer)
    assert ran.errors == []
    assert len(ran.files) == 4


@pytest.mark.parametrize("part", ["T56JMM", "T53JQJ", "T48LWP"])
def test_members_that_contradict_their_manifest_are_named(ingest, offer, part):
    _, day, tile = offer(part)
    bands = ["B02", "B03", "B04", "TCI"]
    facts = {"tiles": [tile], "product_type": "S2MSI1C", "bands": bands}
    ran = ingest(make_context(day), transfer="archive", **facts)
    error = ran.errors[0]
    assert isinstance(error, CorruptProductError)
    assert len(error.members) == 4
    assert all(f"_{band}.jp2" in str(error) for band in bands)
    assert not [name for name in ran.files if name.endswith("item.json")]
    ran = ingest(make_context(day, run_id="by-files"), **facts)
    assert isinstance(ran.errors[0], CorruptDownloadError)
    assert all(f"_{band}.jp2" in str(ran.errors[0]) for band in bands)
    assert ran.files == []


def test_an_old_product_with_md5_arrives(ingest, offer):
    _, day, tile = offer("T22HBD")
    ran = ingest(make_context(day), tiles=[tile], bands=["SCL_20m", "B02", "CLDPRB_20m"])
    assert ran.errors == []
    assert len(ran.files) == 4
