import hashlib
import re

import numpy as np
import pytest
import rasterio
import requests
from defusedxml import ElementTree
from rasterio.io import MemoryFile

from copernicus_dataspace_emulator import Emulator, make_product
from copernicus_dataspace_emulator.products.recipe import Recipe

CONTENT = (
    *("NODATA_PIXEL", "SATURATED_DEFECTIVE_PIXEL", "CAST_SHADOW", "CLOUD_SHADOW", "VEGETATION"),
    *("NOT_VEGETATED", "WATER", "UNCLASSIFIED", "MEDIUM_PROBA_CLOUDS", "HIGH_PROBA_CLOUDS"),
    *("THIN_CIRRUS", "SNOW_ICE"),
)
HASHES = {"SHA3-256": hashlib.sha3_256, "MD5": hashlib.md5}


def entries(product):
    """Path, size, algorithm and digest of each entry of the manifest."""
    root = ElementTree.fromstring(product.read("manifest.safe"))
    for stream in root.iter("byteStream"):
        href = stream.find("fileLocation").get("href")
        checksum = stream.find("checksum")
        assert href.startswith("./")
        yield href[2:], int(stream.get("size")), checksum.get("checksumName"), checksum.text


def path_of(product, ending):
    (path,) = (path for path in product.files if path.endswith(ending))
    return path


@pytest.fixture(scope="module")
def shelf():
    """Products by level and baseline, made once."""
    with Emulator() as emulator:
        yield {
            "L2A": emulator.add(make_product(cloud_cover=12.5)),
            "L1C": emulator.add(make_product(level="L1C", scale=0.001)),
            "old": emulator.add(make_product(baseline="02.14", scale=0.001)),
        }


@pytest.mark.parametrize(
    ("which", "algorithm"), [("L2A", "SHA3-256"), ("L1C", "SHA3-256"), ("old", "MD5")]
)
def test_the_manifest_is_true(shelf, which, algorithm):
    product = shelf[which]
    listed = list(entries(product))
    assert {kind for _, _, kind, _ in listed} == {algorithm}
    for path, size, kind, digest in listed:
        data = product.read(path)
        assert len(data) == size
        assert HASHES[kind](data).hexdigest() == digest.lower()
    assert {digest == digest.lower() for *_, digest in listed} == {True, False}
    unlisted = set(product.files) - {path for path, *_ in listed}
    assert {path.split("/")[0].rsplit("-")[-1] for path in unlisted} == {
        *("manifest.safe", "rep_info", "ql.jpg")
    }


def names(tag):
    return re.sub(r"\{.*\}", "", tag)


def skeleton(root, depth):
    """Element names and attribute names down to a depth."""
    inner = {(names(child.tag), *sorted(child.attrib)) for child in root}
    below = {one for child in root for one in skeleton(child, depth - 1)} if depth else set()
    return inner | below


def test_the_manifest_has_the_recorded_shape(shelf, recorded):
    real = ElementTree.fromstring(recorded("manifest/cdsetool_s2_l1c_n0511_manifest.safe"))
    ours = ElementTree.fromstring(shelf["L1C"].read("manifest.safe"))
    assert ours.tag == real.tag
    assert [names(child.tag) for child in ours] == [names(child.tag) for child in real]
    for section in ("metadataSection", "dataObjectSection"):
        theirs = skeleton(real.find(section), 9)
        missing = {one[0] for one in theirs} - {one[0] for one in skeleton(ours.find(section), 9)}
        assert not missing - {"dataObjectPointer"}
    real_count = len(list(real.iter("byteStream")))
    assert abs(len(list(ours.iter("byteStream"))) - real_count) <= 5
    coordinates = next(ours.iter("{http://www.opengis.net/gml}coordinates")).text.split()
    assert coordinates[:2] == coordinates[-2:]
    assert 40 < float(coordinates[0]) < 42 < 100 * float(coordinates[1])


@pytest.mark.parametrize("which", ["L2A", "L1C", "old"])
def test_every_image_is_a_valid_jp2(shelf, which):
    product = shelf[which]
    images = [path for path in product.files if path.endswith(".jp2")]
    for path in images:
        data = product.read(path)
        assert data.startswith(b"\x00\x00\x00\x0cjP  ")
    for path in images[::5]:
        with MemoryFile(product.read(path), ext=".jp2") as memory, memory.open() as dataset:
            assert dataset.crs.to_epsg() == 32636
            assert (dataset.transform.c, dataset.transform.f) == (600000, 4600020)
            assert dataset.read(1).size


def test_l2a_has_every_band_in_its_folder(shelf):
    product = shelf["L2A"]
    found = {}
    for path in product.files:
        match = re.search(r"/IMG_DATA/R(\d0)m/T36TXL_20240801T083601_(\w+)_\1m\.jp2$", path)
        if match:
            found.setdefault(match[1], set()).add(match[2])
    assert found["10"] == {"AOT", "B02", "B03", "B04", "B08", "TCI", "WVP"}
    twenty = {"AOT", "B8A", "B11", "B12", "SCL", "TCI", "WVP", *(f"B0{n}" for n in range(1, 8))}
    assert found["20"] == twenty
    assert found["60"] == twenty | {"B09"}
    granule = next(path for path in product.files if path.startswith("GRANULE/")).split("/")[1]
    assert granule == "L2A_T36TXL_A047580_20240801T084105"


def test_l1c_lies_flat(shelf):
    bands = {
        match[1]
        for path in shelf["L1C"].files
        if (match := re.search(r"/IMG_DATA/T36TXL_20240801T083601_(\w+)\.jp2$", path))
    }
    assert bands == {*(f"B{n:02d}" for n in range(1, 13)), "B8A", "TCI"}


def test_old_baselines_have_vector_masks(shelf):
    assert path_of(shelf["old"], "MSK_DETFOO_B02.gml")
    assert path_of(shelf["L2A"], "MSK_DETFOO_B02.jp2")


def classes(product):
    data = product.read(path_of(product, "SCL_20m.jp2"))
    with MemoryFile(data, ext=".jp2") as memory, memory.open() as dataset:
        return dataset.read(1), dataset.profile


def test_the_scene_classification_is_georeferenced(shelf):
    pixels, profile = classes(shelf["L2A"])
    assert profile["crs"].to_epsg() == 32636
    assert profile["transform"] == rasterio.Affine(20, 0, 600000, 0, -20, 4600020)
    assert profile["dtype"] == "uint8"
    assert pixels.shape == (549, 549)
    assert {0, 4, 6, 9} <= set(np.unique(pixels))


def test_the_scene_classification_agrees_with_the_metadata(shelf):
    pixels, _ = classes(shelf["L2A"])
    text = shelf["L2A"].read("MTD_MSIL2A.xml").decode()
    valid = (pixels > 0).sum()
    for number, name in enumerate(CONTENT):
        stated = float(re.search(rf"<{name}_PERCENTAGE>(.*)</", text)[1])
        base = pixels.size if number == 0 else valid
        assert stated == pytest.approx(100 * (pixels == number).sum() / base, abs=1e-6)
    cloudy = 100 * np.isin(pixels, [8, 9, 10]).sum() / valid
    stated = float(re.search(r"<Cloud_Coverage_Assessment>(.*)</", text)[1])
    assert stated == pytest.approx(cloudy, abs=1e-6)
    assert stated == pytest.approx(12.5, abs=1e-3)


def test_the_metadata_are_those_of_the_name(shelf):
    text = shelf["L2A"].read("MTD_MSIL2A.xml").decode()
    assert f"<PRODUCT_URI>{shelf['L2A'].name}</PRODUCT_URI>" in text
    images = re.findall(r"<IMAGE_FILE>(.*)</IMAGE_FILE>", text)
    assert {f"{image}.jp2" for image in images} <= set(shelf["L2A"].files)
    assert 'BOA_ADD_OFFSET band_id="12">-1000<' in text
    for name, unit in (("AOT", "none"), ("WVP", "cm")):
        assert f'<{name}_QUANTIFICATION_VALUE unit="{unit}">1000.0<' in text
    old = shelf["old"].read("MTD_MSIL2A.xml").decode()
    assert "BOA_ADD_OFFSET" not in old
    assert "<DARK_FEATURES_PERCENTAGE>" in old
    tile_text = shelf["L2A"].read(path_of(shelf["L2A"], "MTD_TL.xml")).decode()
    assert "<HORIZONTAL_CS_CODE>EPSG:32636</HORIZONTAL_CS_CODE>" in tile_text
    assert '<Geoposition resolution="20"><ULX>600000</ULX><ULY>4600020</ULY>' in tile_text


def test_sizes_are_scaled(shelf):
    band = shelf["L2A"].files[path_of(shelf["L2A"], "B04_10m.jp2")]
    assert band.size == 1_050_000
    assert 8_000_000 < shelf["L2A"].zip_size < 11_000_000


def test_the_same_recipe_gives_the_same_bytes(shelf):
    with Emulator() as emulator:
        again = emulator.add(make_product(cloud_cover=12.5))
        assert (again.id, again.md5) == (shelf["L2A"].id, shelf["L2A"].md5)
        other = emulator.add(make_product(cloud_cover=12.5, seed=1))
        assert other.name == again.name
        assert other.id != again.id
        assert other.md5 != again.md5


def test_imagery_may_lie_round_a_place():
    recipe = make_product(around=(34.5, 40.63))
    left, top = recipe.corner
    x, y = recipe.place.to_metres(34.5, 40.63)
    assert left < x < left + recipe.side * 20
    assert top - recipe.side * 20 < y < top
    assert (left - recipe.place.left) % 60 == (recipe.place.top - top) % 60 == 0


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (
            {
                "sensed": "2024-10-14T10:10:21.024Z",
                "generation": "2024-10-14T14:22:51Z",
                "tile": "33TVM",
            },
            "S2A_MSIL2A_20241014T101021_N0511_R022_T33TVM_20241014T142251.SAFE",
        ),
        (
            {
                "sensed": "2021-01-22T13:32:29.024Z",
                "generation": "2021-01-22T15:55:00Z",
                "tile": "T22HBD",
                "platform": "B",
                "baseline": "02.14",
            },
            "S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE",
        ),
        (
            {
                "sensed": "2024-09-12T11:25:41.024Z",
                "generation": "2024-09-12T13:34:20Z",
                "tile": "28PHQ",
                "level": "L1C",
            },
            "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE",
        ),
    ],
)
def test_names_are_those_of_real_products(facts, name):
    assert make_product(**facts).name == name


@pytest.mark.parametrize("wrong", [{"level": "L3"}, {"platform": "Z"}, {"checksum": "x"}])
def test_impossible_products_are_refused(wrong):
    with pytest.raises(ValueError, match=r"No such product|Unknown checksum"):
        Recipe(**wrong)


@pytest.mark.parametrize(
    ("baseline", "offsets"), [("02.14", 0), ("05.00", 13), ("05.12", 13), ("99.99", 0)]
)
def test_the_offset_is_that_of_the_baseline(emulator, baseline, offsets):
    product = emulator.add(make_product(baseline=baseline, scale=0.0))
    text = product.read("MTD_MSIL2A.xml").decode()
    assert text.count("<BOA_ADD_OFFSET ") == offsets


def test_stac_says_of_aot_and_wvp_what_it_says_of_bands(emulator):
    product = emulator.add(make_product(scale=0.0))
    url = f"{emulator.stac_url}/collections/sentinel-2-l2a/items/{product.name[:-5]}"
    assets = requests.get(url, timeout=10).json()["assets"]
    for key in ("AOT_10m", "WVP_60m", "B02_10m"):
        assert (assets[key]["raster:scale"], assets[key]["raster:offset"]) == (0.0001, -0.1)
    assert "raster:scale" not in assets["SCL_20m"]
