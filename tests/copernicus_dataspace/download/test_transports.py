"""Two ways to the same bytes: which one is taken, and what happens where it fails."""

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.download import downloader
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.download.transports import S3
from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    ProductUnavailableError,
    RateLimitedError,
    ServiceUnavailableError,
)
from copernicus_dataspace.limits.retry import RetryPolicy
from copernicus_dataspace.models.manifest import parse_manifest
from copernicus_dataspace.service import Service
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from tests.copernicus_dataspace.conftest import account_of, endpoints_of


@pytest.fixture
def offered(emulator):
    return emulator.add(make_product(scale=0.003))


class Fetching:
    """A client, and the files of the only product."""

    def __init__(self, client, offered, folder):
        self.client, self.offered, self.folder = client, offered, folder
        (self.product,) = client.catalogue.search(Query(sensed=MISSION))
        listed = parse_manifest(offered.read("manifest.safe"))
        self.files = {file.name[23:-4]: file for file in listed if "IMG_DATA" in file.path}

    def __call__(self, band, product=None):
        file, target = self.files[band], self.folder / band
        self.client.downloads.file(
            product or self.product, file, target, lambda _: None, lambda: None
        )
        assert target.read_bytes() == self.offered.read(file.path)

    def all_at_once(self, threads):
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self, self.files))


@pytest.fixture
def fetching(emulator, offered, sleeps, tmp_path):
    """Give a client with keys; ``keys`` replaces them."""
    clients = []

    def begin(keys=None, **settings):
        right = S3Keys(emulator.s3_access_key, emulator.s3_secret_key)
        client = Service(
            endpoints_of(emulator),
            account_of(emulator),
            s3_keys=keys or right,
            **settings,
            sleep=sleeps.append,
        )
        clients.append(client)
        return Fetching(client, offered, tmp_path)

    yield begin
    for client in clients:
        client.close()


def services(emulator):
    """Where bytes were asked for, in order."""
    return [one.service for one in emulator.requests if one.service in ("s3", "download")]


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_with_keys_all_files_come_from_the_store_without_a_token(emulator, fetching):
    fetch = fetching()
    for band in ("SCL_20m", "B02_10m"):
        fetch(band)
    fetch.client.downloads.manifest(fetch.product)
    assert services(emulator) == ["s3"] * 3
    assert not emulator.grants


def test_https_alone_never_asks_the_store(emulator, fetching):
    fetching(transport="https")("SCL_20m")
    assert services(emulator) == ["download"]


def test_without_keys_or_without_a_store_https_serves(emulator, fetching, client):
    fetch = fetching()
    fetch.client = client
    fetch("SCL_20m")
    assert services(emulator) == ["download"]


def test_a_zip_comes_by_https_in_any_case(emulator, fetching, offered):
    fetch = fetching(transport="s3")
    content = fetch.client.downloads.zip(fetch.product, b"".join)
    assert len(content) == offered.zip_size
    assert services(emulator) == ["download"]


@pytest.mark.parametrize(
    ("status", "kind"), [(403, AccessDeniedError), (404, ProductUnavailableError)]
)
def test_the_store_alone_has_no_other_way(emulator, fetching, status, kind):
    emulator.faults.add(Fault(service="s3", status=status, times=None))
    with pytest.raises(kind, match="SCL_20m"):
        fetching(transport="s3")("SCL_20m")
    assert services(emulator) == ["s3"]


def test_the_store_alone_and_no_place_in_it_is_an_error(fetching):
    fetch = fetching(transport="s3")
    with pytest.raises(DataSpaceError, match="T36TXL"):
        fetch("SCL_20m", product=_elsewhere(fetch.product))


def test_a_product_without_a_place_in_the_store_comes_by_https(emulator, fetching, caplog):
    fetch = fetching()
    fetch("SCL_20m", product=_elsewhere(fetch.product))
    fetch("B02_10m")
    assert services(emulator) == ["download", "s3"]
    assert not warnings(caplog)


def _elsewhere(product):
    return replace(product, s3_path=None)


def test_the_store_wants_keys(emulator):
    with pytest.raises(ConfigurationError, match="s3_access_key"):
        Service(endpoints_of(emulator), account_of(emulator), transport="s3")


@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_refused_keys_are_one_warning_and_no_further_attempt(emulator, fetching, caplog, wrong):
    access = "unknown" if wrong == "access" else emulator.s3_access_key
    fetch = fetching(S3Keys(access, "not the secret"))
    for band in ("SCL_20m", "B02_10m", "B03_10m"):
        fetch(band)
    assert services(emulator) == ["s3"] + ["download"] * 3
    assert len(warnings(caplog)) == 1
    assert "S3 is no longer used" in warnings(caplog)[0]
    assert "correct s3_access_key and s3_secret_key" in warnings(caplog)[0]


@pytest.mark.parametrize("access", ["unknown", None])
def test_refused_keys_are_no_matter_of_rights_where_nothing_else_is_allowed(
    emulator, fetching, access
):
    keys = S3Keys(access or emulator.s3_access_key, "not the secret")
    fetch = fetching(keys, transport="s3")
    with pytest.raises(CredentialsError, match="correct s3_access_key and s3_secret_key"):
        fetch("SCL_20m")
    assert services(emulator) == ["s3"]


@pytest.mark.parametrize("status", [400, 401, 403, 405, 500, 501])
def test_a_store_that_refuses_everything_is_left_for_https(emulator, fetching, caplog, status):
    emulator.faults.add(Fault(service="s3", status=status, times=None))
    fetch = fetching()
    fetch("SCL_20m")
    asked = services(emulator).count("s3")
    fetch("B02_10m")
    assert services(emulator)[asked:] == ["download"] * 2
    assert len([text for text in warnings(caplog) if "no longer used" in text]) == 1


class Meeting(logging.Filter):
    """Holds up each message while other threads may come to the same conclusion."""

    threads = threading.Barrier(4)

    def filter(self, _record):
        with contextlib.suppress(threading.BrokenBarrierError):
            self.threads.wait(0.5)
        return True


def test_threads_refused_together_warn_once(emulator, fetching, caplog):
    emulator.faults.add(Fault(service="s3", status=403, times=None))
    fetch, meeting = fetching(connections=4), Meeting()
    downloader.logger.addFilter(meeting)
    try:
        fetch.all_at_once(4)
    finally:
        downloader.logger.removeFilter(meeting)
    assert len([text for text in warnings(caplog) if "no longer used" in text]) == 1


def test_a_way_that_another_thread_leaves_just_now_hides_no_other(emulator, fetching, monkeypatch):
    emulator.faults.add(Fault(service="s3", status=403, times=None))
    fetch = fetching()

    def has(_store, _product):
        monkeypatch.undo()
        fetch("B02_10m")  # refused meanwhile
        return True

    monkeypatch.setattr(S3, "has", has)
    fetch("SCL_20m")
    assert services(emulator)[-1] == "download"


@pytest.mark.parametrize("fault", [{"status": 404}, {"kind": "zeros"}], ids=str)
def test_one_file_that_the_store_lacks_comes_by_https(emulator, fetching, caplog, fault):
    emulator.faults.add(Fault(service="s3", match="SCL_20m", times=None, **fault))
    fetch = fetching()
    for band in ("B02_10m", "SCL_20m", "B03_10m"):
        fetch(band)
    assert services(emulator).count("download") == 1
    assert services(emulator)[-1] == "s3"
    assert (
        len([text for text in warnings(caplog) if "Trying another transport than S3" in text]) == 1
    )


@pytest.mark.parametrize("status", [429, 503])
def test_slow_down_is_a_matter_of_pace_and_no_reason_to_leave(emulator, fetching, sleeps, status):
    emulator.faults.add(Fault(service="s3", status=status, times=2))
    fetching()("SCL_20m")
    assert services(emulator) == ["s3"] * 3
    assert not sleeps


def test_bytes_that_break_off_are_continued_from_the_store(emulator, fetching):
    emulator.faults.add(Fault(service="s3", kind="reset_body"))
    fetching()("B02_10m")
    assert services(emulator) == ["s3"] * 2


@pytest.mark.parametrize("connections", [1, 3])
def test_both_ways_together_keep_to_the_connections(tmp_path, connections):
    with Emulator(max_connections=connections, latency_s=0.01) as emulator:
        offered = emulator.add(make_product(scale=0.003))
        emulator.faults.add(Fault(service="s3", match="_B0", status=404, times=None))
        keys = S3Keys(emulator.s3_access_key, emulator.s3_secret_key)
        with Service(
            endpoints_of(emulator),
            account_of(emulator),
            connections=connections,
            s3_keys=keys,
        ) as client:
            Fetching(client, offered, tmp_path).all_at_once(8)
        assert {"s3", "download"} == set(services(emulator))
        assert 1 <= emulator.peak_connections <= connections
        assert 429 not in {one.status for one in emulator.requests}


def test_secrets_stay_out_of_logs_messages_and_addresses(emulator, fetching, caplog):
    caplog.set_level(logging.DEBUG)
    emulator.faults.add(Fault(service="s3", status=403))
    fetch = fetching()
    fetch("SCL_20m")
    emulator.faults.add(Fault(service="s3", status=403, times=None))
    with pytest.raises(AccessDeniedError) as caught:
        fetching(transport="s3")("SCL_20m")
    told = f"{caplog.text} {caught.value} {caught.value.__cause__} {S3Keys('a', 'hidden')!r}"
    sent = [f"{one.path}?{one.query}" for one in emulator.requests]
    for secret in (emulator.s3_secret_key, account_of(emulator).password, "hidden", "Signature="):
        assert not any(secret in text for text in [told, *sent])
    assert not any(one.query for one in emulator.requests if one.service == "s3")


@pytest.mark.parametrize(
    "path",
    [
        *("plain.xml", "a b/c+d.xml", "ä€\U0001f30d.xml", "(1)~'!*&=$@,;.xml", "%41%2F.xml"),
        *("what?.xml", "a#b.xml", "a%.xml", "[x]{y}|^`.xml", "a=b&c=d", "e\u0301.xml"),
    ],
)
def test_a_signature_holds_for_any_path(emulator, fetching, path):
    fetch = fetching()
    store = fetch.client.s3
    with pytest.raises(ProductUnavailableError, match="NoSuchKey"):
        store.open(fetch.product, path, "it", {"Range": "bytes=1-"}, RetryPolicy().attempts())
    assert emulator.requests[-1].path.endswith(f"{fetch.product.name}/{path}")


def test_a_store_that_is_away_is_left_after_some_attempts(emulator, fetching):
    emulator.faults.add(Fault(service="s3", kind="reset", times=None))
    fetching()("SCL_20m")
    assert services(emulator) == ["s3"] * 3 + ["download"]


def test_both_ways_failing_is_the_last_ones_error(emulator, fetching):
    for service in ("s3", "download"):
        emulator.faults.add(Fault(service=service, kind="reset", times=None))
    with pytest.raises(ServiceUnavailableError, match="SCL_20m"):
        fetching()("SCL_20m")
    with pytest.raises(ServiceUnavailableError, match="B02_10m"):
        fetching()("B02_10m")


LONG_WAIT = {"status": 429, "retry_after": 3600, "times": None}


def test_a_long_wait_holds_for_all_that_follows(emulator, fetching):
    emulator.faults.add(Fault(service="download", **LONG_WAIT))
    fetch = fetching(transport="https", connections=4)
    for ask in (
        lambda: fetch("SCL_20m"),
        lambda: fetch("B02_10m"),
        lambda: fetch.client.downloads.manifest(fetch.product),
        lambda: fetch.client.downloads.zip(fetch.product, b"".join),
        lambda: fetch.all_at_once(4),
    ):
        with pytest.raises(RateLimitedError) as caught:
            ask()
        assert caught.value.retry_after_s == 3600
    assert services(emulator) == ["download"]


def test_a_long_wait_is_met_once_by_each_connection_at_most(emulator, fetching):
    emulator.faults.add(Fault(service="download", **LONG_WAIT))
    fetch = fetching(transport="https", connections=2)
    assert len(fetch.files) > 20
    with pytest.raises(RateLimitedError):
        fetch.all_at_once(4)
    assert 1 <= len(services(emulator)) <= 2


def test_a_long_wait_of_the_store_gives_way_to_https(emulator, fetching):
    emulator.faults.add(Fault(service="s3", **LONG_WAIT))
    fetch = fetching()
    fetch("SCL_20m")
    fetch("B02_10m")
    assert services(emulator) == ["s3", "download", "download"]
