import hashlib
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from copernicus_dataspace_emulator import Emulator, Fault, make_product

SMALL = 0.0005


@pytest.fixture
def client(emulator):
    """Make a client of boto3; keyword arguments replace its own."""

    def make(**more):
        about = {
            "endpoint_url": emulator.s3_endpoint_url,
            "aws_access_key_id": emulator.s3_access_key,
            "aws_secret_access_key": emulator.s3_secret_key,
            "region_name": "default",
            "config": Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        }
        return boto3.client("s3", **about | more)

    return make


@pytest.fixture
def product(emulator):
    return emulator.add(make_product(scale=SMALL))


def key_of(product, path="manifest.safe"):
    return f"{product.facts.s3_path.removeprefix('/eodata/')}/{path}"


@pytest.fixture
def get(client, product):
    """GET the manifest."""
    s3 = client()

    def ask(**more):
        return s3.get_object(Bucket="eodata", Key=key_of(product), **more)

    return ask


def refused(call, *arguments, **more):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **more)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_every_file_is_an_object(emulator, product, client):
    s3 = client()
    prefix = key_of(product, "")
    listed = s3.list_objects_v2(Bucket="eodata", Prefix=prefix)["Contents"]
    assert {one["Key"].removeprefix(prefix) for one in listed} == set(product.content.members)
    for one in listed:
        answer = s3.get_object(Bucket="eodata", Key=one["Key"])
        body = answer["Body"].read()
        assert body == product.read(one["Key"].removeprefix(prefix))
        assert len(body) == one["Size"]
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert answer["ETag"] == one["ETag"] == f'"{etag}"'
    assert emulator.requests[-1].authorization


def test_the_keys_are_those_of_the_catalogue(product, search, get):
    (row,) = search(f"Id eq {product.id}").json()["value"]
    assert row["S3Path"] == f"/eodata/{key_of(product).removesuffix('/manifest.safe')}"
    answer = get()
    assert answer["AcceptRanges"] == "bytes"
    assert answer["LastModified"] == product.facts.modified.replace(microsecond=0)


def test_an_object_has_a_head(product, client):
    head = client().head_object(Bucket="eodata", Key=key_of(product))
    assert head["ContentLength"] == product.member("manifest.safe").size


def test_large_objects_have_an_etag_of_parts(emulator, client):
    product = emulator.add(make_product(scale=SMALL, sizes={"SCL_20m": 9_000_000}))
    (path,) = (path for path in product.content.members if path.endswith("SCL_20m.jp2"))
    head = client().head_object(Bucket="eodata", Key=key_of(product, path))
    assert head["ETag"].endswith('-2"')
    assert head["ContentLength"] == 9_000_000


def test_ranges_are_honoured(product, get):
    true = product.read("manifest.safe")
    answer = get(Range="bytes=5-9")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == f"bytes 5-9/{len(true)}"
    assert answer["Body"].read() == true[5:10]
    etag = answer["ETag"]
    assert get(Range="bytes=5-", IfMatch=etag)["Body"].read() == true[5:]
    assert refused(get, Range="bytes=5-", IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(get, Range=f"bytes={len(true)}-") == (416, "InvalidRange")
    assert [get(Range="bytes=0-0")["Body"].read() for _ in range(6)] == [true[:1]] * 6


def signed(emulator, product, when=None, service="s3", **headers):
    """GET the manifest with a signature of our own making."""
    url = f"{emulator.s3_endpoint_url}/eodata/{key_of(product)}"
    request = AWSRequest("GET", url, headers=headers)
    keys = Credentials(emulator.s3_access_key, emulator.s3_secret_key)
    S3SigV4Auth(keys, service, "default").add_auth(request)
    if when is not None:
        request.headers.replace_header("X-Amz-Date", when.strftime("%Y%m%dT%H%M%SZ"))
    return requests.get(url, headers=dict(request.headers.items()), timeout=10)


def test_if_range_sends_the_whole_where_the_object_is_another(emulator, product):
    answer = signed(emulator, product, **{"Range": "bytes=5-9", "If-Range": '"other"'})
    assert (answer.status_code, answer.content) == (200, product.read("manifest.safe"))
    answer = signed(emulator, product, **{"Range": "bytes=5-9", "If-Range": answer.headers["ETag"]})
    assert answer.status_code == 206


def test_a_signature_is_needed_and_verified(emulator, product, client):
    ask = {"Bucket": "eodata", "Key": key_of(product)}
    other = client(aws_access_key_id="nobody").get_object
    assert refused(other, **ask) == (403, "InvalidAccessKeyId")
    other = client(aws_secret_access_key="wrong").get_object
    assert refused(other, **ask) == (403, "SignatureDoesNotMatch")
    url = client().generate_presigned_url("get_object", Params=ask)
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, "<Code>InvalidAccessKeyId</Code>" in answer.text) == (403, True)
    answer = requests.get(url.partition("?")[0], timeout=10)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    assert answer.headers["Content-Type"] == "application/xml"


@pytest.mark.parametrize("region", ["default", "us-east-1", "eu-central-1"])
def test_any_region_is_signed_for(product, client, region):
    """eodag signs for the second, phidown for the third; both work at the service."""
    s3, ask = client(region_name=region), {"Bucket": "eodata", "Key": key_of(product)}
    assert s3.get_object(**ask)["Body"].read() == product.read("manifest.safe")
    wrong = client(region_name=region, aws_secret_access_key="wrong").get_object
    assert refused(wrong, **ask) == (403, "SignatureDoesNotMatch")


def test_another_service_is_not_signed_for(emulator, product):
    answer = signed(emulator, product, service="sts")
    assert (answer.status_code, "AuthorizationHeaderMalformed" in answer.text) == (400, True)


def test_a_changed_request_is_not_the_signed_one(emulator, product):
    assert signed(emulator, product).status_code == 200
    late = signed(emulator, product, when=datetime.now(UTC) - timedelta(minutes=16))
    assert (late.status_code, "RequestTimeTooSkewed" in late.text) == (403, True)
    late = signed(emulator, product, when=datetime.now(UTC) - timedelta(minutes=2))
    assert (late.status_code, "SignatureDoesNotMatch" in late.text) == (403, True)


def test_secrets_are_not_in_the_journal(emulator, product, client):
    url = client().generate_presigned_url(
        "get_object", Params={"Bucket": "eodata", "Key": key_of(product)}
    )
    requests.get(url, timeout=10)
    assert url.rpartition("=")[2] not in repr(emulator.requests)


def test_nothing_can_be_written(product, client):
    s3, ask = client(), {"Bucket": "eodata", "Key": key_of(product)}
    assert refused(s3.put_object, Body=b"x", **ask) == (403, "AccessDenied")
    assert refused(s3.delete_object, **ask) == (403, "AccessDenied")


def test_what_is_not_there_is_not_found(emulator, product, client):
    s3 = client()

    def code(**ask):
        return refused(s3.get_object, **{"Bucket": "eodata", "Key": key_of(product)} | ask)

    gone = emulator.add(make_product(content=False, tile="33TVM"))
    offline = emulator.add(make_product(online=False, tile="36TXK", scale=SMALL))
    later = emulator.add(make_product(published="2026-12-01T00:00:00Z", level="L1C", scale=SMALL))
    for key in (key_of(gone), key_of(offline), key_of(later), key_of(product, "other"), "x"):
        assert code(Key=key) == (404, "NoSuchKey")
    assert code(Bucket="other") == (404, "NoSuchBucket")
    emulator.remove(product.id)
    assert code() == (404, "NoSuchKey")


VERSIONS = pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])


@VERSIONS
def test_the_bucket_is_listed_in_pages(emulator, client, version):
    products = [emulator.add(make_product(scale=SMALL, level=level)) for level in ("L2A", "L1C")]
    pages = client().get_paginator(version)
    every = [
        one["Key"]
        for page in pages.paginate(Bucket="eodata", PaginationConfig={"PageSize": 30})
        for one in page["Contents"]
    ]
    wanted = [key_of(product, path) for product in products for path in product.content.members]
    assert every == sorted(wanted)
    assert client().get_bucket_location(Bucket="eodata")["LocationConstraint"] == "default"


def test_folders_are_common_prefixes_and_make_nothing(emulator, product, client):
    emulator.add(make_product(scale=SMALL, tile="36TXK"))
    s3, day = client(), f"{key_of(product).split('/S2A')[0]}/"

    def folders(prefix, **more):
        found = s3.list_objects_v2(Bucket="eodata", Prefix=prefix, Delimiter="/", **more)
        return [one["Prefix"] for one in found["CommonPrefixes"]], found

    assert folders("")[0] == ["Sentinel-2/"]
    both, _ = folders(day)
    assert both[1] == key_of(product, "")
    assert product._content is None
    first, page = folders(day, MaxKeys=1)
    assert page["IsTruncated"]
    second, page = folders(day, ContinuationToken=page["NextContinuationToken"])
    assert (first + second, page["IsTruncated"]) == (both, False)
    names, page = folders(key_of(product, ""))
    assert key_of(product, "GRANULE/") in names
    assert key_of(product) in [one["Key"] for one in page["Contents"]]


@VERSIONS
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_both_versions_list_the_same(emulator, product, client, version, size):
    emulator.add(make_product(scale=SMALL, tile="36TXK"))
    s3, folder = client(), key_of(product, "")

    def keys(**options):
        """Keys and folders, page by page."""
        paging = {"PaginationConfig": {"PageSize": size}, **options}
        for page in s3.get_paginator(version).paginate(Bucket="eodata", **paging):
            found = page.get("Contents", []) + page.get("CommonPrefixes", [])
            assert len(found) <= size
            yield from (one.get("Key") or one["Prefix"] for one in found)

    below = {path.partition("/") for path in product.content.members}
    assert set(keys(Prefix=folder, Delimiter="/")) == {
        f"{folder}{name}{slash}" for name, slash, _ in below
    }
    granule = [path for path in product.content.members if path.startswith("GRANULE/")]
    assert list(keys(Prefix=f"{folder}GRANULE/")) == [folder + path for path in sorted(granule)]
    assert list(keys(Prefix="nothing/")) == []


def test_a_listing_may_begin_behind_a_key(product, client):
    listed = sorted(key_of(product, path) for path in product.content.members)
    s3 = client()
    for call, begin in ((s3.list_objects, "Marker"), (s3.list_objects_v2, "StartAfter")):
        found = call(Bucket="eodata", **{begin: listed[10]})["Contents"]
        assert [one["Key"] for one in found] == listed[11:]


def test_connections_are_shared_with_the_download(client, grant):
    with Emulator(max_connections=1, bytes_per_s=2_000_000) as emulator:
        product = emulator.add(make_product(scale=0.005))
        login, user = next(iter(emulator.users.items()))
        form = {"grant_type": "password", "client_id": "cdse-public"}
        url = f"{emulator.identity_url}/protocol/openid-connect/token"
        form |= {"username": login, "password": user.password}
        token = requests.post(url, data=form, timeout=10).json()["access_token"]
        url = f"{emulator.download_url}/Products({product.id})/$value"
        product.prepare()
        headers = {"Authorization": f"Bearer {token}"}
        with requests.get(url, headers=headers, stream=True, timeout=10) as running:
            assert running.status_code == 200
            answer = signed(emulator, product)
            assert (answer.status_code, "<Code>SlowDown</Code>" in answer.text) == (503, True)
            assert running.content
        assert signed(emulator, product).status_code == 200


def test_too_many_requests_a_minute_are_slowed_down():
    with Emulator(s3_requests_per_minute=3) as emulator:
        product = emulator.add(make_product(scale=SMALL))
        assert [signed(emulator, product).status_code for _ in range(4)] == [200, 200, 200, 503]


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("range_206", 206, slice(10, 20)),
        ("range_206_wrong", 206, slice(0, 10)),
        ("range_416", 416, None),
        ("range_501", 501, None),
    ],
)
def test_ranges_can_be_spoiled(emulator, product, kind, status, content):
    emulator.faults.add(Fault("s3", kind=kind))
    assert signed(emulator, product).status_code == 200
    answer = signed(emulator, product, Range="bytes=10-19")
    assert answer.status_code == status
    if content is not None:
        assert answer.content == product.read("manifest.safe")[content]
    assert signed(emulator, product, Range="bytes=10-19").status_code == 206


def test_an_object_can_change_between_two_ranges(emulator, product):
    emulator.faults.add(Fault("s3", kind="range_changed"))
    etag = signed(emulator, product).headers["ETag"]
    answer = signed(emulator, product, Range="bytes=10-19")
    assert answer.status_code == 206
    assert answer.headers["ETag"] != etag
    assert answer.content != product.read("manifest.safe")[10:20]


def test_statuses_come_in_xml(emulator, get):
    for status, code in ((403, "AccessDenied"), (500, "InternalError"), (503, "SlowDown")):
        emulator.faults.add(Fault("s3", status=status))
        assert refused(get) == (status, code)
    assert get()["Body"].read()
