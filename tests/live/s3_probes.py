"""Questions to the object store: an object, parts of it, signatures, listings of both versions."""

from collections.abc import Mapping

import requests

from tests.live.bucket import Bucket
from tests.live.download_probes import FIRST, LAST, range_facts
from tests.live.facts import Facts
from tests.live.probe import GONE, TRANSFER, Probes
from tests.live.visit import Visit

PROBES = Probes("s3")


@PROBES.ask("object", TRANSFER)
def whole(visit: Visit) -> requests.Response:
    return Bucket(visit).manifest


@PROBES.ask("object, Range", TRANSFER)
def part(visit: Visit) -> tuple[requests.Response, Facts]:
    return _part(visit, {"Range": f"bytes={FIRST}-{LAST}"})


@PROBES.ask("object, Range of another version")
def changed(visit: Visit) -> tuple[requests.Response, Facts]:
    return _part(visit, {"Range": f"bytes={FIRST}-{LAST}", "If-Range": '"another"'})


@PROBES.ask("object, Range behind its end")
def beyond(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.manifest_url, headers={"Range": "bytes=1000000000-"})


@PROBES.ask("object, HEAD")
def head(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.manifest_url, method="HEAD")


@PROBES.ask("object, signed for us-east-1")
def other_region(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.manifest_url, region="us-east-1")


@PROBES.ask("object, unknown key", GONE)
def unknown_key(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.url(f"{bucket.folder}/no-such-file.xml"))


@PROBES.ask("object, not signed")
def unsigned(visit: Visit) -> requests.Response:
    return visit.get(Bucket(visit).manifest_url)


@PROBES.ask("object, unknown access key", ("CredentialsError",))
def unknown_keys(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.manifest_url, keys=("no-such-key", "no-such-secret"))


@PROBES.ask("object, presigned")
def presigned(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return visit.get(bucket.presigned(bucket.manifest_url))


@PROBES.ask("bucket, listing of version 1")
def old_listing(visit: Visit) -> requests.Response:
    return _listing(visit)


@PROBES.ask("bucket, listing of version 2")
def new_listing(visit: Visit) -> requests.Response:
    return _listing(visit, **{"list-type": "2"})


@PROBES.ask("unknown bucket")
def unknown_bucket(visit: Visit) -> requests.Response:
    bucket = Bucket(visit)
    return bucket.ask(bucket.url(bucket="no-such-bucket", **{"list-type": "2"}))


def _part(visit: Visit, headers: Mapping[str, str]) -> tuple[requests.Response, Facts]:
    bucket = Bucket(visit)
    whole = bucket.manifest.content
    answer = bucket.ask(bucket.manifest_url, headers=headers)
    return answer, range_facts(answer, whole)


def _listing(visit: Visit, **version: str) -> requests.Response:
    """Ask for a page that is not the last one of the product's keys."""
    bucket = Bucket(visit)
    options = {"prefix": f"{bucket.folder}/", "delimiter": "/", "max-keys": "2"}
    return bucket.ask(bucket.url(**version, **options))
