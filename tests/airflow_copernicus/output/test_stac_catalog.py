"""The output as a static STAC catalogue, as pystac reads it."""

import json
import threading
from datetime import date
from pathlib import Path

import pystac
import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_copernicus.runs.context import REPAIR_KEY
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.static_catalog import refresh
from copernicus_dataspace.storage.store import Store
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of

DAY = date(2024, 8, 1)


@pytest.fixture
def catalog(tmp_path):
    """Return what opens the output's catalogue anew."""
    return lambda: pystac.Catalog.from_file(str(tmp_path / "output" / "catalog.json"))


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path / "output"))


def written(output):
    return [*output.rglob("catalog.json"), *output.rglob("collection.json")]


def ids(catalog):
    return sorted(item.id for item in catalog.get_items(recursive=True))


def stems(products):
    return sorted(product.name.removesuffix(".SAFE") for product in products)


def test_the_output_is_a_catalogue(connected, ingest, catalog, store):
    products = [connected.add(lake_product(sensed=f"2024-08-0{n}T08:36:01.024Z")) for n in (1, 2)]
    products.append(connected.add(lake_product(sensed="2024-09-01T08:36:01.024Z")))
    ran = ingest(make_context(run_type="manual"), first_day="2024-08-01", last_day="2024-09-02")
    assert ran.errors == []
    root = catalog()
    assert ids(root) == stems(products)
    (collection,) = root.get_children()
    assert collection.id == "S2MSI2A"
    assert [child.id for child in collection.get_children()] == ["S2MSI2A-2024"]
    assert collection.extent.temporal.intervals[0][0].date() == DAY
    for item in root.get_items(recursive=True):
        assert item.get_collection().id == "S2MSI2A"
        assert item.get_root().id == "sentinel-2"
        (path,) = (asset.get_absolute_href() for asset in item.assets.values())
        (product,) = (one for one in products if one.name.startswith(item.id))
        assert Path(path).read_bytes() == product.read(scl_of(product))


def test_every_file_of_the_catalogue_is_valid(connected, ingest, catalog):
    for hour in (8, 9):
        connected.add(lake_product(sensed=f"2024-08-01T{hour:02}:36:01.024Z"))
    connected.add(lake_product(cloud_cover=None, sensed="2024-08-01T10:36:01.024Z"))
    ingest()
    root = catalog()
    everything = [root, *root.get_items(recursive=True)]
    for one, children, _ in root.walk():
        everything += [one, *children]
    area = root.get_single_link("related").get_absolute_href()
    everything.append(pystac.Collection.from_file(area))
    for one in everything:
        one.stac_extensions = []  # their schemas are not on this machine
        assert one.validate()


def test_each_ingest_has_a_collection_and_items_are_shared(connected, ingest, catalog, store):
    shared = connected.add(lake_product())
    ingest()
    ingest(make_context(run_id="other", dag_id="other_lake"))
    mine = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z"))
    ingest(make_context(run_id="later", dag_id="other_lake"))
    root = catalog()
    assert ids(root) == stems([shared, mine])
    areas = {
        area.id: ids(area)
        for link in root.get_links("related")
        for area in [pystac.Collection.from_file(link.get_absolute_href())]
    }
    assert areas == {
        "S2MSI2A-other_lake": stems([shared, mine]),
        "S2MSI2A-sentinel2_daily": stems([shared]),
    }


def test_a_rerun_writes_nothing_of_the_catalogue(connected, ingest, tmp_path):
    connected.add(lake_product())
    ingest()
    catalogs = [
        *tmp_path.glob("output/**/catalog.json"),
        *tmp_path.glob("output/**/collection.json"),
    ]
    before = {path: path.stat().st_mtime_ns for path in catalogs}
    ingest(make_context(run_id="again"))
    assert len(before) == 9
    assert {path: path.stat().st_mtime_ns for path in catalogs} == before


@pytest.mark.parametrize("harm", [None, b"", b"{", b"[]", b'{"links": 3}'])
def test_the_catalogue_is_rebuilt_from_the_items(connected, ingest, catalog, store, tmp_path, harm):
    product = connected.add(lake_product())
    ingest()
    catalogs = [
        *tmp_path.glob("output/**/catalog.json"),
        *tmp_path.glob("output/**/collection.json"),
    ]
    before = {path: path.read_bytes() for path in catalogs}
    for path in catalogs:
        path.unlink() if harm is None else path.write_bytes(harm)
    entries = Inventory(store).day("S2MSI2A", DAY)
    assert [entry.product.id for entry in entries] == [product.id]
    refresh(store, "S2MSI2A", [DAY])
    if harm is not None:  # a root that cannot be read may be somebody else's
        assert (tmp_path / "output/catalog.json").read_bytes() == harm
        (tmp_path / "output/catalog.json").unlink()
        refresh(store, "S2MSI2A", [DAY])
    assert {path: path.read_bytes() for path in catalogs} == before


def test_the_index_is_never_believed_where_the_item_differs(connected, ingest, store, tmp_path):
    connected.add(lake_product())
    ingest()
    (path,) = tmp_path.glob("output/bands/**/item.json")
    item = json.loads(path.read_text())
    item["properties"]["dataspace:ingests"] = ["another"]
    path.write_text(json.dumps(item))
    (entry,) = Inventory(store).day("S2MSI2A", DAY)
    assert entry.ingests == ("another",)


def test_the_last_item_takes_its_day_along(connected, ingest, catalog, store, tmp_path):
    connected.add(lake_product())
    kept = connected.add(lake_product(sensed="2024-08-02T08:36:01.024Z"))
    ingest(make_context(run_type="manual"), first_day="2024-08-01", last_day="2024-08-02")
    (item,) = tmp_path.glob("output/bands/S2MSI2A/2024/08/01/*/item.json")
    item.unlink()
    refresh(store, "S2MSI2A", [DAY])
    assert ids(catalog()) == stems([kept])
    assert not [*tmp_path.glob("output/*/**/01/catalog.json")]


def test_many_that_refresh_at_once_leave_it_right(connected, ingest, catalog, store):
    """Each run adds its item, then refreshes; whoever is last has seen all."""
    products = [
        connected.add(lake_product(sensed=f"2024-08-01T{hour:02}:36:01.024Z")) for hour in range(6)
    ]

    def run(product, number):
        context = make_context(
            run_id=f"mended {number}", dag_id=f"dag_{number}", conf={REPAIR_KEY: {}}
        )
        ingest(context, product_ids=[product.id])

    threads = [threading.Thread(target=run, args=(one, n)) for n, one in enumerate(products)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    root = catalog()
    assert ids(root) == stems(products)
    assert len(root.get_links("related")) == 6
