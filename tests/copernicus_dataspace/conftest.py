import os

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.limits.backoff import Timing
from copernicus_dataspace.service import Service, ServiceLimits
from copernicus_dataspace.storage.store import Store

QUICK = ServiceLimits(
    slots=Timing(probe_s=0.01, lateness_s=0.08, longest_wait_s=60, negligible_s=0.002)
)
"""Shorter waits between transfers; what they are is tested with the pace itself."""


def endpoints_of(emulator):
    extra = emulator.connection()["extra"]
    names = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")
    return Endpoints.resolve(**{name: extra.get(name) for name in names})


def account_of(emulator, **changes):
    connection = emulator.connection()
    facts = {"username": connection["login"], "password": connection["password"]}
    return Account(**{**facts, **changes})


@pytest.fixture
def client(emulator, sleeps):
    with Service(
        endpoints_of(emulator), account_of(emulator), sleep=sleeps.append, limits=QUICK
    ) as running:
        yield running


@pytest.fixture(params=["T56JMM", "T53JQJ", "T48LWP", "T22HBD", "T33TVM"])
def real_product(request, shared_data):
    """Path of the zip of a real product."""
    (path,) = (path for path in shared_data.glob("*.zip") if request.param in path.name)
    return path


@pytest.fixture(scope="module")
def bucket():
    """An empty bucket of an object storage that runs here."""
    import boto3  # noqa: PLC0415 - slow to import, and few tests need them
    import s3fs  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(
        Bucket="archive"
    )
    yield s3fs.S3FileSystem(key="test", secret="test", endpoint_url=url)
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def store(request, tmp_path):
    """An empty store, of each kind."""
    if request.param == "disk":
        return Store(LocalFileSystem(), str(tmp_path / "out"))
    return Store(request.getfixturevalue("bucket"), f"archive/{os.urandom(4).hex()}")
