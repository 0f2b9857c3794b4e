"""Bodies that break off: continued where that is safe, begun again where not, never mixed."""

import contextlib
import hashlib
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3
from fsspec.implementations.local import LocalFileSystem
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.download.downloader import Downloads
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.download.transports import Https
from copernicus_dataspace.errors import DataSpaceError, ServiceUnavailableError
from copernicus_dataspace.http import client
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.limits.retry import RetryPolicy
from copernicus_dataspace.limits.transfer_slots import TransferSlots
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import SafeFile, parse_manifest
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

MOST_REQUESTS = 36
"""Of a file by one transport, whatever fails: the first, and 9 + 4 + 2 + 19 + 1 repetitions."""


class Offering:
    """An emulator with one product, and a client of it."""

    def __init__(self, folder, transport, ranges):
        self.emulator, self.folder = Emulator(ranges=ranges), folder
        self.bytes_from = "s3" if transport == "s3" else "download"
        self.offered = self.emulator.add(make_product(scale=0.01))
        keys = S3Keys(self.emulator.s3_access_key, self.emulator.s3_secret_key)
        self.client = Service(
            endpoints_of(self.emulator),
            account_of(self.emulator),
            transport=transport,
            s3_keys=keys,
            sleep=lambda _: None,
        )

    def breaks(self, **facts):
        fault = {"kind": "short_body", "match": "B08_10m", **facts}
        self.emulator.faults.add(Fault(service=self.bytes_from, **fault))

    def fetch(self):
        """Fetch a file; return the Range of each of its requests, and the bytes they moved."""
        (product,) = self.client.catalogue.search(Query(sensed=MISSION))
        listed = parse_manifest(self.offered.read("manifest.safe"))
        (file,) = (one for one in listed if one.path.endswith("_B08_10m.jp2"))
        target = self.folder / file.name
        self.client.downloads.file(product, file, target, lambda _: None, lambda: None)
        assert target.read_bytes() == self.offered.read(file.path)
        sent = [one for one in self.emulator.requests if file.name in one.path]
        return [one.range for one in sent], sum(one.bytes_sent for one in sent) / file.size_bytes


@pytest.fixture
def service(tmp_path):
    with contextlib.ExitStack() as running:

        def begin(transport="s3", ranges="ignored"):
            made = Offering(tmp_path, transport, ranges)
            running.enter_context(made.emulator)
            running.enter_context(made.client)
            return made

        yield begin


@pytest.mark.parametrize(("transport", "ranges"), [("s3", "ignored"), ("https", "honoured")])
@pytest.mark.parametrize("breaks", [1, 4])
def test_a_broken_body_is_continued(service, transport, ranges, breaks):
    running = service(transport, ranges)
    running.breaks(times=breaks)
    asked, share = running.fetch()
    assert asked[0] == ""
    assert len(asked) == breaks + 1
    assert all(one.startswith("bytes=") for one in asked[1:])
    assert share == 1
    assert running.client.statistics.retries == breaks


@pytest.mark.parametrize("kind", ["reset_body", "short_body"])
@pytest.mark.parametrize("at", [0.0, 0.01, 0.9])
def test_a_break_anywhere_heals(service, kind, at):
    running = service()
    running.breaks(kind=kind, at=at)
    asked, share = running.fetch()
    assert len(asked) == 2
    assert share <= 1 + at


def test_each_part_may_need_a_new_token(service):
    running = service("https", "honoured")
    for _ in range(3):
        running.breaks(kind="expired_token")
        running.breaks()
    asked, _ = running.fetch()
    assert len(asked) == 7
    assert sum(one.startswith("bytes=") for one in asked) == 5


def test_without_a_validator_no_range_is_asked_for(service):
    running = service("https", "ignored")
    running.breaks(times=3)
    asked, share = running.fetch()
    assert asked == [""] * 4
    assert share == pytest.approx(2.5, abs=0.01)


@pytest.mark.parametrize("ranges", ["refused", "unsatisfiable"])
def test_a_refused_part_lets_all_begin_again(service, ranges):
    running = service("https", ranges)
    running.breaks()
    asked, _ = running.fetch()
    assert [one[:6] for one in asked] == ["", "bytes=", ""]


@pytest.mark.parametrize("kind", ["range_206_wrong", "range_changed", "range_416", "range_501"])
@pytest.mark.parametrize("times", [1, None])
def test_a_wrong_part_never_ends_in_the_file(service, kind, times):
    running = service()
    running.breaks()
    running.breaks(kind=kind, times=times)
    asked, _ = running.fetch()
    assert [one[:6] for one in asked] == ["", "bytes=", ""]


@pytest.mark.parametrize(("transport", "ranges"), [("s3", "ignored"), ("https", "honoured")])
@pytest.mark.parametrize("at", [0.0, 0.5, 0.999])
def test_a_line_that_always_breaks_is_given_up(service, transport, ranges, at, tmp_path):
    running = service(transport, ranges)
    running.breaks(times=None, at=at)
    with pytest.raises(ServiceUnavailableError, match="B08_10m"):
        running.fetch()
    assert len(running.emulator.requests) <= MOST_REQUESTS
    assert not list(tmp_path.iterdir())


class CountingStore(Store):
    """Notes the path of every file that is written."""

    def __init__(self, fs, root):
        super().__init__(fs, root)
        self.written = []

    def incoming(self, path, size_bytes=0):
        self.written.append(path)
        return super().incoming(path, size_bytes)


@pytest.mark.parametrize(("ranges", "most"), [("honoured", 1.01), ("ignored", 2.5)])
@pytest.mark.parametrize("keep", [False, True])
def test_a_zip_through_breaks_writes_no_member_twice(service, tmp_path, ranges, most, keep):
    running, store = service("https", ranges), CountingStore(LocalFileSystem(), str(tmp_path))
    running.breaks(match=r"Products\([^)]*\)/\$value", times=2, at=0.7)
    (product,) = running.client.catalogue.search(Query(sensed=MISSION))
    wanted = DeliveryOptions(("*.jp2",), "archive", keep_archive=keep)
    job = ProductJob(store, RunLayout("dag", "run"), product, wanted)
    (staged,) = stage([job], running.client, lambda *_: lambda _: None)
    assert staged.is_new
    delivery = deliver(job)
    interrupted = 2 if ranges == "ignored" else 0
    assert len(delivery.files) > 30
    images = [path for path in store.written if path.endswith(".jp2") and ".staging" in path]
    assert len(delivery.files) <= len(images) <= len(delivery.files) + interrupted
    moved = sum(one.bytes_sent for one in running.emulator.requests if "$value" in one.path)
    assert moved <= most * running.offered.zip_size
    for path, file in delivery.files.items():
        assert file.checksum.value == running.offered.files[path].digest


def version(seed, size_bytes):
    return hashlib.shake_128(bytes([seed])).digest(size_bytes)


RIGHT, OTHER, LONGER = version(1, 1000), version(2, 1000), version(3, 1200)
DIGEST = Checksum("SHA-256", hashlib.sha256(RIGHT).hexdigest())
FILE = SafeFile("GRANULE/x_SCL_20m.jp2", len(RIGHT), DIGEST)


@dataclass(frozen=True)
class Step:
    """How one request is answered.

    `manner`: "honest" gives the part asked for, "whole" all of it, "careless" a part of whatever is
    there now; "shifted" and "stale" are parts from another place, of which the first tells so;
    "short" sends 97 bytes less than it tells, and calls that its length;
    a number is a refusal.
    """

    manner: str | int = "honest"
    content: bytes = RIGHT
    tag: str | None = '"right"'
    cut: int | None = None
    ending: type[Exception] | None = ConnectionResetError
    has_length: bool = True

    def answer(self, headers):
        """Status, headers and bytes to send, before they break off."""
        told = {"ETag": self.tag} if self.tag else {}
        asked = headers.get("Range")
        if isinstance(self.manner, int):
            return self.manner, {}, b""
        if asked is None or self.manner == "whole" or not self._matches(headers):
            return 200, told, self.content
        start, size = int(asked[6:-1]), len(self.content)
        if start >= size:
            return 416, {"Content-Range": f"bytes */{size}"}, b""
        place = start // 2 if self.manner == "shifted" else start
        taken = start // 2 if self.manner in ("shifted", "stale") else start
        told["Content-Range"] = f"bytes {place}-{size - 1}/{size}"
        return 206, told, self.content[taken : size - 97 * (self.manner == "short")]

    def _matches(self, headers):
        return self.manner != "honest" or headers["If-Range"] == self.tag


class Body:
    """Bytes that come in small pieces and may break off."""

    closed = False

    def __init__(self, content, step):
        self.content, self.step, self.at = content, step, 0

    def read1(self, _amount=-1):
        most = len(self.content) if self.step.cut is None else self.step.cut
        piece = self.content[self.at : min(self.at + 97, most)]
        self.at += len(piece)
        if not piece and self.step.cut is not None and self.step.ending:
            raise self.step.ending
        return piece

    read = read1

    def close(self):
        self.closed = True


class Wire(HTTPAdapter):
    """In place of the network: answers by a script, then for ever by its last step."""

    def __init__(self, script):
        super().__init__()
        self.steps = itertools.chain(script, itertools.repeat(script[-1]))
        self.asked = []

    def send(self, request, **_about):
        self.asked.append(request)
        step = next(self.steps)
        status, headers, content = step.answer(request.headers)
        if step.has_length:
            headers["Content-Length"] = str(len(content))
        raw = urllib3.HTTPResponse(
            Body(content, step), headers, status, preload_content=False, request_method="GET"
        )
        return self.build_response(request, raw)


def scripted(script, request_s=0.0):
    """Return downloads from a wire, and the wire; each request takes some seconds."""
    wire = Wire(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "StoppableAdapter", lambda: wire)
        http = Http(Endpoints.resolve(download_url="http://service/odata"))
    tokens = SimpleNamespace(token=lambda: "token", renew=lambda _: "newer")
    https = Https(http, "http://service/odata", tokens)
    retries = RetryPolicy(wait=lambda _: None, clock=lambda: request_s * len(wire.asked))
    return Downloads([https], https, TransferSlots(1), retries), wire


def test_received_bytes_restart_the_deadline_of_a_body_that_cannot_be_resumed():
    downloads, wire = scripted([*[Step(tag=None, cut=500)] * 4, Step(tag=None)], request_s=900)
    assert downloads.zip(PRODUCT, b"".join) == RIGHT
    assert len(wire.asked) == 5


def test_a_complete_body_restarts_the_deadline(tmp_path):
    steps = [Step(503), Step(content=OTHER), Step()]
    downloads, _ = scripted(steps, request_s=1900)
    downloads.file(PRODUCT, FILE, tmp_path / "it", lambda _: None, lambda: None)
    assert (tmp_path / "it").read_bytes() == RIGHT


PRODUCT = SimpleNamespace(id="id", stem="S2", size_bytes=None)
cuts = st.none() | st.integers(0, 1200) | st.sampled_from([0, 1, 96, 97, 98, 999, 1000])
any_steps = st.builds(
    Step,
    manner=st.sampled_from(
        ["honest", "honest", "whole", "shifted", "stale", "short", 204, 416, 501, 503]
    ),
    content=st.sampled_from([RIGHT, RIGHT, OTHER, LONGER, b""]),
    tag=st.sampled_from(['"right"', '"right"', '"other"', 'W/"right"', None, ""]),
    cut=cuts,
    ending=st.sampled_from([ConnectionResetError, TimeoutError, None]),
    has_length=st.booleans(),
)
TAGS = {RIGHT: '"right"', OTHER: '"other"', LONGER: '"longer"'}
WEAK = 'W/"any"'
honest_steps = st.builds(
    lambda content, tag, **facts: Step(
        content=content, tag=TAGS[content] if tag is None else tag, **facts
    ),
    content=st.sampled_from([RIGHT, RIGHT, OTHER, LONGER]),
    tag=st.sampled_from([None, None, None, WEAK, ""]),
    manner=st.sampled_from(
        ["honest", "careless", "careless", "shifted", "short", "whole", 416, 503]
    ),
    cut=cuts,
)


@given(st.lists(any_steps, min_size=1, max_size=6))
def test_whatever_the_server_does_the_file_is_right_or_absent(script):
    downloads, wire = scripted(script)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "x.jp2"
        try:
            downloads.file(PRODUCT, FILE, target, lambda _: None, lambda: None)
        except DataSpaceError:
            assert not list(target.parent.iterdir())
        else:
            assert target.read_bytes() == RIGHT
            assert list(target.parent.iterdir()) == [target]
    assert len(wire.asked) <= MOST_REQUESTS


@given(st.lists(honest_steps, min_size=1, max_size=6))
@example([Step(cut=500), Step("careless", OTHER, '"other"')])
@example([Step(cut=500), Step("shifted")])
@example([Step(cut=500, tag=WEAK), Step("careless", OTHER, WEAK)])
@example([Step(cut=500), Step("careless", LONGER, '"right"')])
def test_versions_are_never_mixed_even_where_nothing_is_verified(script):
    downloads, wire = scripted(script)
    with contextlib.suppress(DataSpaceError):
        assert downloads.zip(PRODUCT, b"".join) in (RIGHT, OTHER, LONGER)
    assert len(wire.asked) <= MOST_REQUESTS


@given(st.lists(st.integers(1, 999), max_size=15))
def test_a_line_that_breaks_often_moves_every_byte_once(cut):
    script = [Step(cut=one) for one in cut]
    downloads, wire = scripted([*script, Step()])
    assert downloads.zip(PRODUCT, b"".join) == RIGHT
    assert all(one.headers["If-Range"] == '"right"' for one in wire.asked[1:])
    ends = itertools.accumulate(cut)
    asked = [int(one.headers["Range"][6:-1]) for one in wire.asked[1:]]
    assert asked == [end for end, _ in zip(ends, asked, strict=False)]
    assert not wire.asked[0].headers.get("Range")


@pytest.mark.parametrize("has_length", [True, False])
def test_a_part_shorter_than_it_says_is_continued(has_length):
    downloads, wire = scripted([Step(cut=500), Step("short", has_length=has_length), Step()])
    assert downloads.zip(PRODUCT, b"".join) == RIGHT
    asked = [one.headers.get("Range") for one in wire.asked]
    assert asked == [None, "bytes=500-", "bytes=903-"]
