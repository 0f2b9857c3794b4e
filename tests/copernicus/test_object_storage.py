"""The whole ingest with its output in object storage, against moto's server."""

import hashlib
import json
import os

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dataspace.errors import CorruptDownloadError
from dataspace_emulator import Fault
from tests.copernicus.conftest import lake_product, scl_of, transfers
from tests.copernicus.mortal import run

pytest.importorskip("airflow.providers.amazon", reason="needs the provider of Amazon")

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
FILES = {"transfer": "files"}
ARCHIVE = {"transfer": "archive", "keep_archive": True}


class Bucket:
    """A bucket that forgets nothing: every object ever uploaded can be looked at."""

    def __init__(self, url):
        self.name = f"output-{os.urandom(4).hex()}"
        self.uri = f"s3://storage@{self.name}/sentinel2"
        self._s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS)
        self._s3.create_bucket(Bucket=self.name)
        self._s3.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
        )

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
def bucket(moto_url, connect):
    extra = {"endpoint_url": moto_url, "region_name": "us-east-1"}
    login = {"conn_type": "aws", "login": "test", "password": "test"}
    connect({**login, "extra": extra}, "storage")
    return Bucket(moto_url)


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
    """What stands but for records: name by its top folder."""
    paths = [path for path in bucket.standing() if not path.startswith("runs/")]
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


@pytest.mark.parametrize("way", [FILES, ARCHIVE], ids=["files", "archive"])
def test_what_always_arrives_wrong_is_never_uploaded(connected, bucket, product, way):
    match = "SCL_20m" if way is FILES else r"SAFE.zip|Products\([^/]*\)/\$value"
    connected.faults.add(Fault(service="download", kind="flipped_bit", match=match, times=None))
    with pytest.raises(CorruptDownloadError):
        run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    assert [one for one in delivered(bucket) if one[0] in ("bands", "archive")] == []
    assert wrong_uploads(bucket, product) == []


@pytest.mark.parametrize("way", [FILES, ARCHIVE], ids=["files", "archive"])
def test_what_arrives_wrong_once_heals(connected, bucket, product, way):
    connected.faults.add(Fault(service="download", kind="flipped_bit", times=1))
    run(bucket.uri, ["SCL_20m", "B8A_20m"], **way)
    assert len(delivered(bucket)) == (3 if way is FILES else 4)
    assert wrong_uploads(bucket, product) == []
