"""Records of an output that somebody else wrote, or that are damaged, lead nowhere outside."""

import json
import shutil
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.ingest.product_job import Receipt
from copernicus_dataspace.json_records import from_json
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.reconcile.inspection.history import History
from copernicus_dataspace.stac.delivered_files import DeliveredFile
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.item import delivery_of
from tests.airflow_copernicus.conftest import lake_product, scl_of, transfers

OUT = [
    *("./../../x.jp2", "../x.jp2", "../../../../../../../x.jp2", "a/../../x.jp2", "..", ".", "./"),
    *("/etc/passwd", "//etc/passwd", "", "./", "..\\x.jp2", "C:\\x", "C:x.jp2", "C:/x.jp2", "x\0y"),
    *("x\ny", "x" * 300, "a/" * 600, "item.json", "./item.json", "ITEM.json", "file:///etc/passwd"),
    *("\ud800", "x.", "a//b", "\u202ex", None, 7, [], {}, True),
]


@pytest.fixture
def held(ingest, connected, tmp_path):
    """A product that was delivered, and beside the output a file that nobody may touch."""
    product = connected.add(lake_product())
    ran = ingest()
    beside = {tmp_path / "x.jp2": b"theirs", ran.output / "x.jp2": b"theirs"}
    for path, content in beside.items():
        path.write_bytes(content)
    (item,) = ran.output.rglob("item.json")
    return product, ran.output, item, beside


def rewritten(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def assert_whole(ran, product, item, beside):
    assert ran.errors == []
    assert ran.published["missing"] == []
    assert {path: path.read_bytes() for path in beside} == beside
    document = json.loads(item.read_text())
    (asset,) = document["assets"].values()
    assert asset["href"] == f"./{scl_of(product).rpartition('/')[2]}"
    assert (item.parent / asset["href"]).read_bytes() == product.read(scl_of(product))
    assert sorted(one.name for one in item.parent.iterdir()) == [asset["href"][2:], "item.json"]


@pytest.mark.parametrize(
    ("field", "path"),
    [
        *(
            ("href", path)
            for path in ("./../../x.jp2", "/etc/passwd", "item.json", "../" * 7 + "x")
        ),
        *(("file:local_path", path) for path in ("../../x.jp2", "/etc/passwd", None)),
    ],
)
def test_an_item_leads_nowhere_outside(field, path, held, ingest, connected):
    product, _, item, beside = held
    before = len(transfers(connected))
    rewritten(item, lambda one: next(iter(one["assets"].values())).update({field: path}))
    assert_whole(ingest(overwrite=path is None), product, item, beside)
    assert len(transfers(connected)) > before


DAMAGES = [
    lambda item: item.clear(),
    lambda item: item.pop("properties"),
    lambda item: item.update(assets=[]),
    lambda item: item.update(assets={"a": None}),
    lambda item: item["properties"].update({"dataspace:selection": {"SCL_20m": "abc"}}),
    lambda item: item["properties"].update({"dataspace:selection": {"SCL_20m": [["a"]]}}),
    lambda item: item["properties"].update({"dataspace:ingests": "sentinel2_daily"}),
    lambda item: item["properties"].update({"dataspace:run_id": ["x"]}),
    lambda item: item["properties"].update({"dataspace:stamp": {}}),
    lambda item: item["properties"].update({"created": 7}),
    lambda item: next(iter(item["assets"].values())).update({"file:size": -1}),
    lambda item: next(iter(item["assets"].values())).update({"file:size": "9"}),
    lambda item: next(iter(item["assets"].values())).update({"file:size": float("inf")}),
    lambda item: next(iter(item["assets"].values())).update({"dataspace:checksum": "0"}),
    lambda item: next(iter(item["assets"].values())).update({"dataspace:checksum": None}),
    lambda item: item["assets"].update(b=next(iter(item["assets"].values()))),
]
NO_JSON = [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b"7"]


def test_whatever_is_damaged_makes_an_item_none_and_it_is_written_anew(held, ingest):
    product, _, item, beside = held
    true = item.read_bytes()
    assert delivery_of(true) is not None
    hrefs = [{"href": path} for path in OUT]
    paths = [{"file:local_path": one} for one in OUT if one not in ("item.json", "ITEM.json")]
    for change in (*hrefs, *paths):
        document = json.loads(true)
        next(iter(document["assets"].values())).update(change)
        assert delivery_of(json.dumps(document).encode()) is None, change
    for number, damage in enumerate(DAMAGES):
        document = json.loads(true)
        damage(document)
        assert delivery_of(json.dumps(document).encode()) is None, number
    for content in NO_JSON:
        assert delivery_of(content) is None
        item.write_bytes(content)
    assert_whole(ingest(), product, item, beside)


@pytest.mark.parametrize("path", ["../../../../../../x.jp2", "/etc/x"])
def test_a_receipt_moves_nothing_from_outside(path, ingest, connected, tmp_path, monkeypatch):
    """The receipt of a download whose extraction comes later is rewritten in between."""
    from airflow_copernicus.operators import CopernicusExtractOperator  # noqa: PLC0415

    product, true = connected.add(lake_product()), CopernicusExtractOperator.execute
    (tmp_path / "x.jp2").write_bytes(product.read(scl_of(product)))
    forged = []

    def forge(self, context):
        for receipt in (tmp_path / "output").rglob("receipt.json"):
            rewritten(receipt, lambda one: one["files"][0].update(path=path))
            forged.append(receipt.read_bytes())
        return true(self, context)

    monkeypatch.setattr(CopernicusExtractOperator, "execute", forge)
    ran = ingest()
    assert [Receipt.read(content) for content in forged] == [None]
    assert ran.files == []
    assert len(ran.errors) > 0
    assert (tmp_path / "x.jp2").exists()
    monkeypatch.undo()


def test_entries_of_a_catalogue_are_checked_and_the_item_is_read_instead(held, ingest):
    _, output, _, _ = held
    (day,) = (output / "stac/S2MSI2A").rglob("08/01/catalog.json")
    true = day.read_text()
    inventory = Inventory(open_store(f"file://{output}"))
    (right,) = inventory.day("S2MSI2A", date(2024, 8, 1))

    def forge(**change):
        document = json.loads(true)
        entry = next(one for one in document["links"] if one["rel"] == "item")["dataspace:entry"]
        entry.update(change)
        day.write_text(json.dumps(document))
        return entry

    product = forge()["product"]
    forge(run_id="forged")
    assert inventory.day("S2MSI2A", date(2024, 8, 1)) != [right]
    for change in (
        {"files": {"../x": 1}},
        {"files": {"x": "many"}},
        {"files": ["x"]},
        {"ingests": "abc"},
        {"selection": {"SCL": "x"}},
        {"run_id": 7},
        {"version": None},
        *({"product": {**product, **one}} for one in FORGED_PRODUCTS),
    ):
        forge(**change)
        assert inventory.day("S2MSI2A", date(2024, 8, 1)) == [right], change


FORGED_PRODUCTS = [
    *(
        {"name": name}
        for name in ("../x", "", ".", "a/b", "x" * 300, "S2 x", ".x", None, 7, "a\nb")
    ),
    *(
        {"product_type": kind}
        for kind in ("../..", "", "S2MSI2A/..", "S2MSI1A", "s2msi2a", None, 7)
    ),
    *({"product_type": kind} for kind in ("S2MSI2A\n", "S2MSI2A ", ["S2MSI2A"], "bands", "*")),
    *({"id": one} for one in ("", "../x", "a'b", "a)/x", None, 7, ["x"], "x" * 200, "a\nb")),
    *({"sensed": one} for one in ("", "yesterday", None, 7)),
    *({"size_bytes": "9"}, {"cloud_cover": "x"}, {"footprint": "x"}, {"online": "no"}),
    *({"checksum": {"algorithm": "MD5", "value": "../x"}}, {"checksum": "x"}, {"s3_path": 7}),
]


def true_product():
    return {
        "id": "28ca37fe-0847-4601-a50a-6cdf1fb4be6e",
        "name": "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T120000.SAFE",
        "product_type": "S2MSI2A",
        "sensed": "2024-08-01T08:36:01+00:00",
        "published": None,
        "size_bytes": 9,
        "checksum": None,
        "online": True,
        "cloud_cover": 1,
        "footprint": None,
        "s3_path": None,
    }


@pytest.mark.parametrize("change", FORGED_PRODUCTS, ids=lambda change: repr(change)[:40])
def test_a_product_of_a_record_is_checked(change):
    assert from_json(true_product(), Product).product_type == "S2MSI2A"
    with pytest.raises(ValueError, match=r"."):
        from_json({**true_product(), **change}, Product)


@pytest.mark.parametrize("kind", ["../../x", "S2MSI2A/../..", "", "GRD"])
def test_a_product_type_never_becomes_a_folder(kind):
    with pytest.raises(ValueError, match=r"productType is .*expected S2MSI1C or S2MSI2A"):
        from_json({**true_product(), "product_type": kind}, Product)


def test_an_item_in_the_folder_of_another_is_none(held, ingest, connected):
    _, output, item, _ = held
    other = item.parent.with_name(item.parent.name.replace("T36TXL", "T36TXM"))
    shutil.copytree(item.parent, other)
    wrong_day = output / "bands/S2MSI2A/2024/08/02" / item.parent.name
    shutil.copytree(item.parent, wrong_day)
    inventory = Inventory(open_store(f"file://{output}"))
    found = [entry for day in inventory.days("S2MSI2A") for entry in inventory.day("S2MSI2A", day)]
    assert [entry.product.stem for entry in found] == [item.parent.name]
    assert found[0].product.sensed.day == 1


def test_damaged_spans_of_the_catalogue_are_left_out(held, ingest):
    _, output, _, _ = held
    (day,) = (output / "stac/S2MSI2A").rglob("08/01/catalog.json")
    for number, span in enumerate(({}, 7, {"bbox": "x"}, {"bbox": [0, 0, 1, 1], "items": "x"})):
        forged = day.parent.with_name(f"{number + 10}") / "catalog.json"
        forged.parent.mkdir()
        forged.write_text(json.dumps({"dataspace:span": span}))
    day.unlink()
    assert ingest().errors == []
    month = json.loads((day.parents[1] / "catalog.json").read_text())
    assert month["dataspace:span"]["items"] == 1


def test_damaged_notes_of_a_run_do_not_end_it(ingest, connected, tmp_path, monkeypatch):
    from airflow_copernicus.operators import CopernicusPublishOperator  # noqa: PLC0415

    connected.add(lake_product())
    true = CopernicusPublishOperator.execute
    attempts = ("{", "[]", '{"requests": "x"}', "null", '{"x": 1}')
    delivered = ("{", "[]", '{"x": {"files": "many"}}', "7", '{"x": 1}')

    def damage(self, context):
        for record, contents in (("attempts", attempts), ("delivered", delivered)):
            (folder,) = (tmp_path / "output").rglob(f"search/{record}")
            for number, content in enumerate(contents):
                (folder / f"0099-{number}.json").write_text(content)
        return true(self, context)

    monkeypatch.setattr(CopernicusPublishOperator, "execute", damage)
    ran = ingest()
    assert (ran.errors, ran.published["missing"]) == ([], [])


@pytest.mark.parametrize("until", ["9999-12-31T00:00:00+00:00", "x"])
def test_a_forged_claim_holds_nobody_up(until, ingest, connected, tmp_path):
    product = connected.add(lake_product())
    leases = tmp_path / "output/.staging/.claims"
    leases.mkdir(parents=True)
    lease = {"dag_id": "other", "run_id": "run", "until": until}
    (leases / f"{product.name.removesuffix('.SAFE')}.json").write_text(json.dumps(lease))
    assert ingest().errors == []


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_any_bytes_are_read_as_nothing(content):
    assert delivery_of(content) is None
    assert Receipt.read(content) is None
    assert History.read(content) == History()


@given(st.text(max_size=60))
def test_no_name_of_a_file_leaves_its_folder(name):
    record = {
        "path": "a",
        "name": name,
        "size_bytes": 1,
        "checksum": {"algorithm": "MD5", "value": "ab" * 16},
        "source_url": "",
    }
    try:
        file = from_json(record, DeliveredFile)
    except ValueError:
        return
    parts = file.name.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert not set("\\\0:\n") & set(file.name)


@pytest.mark.parametrize(
    "change",
    [{"days": {"x": {}}}, {"days": {"2024-08-01": 7}}, {"delays_h": {"x": [1]}}, {"scrubbed": 7}],
)
def test_a_damaged_chronicle_is_an_empty_one(change):
    record = {"days": {}, "delays_h": {}, "scrubbed": None, "survey": None}
    assert History.read(json.dumps({**record, **change}).encode()) == History()
