"""The whole ingest with its output in object storage, against moto's server."""

import hashlib
import json
import os
import posixpath
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import boto3
import pytest
import s3fs
from fsspec.implementations.local import LocalFileSystem
from moto.server import ThreadedMotoServer

from airflow_copernicus.runs.context import REPAIR_KEY
from copernicus_dataspace.errors import CorruptDownloadError
from copernicus_dataspace.models.product_state import RemovalPolicy
from copernicus_dataspace.reconcile.removals.retirement import retire
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.static_catalog import refresh
from copernicus_dataspace.storage import leases
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, scl_of, transfers
from tests.support.runs.mortal import run
from tests.support.runs.rivals import Rival, run_together

pytest.importorskip("airflow.providers.amazon", reason="needs the provider of Amazon")

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
REPAIR = {REPAIR_KEY: {}}
RIVALS = {"scheduled__2024-08-01": "B05_20m", "manual__2024-08-01": "B06_20m"}
FILES = {"transfer": "files"}
ARCHIVE = {"transfer": "archive", "keep_archive": True}
DAYS = (date(2024, 8, 1), date(2024, 8, 2), date(2024, 9, 1))
LONG = pytest.mark.long
LINKS = ("child", "item", "related", "root", "parent", "collection")


class Bucket:
    """A bucket that forgets nothing: every object ever uploaded can be looked at."""

    def __init__(self, url):
        self.name = f"output-{os.urandom(4).hex()}"
        self.uri = f"s3://storage@{self.name}/sentinel2"
        self._s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS)
        self._fs = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=url)
        self._s3.create_bucket(Bucket=self.name)
        self._s3.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
        )

    def store(self):
        return Store(self._fs, f"{self.name}/sentinel2")

    def standing(self):
        """Content by path of what is there."""
        listed = self._s3.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {one["Key"].removeprefix("sentinel2/"): self._get(one["Key"]) for one in listed}

    def uploaded(self):
        """Path and content of everything that was ever there."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name)
        versions = [one for page in pages for one in page.get("Versions", [])]
        return [
            (one["Key"].removeprefix("sentinel2/"), self._get(one["Key"], one["VersionId"]))
            for one in versions
        ]

    def _get(self, key, version=None):
        which = {"VersionId": version} if version else {}
        return self._s3.get_object(Bucket=self.name, Key=key, **which)["Body"].read()


@pytest.fixture(scope="module")
def moto_url():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url, connect, monkeypatch):
    extra = {"endpoint_url": moto_url, "region_name": "us-east-1"}
    login = {"conn_type": "aws", "login": "test", "password": "test"}
    connect({**login, "extra": extra}, "storage")
    made = Bucket(moto_url)
    roots = f"{os.environ['SENTINEL2_OUTPUT_ROOTS']},s3://storage@{made.name}"
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", roots)
    return made


@pytest.fixture
def product(connected):
    return connected.add(lake_product(scale=0.003))


def wrong_uploads(bucket, product):
    """Bands and zips that are not, byte for byte, what the product holds."""
    true = {path.rpartition("/")[2]: product.read(path) for path in product.files}
    images = [(path, content) for path, content in bucket.uploaded() if path.endswith(".jp2")]
    zips = [(path, content) for path, content in bucket.uploaded() if path.endswith(".zip")]
    wrong = [path for path, content in images if content != true[path.rpartition("/")[2]]]
    return wrong + [path for path, content in zips if _md5(content) != product.md5]


def _md5(content):
    return hashlib.md5(content).hexdigest()  # noqa: S324


def delivered(bucket):
    """What stands but for records and the catalogue: name by its top folder."""
    paths = [path for path in bucket.standing() if path.startswith(("bands/", "archive/"))]
    return sorted((path.split("/")[0], path.rpartition("/")[2]) for path in paths)


@pytest.mark.parametrize("way", [FILES, ARCHIVE], ids=["files", "archive"])
def test_a_day_arrives_and_a_rerun_fetches_nothing(connected, bucket, product, way):
    run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    stem, scl = product.name.removesuffix(".SAFE"), scl_of(product).rpartition("/")[2]
    names = [scl.replace("SCL", "B8A"), scl, "item.json"]
    kept = [("archive", f"{stem}.zip")] if way is ARCHIVE else []
    assert delivered(bucket) == kept + [("bands", name) for name in names]
    assert wrong_uploads(bucket, product) == []
    item = json.loads(bucket.standing()[f"bands/S2MSI2A/2024/08/01/{stem}/item.json"])
    assert len(item["assets"]) == 2
    assert all(asset["proj:code"] == "EPSG:32636" for asset in item["assets"].values())

    before = len(transfers(connected))
    run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    assert len(transfers(connected)) == before
    assert len(delivered(bucket)) == len(kept) + 3


def test_a_kept_archive_serves_further_bands(connected, bucket, product):
    run(bucket.uri, ["SCL_20m"], **ARCHIVE)
    before = len(transfers(connected))
    run(bucket.uri, ["SCL_20m", "B8A_20m", "B11_20m"], **ARCHIVE)
    assert len(transfers(connected)) == before
    assert len(delivered(bucket)) == 5
    assert wrong_uploads(bucket, product) == []


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(ARCHIVE, id="kept", marks=LONG),
        pytest.param({"transfer": "archive"}, id="passing"),
    ],
)
def test_a_zip_is_read_by_its_own_manifest(connected, bucket, product, way):
    """What is uploaded before the manifest has passed is read again, and compared with it."""
    connected.faults.add(Fault("download", match="manifest.safe", status=404, times=None))
    run(bucket.uri, ["*_SCL_20m.jp2", "*/MTD_TL.xml"], **way)
    assert len(delivered(bucket)) == (4 if way is ARCHIVE else 3)
    assert wrong_uploads(bucket, product) == []


@pytest.mark.parametrize(
    "way", [FILES, pytest.param(ARCHIVE, marks=LONG)], ids=["files", "archive"]
)
def test_what_always_arrives_wrong_is_never_uploaded(connected, bucket, product, way):
    match = "SCL_20m" if way is FILES else r"SAFE.zip|Products\([^/]*\)/\$value"
    connected.faults.add(Fault(service="download", kind="flipped_bit", match=match, times=None))
    with pytest.raises(CorruptDownloadError):
        run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    assert [one for one in delivered(bucket) if one[0] in ("bands", "archive")] == []
    assert wrong_uploads(bucket, product) == []


@pytest.mark.parametrize(
    "way", [pytest.param(FILES, marks=LONG), ARCHIVE], ids=["files", "archive"]
)
def test_what_arrives_wrong_once_heals(connected, bucket, product, way):
    connected.faults.add(Fault(service="download", kind="flipped_bit", times=1))
    run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    assert len(delivered(bucket)) == (3 if way is FILES else 4)
    assert wrong_uploads(bucket, product) == []


def test_two_runs_at_once_fetch_a_product_once_and_add_up(connected, bucket, product, monkeypatch):
    monkeypatch.setattr(leases, "_SETTLE_S", 0.1)
    slow = Fault("download", "trickle", match="_20m", times=None, bytes_per_s=20_000)
    connected.faults.add(slow)
    runs = [Rival(bucket.uri, run_id, ["SCL_20m", band]) for run_id, band in RIVALS.items()]
    run_together(*runs)
    assert len(transfers(connected)) == 3
    stem = product.name.removesuffix(".SAFE")
    item = json.loads(bucket.standing()[f"bands/S2MSI2A/2024/08/01/{stem}/item.json"])
    assert len(item["assets"]) == 3
    assert [one for one in delivered(bucket) if one[0] == ".staging"] == []
    assert wrong_uploads(bucket, product) == []


@pytest.fixture
def three_days(connected):
    """Products of two months, two of them of one day."""
    sensed = [f"{day}T{hour:02}:36:01.024Z" for day, hour in zip(DAYS, (8, 8, 8), strict=True)]
    sensed.append(f"{DAYS[0]}T10:36:01.024Z")
    return [connected.add(lake_product(sensed=instant, scale=0.003)) for instant in sensed]


def fetched(uri, products, dag_id="sentinel2_daily", run_id="manual__1", conf=None):
    ids = [one.id for one in products]
    Rival(uri, run_id, dag_id=dag_id, product_ids=ids, conf=conf).run()


def links_of(path, content):
    """Relation and path of all that a file of the catalogue refers to in the bucket."""
    document = json.loads(content)
    links = [(one["rel"], one["href"]) for one in document["links"] if one["rel"] in LINKS]
    links += [("asset", one["href"]) for one in document.get("assets", {}).values()]
    folder = posixpath.dirname(path)
    return [(rel, posixpath.normpath(posixpath.join(folder, href))) for rel, href in links]


def walked(standing, tops=("child",)):
    """How often each file is met on the way down from the root of the catalogue."""
    met, ahead = Counter(), ["catalog.json"]
    while ahead:
        path = ahead.pop()
        met[path] += 1
        found = links_of(path, standing[path])
        assert [one for _, one in found if one not in standing] == []
        ahead += [one for rel, one in found if rel in (*tops, "child", "item")]
    return met


def told(store, day):
    """What the inventory tells of a day, but for what differs from one delivery to the next."""
    then = datetime(2024, 8, 2, tzinfo=UTC)
    entries = Inventory(store).day("S2MSI2A", day)
    return [
        (
            replace(entry, version="", created=then),
            {name: size for name, size in entry.existing.items() if name != "item.json"},
        )
        for entry in entries
    ]


def test_the_catalogue_in_the_bucket_is_whole(bucket, three_days):
    fetched(bucket.uri, three_days[:3], run_id="1", conf=REPAIR)
    fetched(bucket.uri, three_days[1:], dag_id="other lake", run_id="2", conf=REPAIR)
    standing = bucket.standing()
    met = walked(standing)
    assert set(met.values()) == {1}
    items = [path for path in met if path.endswith("item.json")]
    stems = sorted(one.name.removesuffix(".SAFE") for one in three_days)
    assert sorted(path.split("/")[-2] for path in items) == stems
    everywhere = walked(standing, tops=("child", "related"))
    catalogs = {path for path in standing if path.endswith(("catalog.json", "collection.json"))}
    assert catalogs <= set(everywhere)
    assert sorted(everywhere[item] for item in items) == [2, 2, 3, 3]
    root = json.loads(standing["stac/S2MSI2A/collection.json"])
    assert root["dataspace:span"]["items"] == 4


def test_the_ledger_tells_the_same_of_a_bucket_and_of_a_disk(bucket, three_days, tmp_path):
    disk, far = Store(LocalFileSystem(), str(tmp_path / "output")), bucket.store()
    fetched((tmp_path / "output").as_uri(), three_days)
    fetched(bucket.uri, three_days)
    assert Inventory(far).days("S2MSI2A") == Inventory(disk).days("S2MSI2A") == list(DAYS)
    indexed = [told(far, day) for day in DAYS]
    assert [len(entries) for entries in indexed] == [2, 1, 1]
    for day, entries in zip(DAYS, indexed, strict=True):
        assert entries == told(disk, day)
        assert all(entry.problems(["SCL_20m"]) == () for entry, _ in entries)
    far.delete("stac")
    assert [told(far, day) for day in DAYS] == indexed


@pytest.mark.parametrize(
    "harm", [pytest.param(None, marks=LONG), b'{"links": [{"dataspace:entry": 3}]}']
)
def test_a_damaged_catalogue_in_the_bucket_is_rebuilt(bucket, three_days, harm):
    fetched(bucket.uri, three_days)
    before, store = bucket.standing(), bucket.store()
    for path in before:
        if path.endswith(("catalog.json", "collection.json")):
            store.delete(path) if harm is None else store.write(path, harm)
    assert len(Inventory(store).day("S2MSI2A", DAYS[0])) == 2
    refresh(store, "S2MSI2A", DAYS)
    if harm is not None:  # a root that cannot be read may be somebody else's
        assert store.read("catalog.json") == harm
        store.delete("catalog.json")
        refresh(store, "S2MSI2A", DAYS)
    assert bucket.standing() == before


def test_a_day_that_is_retired_leaves_the_catalogue_of_the_bucket(bucket, three_days):
    fetched(bucket.uri, three_days)
    store = bucket.store()
    (entry,) = Inventory(store).day("S2MSI2A", DAYS[2])
    retire(store, entry.product, "sentinel2_daily", RemovalPolicy.QUARANTINE, datetime.now(UTC))
    refresh(store, "S2MSI2A", DAYS[2:])
    met = walked(bucket.standing(), tops=("child", "related"))
    assert Counter(path.rpartition("/")[2] for path in met)["item.json"] == 3
    assert [path for path in bucket.standing() if "/2024/09/" in path and path[:4] != "quar"] == []
    assert Inventory(store).day("S2MSI2A", DAYS[2]) == []


def test_runs_that_end_at_once_leave_the_catalogue_of_the_bucket_right(bucket, connected):
    products = [
        connected.add(lake_product(sensed=f"{DAYS[0]}T{hour:02}:36:01.024Z", scale=0.003))
        for hour in range(4)
    ]
    run_together(
        *(
            Rival(bucket.uri, f"{n}", dag_id=f"dag_{n % 2}", product_ids=[one.id], conf=REPAIR)
            for n, one in enumerate(products)
        )
    )
    standing = bucket.standing()
    met = walked(standing)
    assert sum(path.endswith("item.json") for path in met) == 4
    assert set(met.values()) == {1}
    for n in range(2):
        area = json.loads(standing[f"stac/S2MSI2A-dag_{n}/collection.json"])
        assert area["dataspace:span"]["items"] == 2
    before = bucket.uploaded()
    refresh(bucket.store(), "S2MSI2A", DAYS[:1])
    assert len(bucket.uploaded()) == len(before)
