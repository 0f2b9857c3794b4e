"""Single requests against a misbehaving service; whole runs are tested with the operators."""

import contextlib
import hashlib
import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.errors import (
    AccessDeniedError,
    CorruptDownloadError,
    CredentialsError,
    ProductUnavailableError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
)
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.service import ClientOptions, Service
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from tests.copernicus_dataspace.conftest import QUICK, account_of, endpoints_of

SENSED = "2024-08-01T08:36:01.024Z"


@pytest.fixture
def offered(emulator):
    return emulator.add(make_product(tile="36TXL", sensed=SENSED, scale=0.01))


@pytest.fixture
def product(client, offered):
    (found,) = client.catalogue.search(Query(sensed=MISSION, product_ids=(offered.id,)))
    return found


@pytest.fixture
def fetch(client, product, tmp_path):
    """Fetch the SCL; return its path."""

    def run():
        files = client.downloads.manifest(product)
        (scl,) = (file for file in files if file.path.endswith("_SCL_20m.jp2"))
        target = tmp_path / scl.name
        client.downloads.file(product, scl, target, lambda _: None, lambda: None)
        return target

    return run


def downloads(emulator):
    return [request for request in emulator.requests if request.service == "download"]


def scl_of(offered):
    (path,) = (path for path in offered.files if path.endswith("_SCL_20m.jp2"))
    return offered.read(path)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502},
        {"status": 503},
        {"status": 429},
        {"status": 429, "retry_after": 2},
        {"kind": "reset"},
        {"kind": "reset_body"},
        {"kind": "short_body"},
        {"kind": "short_length"},
        {"kind": "flipped_bit"},
        {"kind": "zeros"},
        {"kind": "json"},
        {"kind": "html"},
        {"kind": "malformed_json"},
        {"kind": "expired_token"},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["manifest.safe", "SCL_20m"])
def test_a_fault_that_happens_once_heals(emulator, offered, fetch, tmp_path, fault, where):
    emulator.faults.add(Fault(service="download", match=where, **fault))
    assert fetch().read_bytes() == scl_of(offered)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 500}, ServiceUnavailableError),
        ({"status": 503}, ServiceUnavailableError),
        ({"status": 429}, RateLimitedError),
        ({"status": 403}, AccessDeniedError),
        ({"status": 404}, ProductUnavailableError),
        ({"kind": "reset"}, ServiceUnavailableError),
        ({"kind": "reset_body"}, ServiceUnavailableError),
        ({"kind": "short_body"}, ServiceUnavailableError),
        ({"kind": "short_length"}, CorruptDownloadError),
        ({"kind": "flipped_bit"}, CorruptDownloadError),
        ({"kind": "zeros"}, CorruptDownloadError),
        ({"kind": "json"}, CorruptDownloadError),
        ({"kind": "html"}, CorruptDownloadError),
        ({"kind": "redirect_loop"}, ServiceUnavailableError),
        ({"kind": "redirect"}, RefusedRequestError),
        ({"kind": "wrong_audience"}, CredentialsError),
        ({"kind": "expired_token"}, CredentialsError),
    ],
    ids=str,
)
def test_a_fault_that_stays_is_named_and_leaves_nothing(emulator, fetch, tmp_path, fault, kind):
    emulator.faults.add(Fault(service="download", match="SCL_20m", times=None, **fault))
    with pytest.raises(kind) as caught:
        fetch()
    assert "T36TXL" in str(caught.value)
    assert "SCL_20m" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"kind": "wrong_audience"}, {"kind": "redirect"}], ids=str
)
def test_what_is_permanent_is_asked_once(emulator, fetch, sleeps, fault):
    emulator.faults.add(Fault(service="download", match="SCL_20m", times=None, **fault))
    with pytest.raises(Exception, match="SCL_20m"):
        fetch()
    assert sum("SCL_20m" in request.path for request in downloads(emulator)) == 1
    assert sleeps == []


def test_an_expired_token_is_renewed_once_in_the_middle(emulator, offered, fetch):
    fetch()
    emulator.expire_tokens()
    assert fetch().read_bytes() == scl_of(offered)
    assert sum(emulator.grants.values()) == 2


def test_a_short_lived_token_is_renewed_while_the_work_goes_on(sleeps, tmp_path):
    with Emulator(token_lifetime_s=1) as emulator:
        emulator.add(make_product(tile="36TXL", sensed=SENSED, scale=0.01))
        with Service(endpoints_of(emulator), account_of(emulator)) as client:
            (product,) = client.catalogue.search(Query(sensed=MISSION, tiles=("36TXL",)))
            files = client.downloads.manifest(product)
            for _ in range(4):
                for file in files:
                    client.downloads.file(
                        product, file, tmp_path / "x", lambda _: None, lambda: None
                    )
        refused = [request for request in emulator.requests if request.status == 401]
        assert emulator.grants["password"] == 1
        assert emulator.grants["refresh_token"] >= 1
        assert len(refused) <= emulator.grants["refresh_token"]


def test_no_request_uses_head_or_range_or_lacks_a_user_agent(emulator, fetch):
    fetch()
    assert {request.method for request in emulator.requests} == {"GET", "POST"}
    assert all(request.user_agent for request in emulator.requests)
    assert not any("token=" in request.query for request in emulator.requests)


def test_the_token_goes_to_the_download_service_only(emulator, fetch):
    fetch()
    carrying = {request.service for request in emulator.requests if request.authorization}
    assert carrying == {"download"}


def test_an_archive_is_given_as_it_is(client, product, offered):
    content = client.downloads.zip(product, b"".join)
    assert hashlib.md5(content).hexdigest() == offered.md5  # noqa: S324


def test_late_slots_are_waited_for(sleeps, tmp_path):
    with Emulator(max_connections=1, late_release_s=0.5) as emulator:
        emulator.add(make_product(tile="36TXL", sensed=SENSED, scale=0.01))
        with Service(endpoints_of(emulator), account_of(emulator)) as client:
            (product,) = client.catalogue.search(Query(sensed=MISSION, tiles=("36TXL",)))
            files = client.downloads.manifest(product)
            client.downloads.file(product, files[0], tmp_path / "x", lambda _: None, lambda: None)
        assert any(request.status == 429 for request in emulator.requests)
        assert emulator.peak_connections <= 1


def test_spacing_is_kept(emulator, offered):
    with Service(
        endpoints_of(emulator), account_of(emulator), options=ClientOptions(request_spacing_s=0.2)
    ) as client:
        for _ in range(3):
            client.catalogue.search(Query(sensed=MISSION, product_ids=(offered.id,)))
    starts = sorted(request.started for request in emulator.requests)
    assert min(b - a for a, b in itertools.pairwise(starts)) >= 0.19


def test_a_netrc_file_is_never_used(emulator, offered, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with Service(endpoints_of(emulator), account_of(emulator)) as client:
        client.catalogue.search(Query(sensed=MISSION, product_ids=(offered.id,)))
    assert not any(request.authorization for request in emulator.requests)


@pytest.mark.parametrize(("status", "tries"), [(429, 3), (503, 3)])
def test_an_identity_service_that_is_away_is_asked_by_one_thread_only(
    emulator, sleeps, tmp_path, status, tries
):
    emulator.faults.add(Fault(service="identity", status=status, times=None))
    for day in (1, 2, 3, 4):
        emulator.add(make_product(sensed=f"2024-08-0{day}T08:36:01.024Z", scale=0.003))
    outcomes, store = [], Store(LocalFileSystem(), str(tmp_path))
    with Service(
        endpoints_of(emulator),
        account_of(emulator),
        connections=4,
        sleep=sleeps.append,
        limits=QUICK,
    ) as client:
        jobs = [
            ProductJob(
                store, RunLayout("dag", "run"), product, DeliveryOptions(("SCL_20m", "B02_60m"))
            )
            for product in client.catalogue.search(Query(sensed=MISSION))
        ]
        outcomes = [staged.error for staged in stage(jobs, client, lambda *_: lambda _: None)]
        assert client.statistics.waiting_s == pytest.approx(sum(sleeps), abs=0.5)
    assert [f"identity service: HTTP {status}" in str(one) for one in outcomes] == 4 * [True]
    assert len([one for one in emulator.requests if one.service == "identity"]) == tries
    assert not downloads(emulator)


@pytest.mark.parametrize(
    "location", ["http://[bad", "http://127.0.0.1:99999/x", "https://x:port/", "//a\\b@c/"]
)
def test_a_malformed_redirect_is_not_followed(emulator, fetch, location):
    fault = {"kind": "redirect", "match": "SCL_20m", "location": location, "times": None}
    emulator.faults.add(Fault(service="download", **fault))
    with pytest.raises(RefusedRequestError, match=r"SCL_20m\S*: redirected to .* not followed"):
        fetch()


@pytest.fixture
def http(emulator):
    with contextlib.closing(Http(endpoints_of(emulator))) as made:
        yield made


@pytest.mark.parametrize(
    ("header", "waits_s"),
    [
        ("1.5", 1.5),
        (" 2 ", 2),
        ("\xb2", None),
        ("1,5", None),
        ("-3", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
    ],
)
def test_a_retry_after_is_read_or_left(emulator, http, header, waits_s):
    emulator.faults.add(Fault(service="stac", status=503, retry_after=header, times=None))
    with pytest.raises(ServiceUnavailableError) as caught:
        http.get(emulator.stac_url, what="it")
    assert caught.value.retry_after_s == waits_s


@pytest.mark.parametrize("zone", ["-0000", "GMT", "+0000"])
def test_a_date_without_zone_is_utc(emulator, http, monkeypatch, zone):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    until = datetime.now(UTC) + timedelta(minutes=5)
    header = until.strftime(f"%a, %d %b %Y %H:%M:%S {zone}")
    emulator.faults.add(Fault(service="stac", status=503, retry_after=header, times=None))
    try:
        with pytest.raises(ServiceUnavailableError) as caught:
            http.get(emulator.stac_url, what="it")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert caught.value.retry_after_s == pytest.approx(300, abs=5)
