"""What the inventory tells of a store: days, entries, and what of them does not stand."""

import os
from dataclasses import replace
from datetime import date

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from copernicus_dataspace.json_records import from_json
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.stac.inventory import (
    Entry,
    FileProblem,
    Inventory,
)
from copernicus_dataspace.stac.item import ITEM_NAME, item_of
from copernicus_dataspace.stac.static_catalog import refresh
from copernicus_dataspace.storage.layout import bands_dir, catalog_path
from copernicus_dataspace.storage.store import Store
from tests.support.products.held import CREATED, FILES, delivery, file_name, held_product, hold

MISSING, ABSENT, DAMAGED = ProductState.MISSING, ProductState.ABSENT, ProductState.DAMAGED
DAY = date(2024, 8, 1)
KIND = "S2MSI2A"
PRODUCT = held_product()
SCL, RED = (file_name(PRODUCT, band) for band in FILES)
SIZES = {file_name(PRODUCT, band): len(content) for band, content in FILES.items()}


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store(LocalFileSystem(), str(tmp_path / "out"))
    return Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")


def entry_of(product=PRODUCT, standing=SIZES, **changes):
    item = item_of(replace(delivery(product), **changes), product, CREATED)
    return replace(Entry.of_item(item, "1"), existing=standing)


def test_all_that_is_promised_and_stands_lacks_nothing():
    assert entry_of().problems(FILES) == ()
    assert entry_of().problems([]) == ()
    assert entry_of(standing={}).problems([]) == ()


@pytest.mark.parametrize(
    ("standing", "lack"),
    [
        ({RED: SIZES[RED]}, FileProblem(ABSENT, f"{SCL} does not exist")),
        ({**SIZES, SCL: 0}, FileProblem(DAMAGED, f"{SCL} has 0 bytes, expected {SIZES[SCL]}")),
        ({**SIZES, SCL: 99}, FileProblem(DAMAGED, f"{SCL} has 99 bytes, expected {SIZES[SCL]}")),
    ],
)
def test_what_does_not_stand_as_promised_is_named(standing, lack):
    entry = entry_of(standing=standing)
    assert entry.problems(FILES) == entry.problems(["SCL_20m"]) == (lack,)
    assert entry.problems(["B04_10m"]) == ()


def test_a_band_that_no_run_asked_for_was_never_delivered():
    lack = FileProblem(MISSING, "B8A_20m was never delivered")
    assert entry_of().problems(["SCL_20m", "B8A_20m"]) == (lack,)


def test_a_band_that_stands_for_no_file_lacks_nothing():
    assert entry_of(selection={"*/QI_DATA/x": ()}).problems(["*/QI_DATA/x"]) == ()


def test_a_disowned_file_is_damaged_though_it_stands():
    entry = entry_of(files=delivery(PRODUCT).without([SCL]).files)
    (lack,) = entry.problems(FILES)
    assert lack.state == DAMAGED
    assert SCL in lack.why
    assert entry.problems(["B04_10m"]) == ()


def test_all_that_is_lacking_is_named_once():
    entry = entry_of(standing={RED: 1})
    lacks = entry.problems(["B8A_20m", *FILES, "SCL_20m"])
    assert [lack.state for lack in lacks] == [MISSING, DAMAGED, ABSENT]


def test_an_entry_is_the_same_from_its_json():
    for entry in (entry_of(), entry_of(created=None), entry_of(ingests=(), files={})):
        assert from_json(entry.to_json(), Entry) == entry


@pytest.mark.parametrize("indexed", [False, True])
def test_a_day_is_told_from_its_items_and_files(store, indexed):
    early, late, damaged = (held_product(n, generated=f"20240801T12000{n}") for n in range(3))
    for product in (late, early, damaged):
        hold(store, product)
    store.write(f"{bands_dir(damaged)}/{ITEM_NAME}", b"{")
    store.write(f"bands/{KIND}/2024/08/01/no_item/x.jp2", b"1")
    hold(store, held_product(4, sensed=CREATED))
    if indexed:
        refresh(store, KIND, [DAY])
        assert store.size(catalog_path(KIND, DAY))
    found = Inventory(store).day(KIND, DAY)
    assert [entry.product for entry in found] == [early, late]
    assert all(entry.problems(FILES) == () and entry.created == CREATED for entry in found)
    days = Inventory(store).entries(KIND, [CREATED.date(), DAY])
    assert [entry.product.id[-1] for entry in days] == ["4", "0", "1"]


def test_an_item_written_anew_is_read_anew(store):
    hold(store, PRODUCT)
    refresh(store, KIND, [DAY])
    hold(store, PRODUCT, ingests=["another", "and_one_more"])
    (entry,) = Inventory(store).day(KIND, DAY)
    assert entry.ingests == ("another", "and_one_more")


def test_a_file_that_went_is_missed_though_the_index_is_right(store):
    hold(store, PRODUCT)
    refresh(store, KIND, [DAY])
    store.delete(f"{bands_dir(PRODUCT)}/{SCL}")
    (entry,) = Inventory(store).day(KIND, DAY)
    assert entry.problems(FILES) == (FileProblem(ABSENT, f"{SCL} does not exist"),)


ODD = (
    *("2024/08/xx", "2024/13/01", "2024/02/30", "0000/01/01", "2024/8/1", "+024/08/02"),
    *("2024/08/ 3", "2024/08/٠٤", "latest/08/01", "2024/08", "2024/0_8/05", ".staging/01/01"),
)


def test_days_are_those_for_which_there_is_a_folder(store):
    assert Inventory(store).days(KIND) == []
    for folder in ("2024/08/01", "2024/08/10", "2023/12/31", "2024/07/02", *ODD):
        store.write(f"bands/{KIND}/{folder}/some/item.json", b"{}")
    store.write(f"bands/{KIND}/2024/08/09", b"a file where a folder might be")
    store.write("bands/S2MSI1C/2020/01/01/some/item.json", b"{}")
    assert Inventory(store).days(KIND) == [
        date(2023, 12, 31),
        date(2024, 7, 2),
        date(2024, 8, 1),
        date(2024, 8, 10),
    ]


def test_kept_zips_are_those_of_the_day(store):
    hold(store, PRODUCT, zipped=b"123456789")
    hold(store, held_product(1, sensed=CREATED), zipped=b"1")
    store.write("archive/S2MSI2A/2024/08/01/.x.zip.part", b"1")
    assert Inventory(store).kept_zips(KIND, DAY) == {PRODUCT.stem: 9}
    assert Inventory(store).kept_zips("S2MSI1C", DAY) == {}


def test_folders_are_those_in_a_folder(store):
    assert store.folders("top") == []
    for path in ("top/b/x", "top/a/deep/x", "top/file", "topmost/c/x", "top/.hidden/x"):
        store.write(path, b"1")
    assert store.folders("top") == [".hidden", "a", "b"]
    assert store.folders("top/a") == ["deep"]
    assert store.folders("top/a/deep") == []
    assert store.folders("top/file") == []
    store.write("top/new/x", b"1")
    assert store.folders("top") == [".hidden", "a", "b", "new"]


def test_a_listing_tells_when_a_file_was_written_anew(store):
    assert store.listing("top") == {}
    for path in ("top/x", "top/deep/er/y", "topmost/z"):
        store.write(path, b"12")
    before = store.listing("top")
    assert {path: found.size_bytes for path, found in before.items()} == {"x": 2, "deep/er/y": 2}
    assert store.listing("top") == before
    store.write("top/x", b"21")
    after = store.listing("top")
    assert after["x"].version != before["x"].version
    assert after["deep/er/y"] == before["deep/er/y"]
