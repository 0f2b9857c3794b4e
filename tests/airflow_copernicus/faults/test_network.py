"""Faults of the network and of what was entered: each says its cause, and is decided by it."""

import contextlib
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from airflow_copernicus.hooks.copernicus import CopernicusHook
from copernicus_dataspace.errors import (
    ConfigurationError,
    DataSpaceError,
    PermanentError,
    StoppedError,
    TransientError,
)
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.http.endpoints import Endpoints
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of
from tests.support.faults import fault_network
from tests.support.faults.between import Stage
from tests.support.faults.wires import Mute, Proxy, TlsFront

ENCODED = "user:p%40ss%2Fof%23proxy@"


@pytest.fixture
def yesterday():
    return (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


@pytest.fixture
def stage(emulator, connect, monkeypatch, tmp_path, yesterday):
    """A service with one product of yesterday, which the Test button asks for."""
    emulator.now = None
    emulator.product = emulator.add(lake_product(sensed=f"{yesterday}T08:36:01.024Z", scale=0.002))
    with Stage(emulator, connect, monkeypatch, tmp_path) as made:
        yield made


@pytest.fixture
def connected(stage):
    return stage.emulator


@pytest.fixture
def attempt(ingest, yesterday):
    """Return what runs the chain for yesterday and gives its errors."""

    def run():
        try:
            return ingest(make_context(yesterday)).errors
        except DataSpaceError as error:
            return [error]

    return run


@pytest.mark.parametrize("fault", fault_network.FAULTS, ids=str)
def test_a_fault_says_its_cause_and_is_decided_by_it(fault, stage, attempt, caplog):
    caplog.set_level(logging.DEBUG, "copernicus_dataspace")
    fault.arrange(stage)
    error = attempt()[0]
    assert type(error) is fault.error
    assert isinstance(error, TransientError if fault.may_pass else PermanentError)
    assert fault.says in str(error)
    passed, words = CopernicusHook().test_connection()
    told = f"{caplog.text}{error}{error.__cause__}{words}"
    assert fault.says in words
    assert passed is fault.passes_test
    secrets = ["horse", "p@ss", "%40ss", "word\n", stage.emulator.s3_secret_key]
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize("transport", ["https", "s3"])
def test_all_ways_lead_through_a_proxy_that_puts_its_own_certificates_in_place(
    stage, attempt, tmp_path, transport
):
    proxy = stage.real_service(login=fault_network.LOGIN, as_user=ENCODED)
    account = stage.emulator.connection()
    stage.connection({**account, "extra": {**stage.emulator.s3_keys, "transport": transport}})
    assert attempt() == []
    product = stage.emulator.product
    (file,) = tmp_path.rglob("*_SCL_20m.jp2")
    assert file.read_bytes() == product.read(scl_of(product))
    assert {place.partition(".")[0] for place in proxy.asked} >= {
        *("identity", "catalogue", "stac"),
        "eodata" if transport == "s3" else "download",
    }
    assert CopernicusHook().test_connection()[0]


@pytest.mark.parametrize(
    "login",
    [
        *("user:p@ss/of#proxy", "user:p@ss?x", "user:a/b@c", "user:p[q@r/", "user:x\\y@z"),
        *("CORP\\anna:pw", "CORP\\anna", "\\anna:pw"),
    ],
)
def test_nothing_of_a_proxys_login_goes_to_a_name_server(stage, attempt, monkeypatch, login):
    asked, resolve = [], socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        asked.append(host)
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Nothing is asked of a real one")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stage.real_service()
    stage.env(HTTPS_PROXY=f"http://{login}@127.0.0.1:9")
    (error,) = attempt()
    assert type(error) is ConfigurationError
    assert "%5C" in str(error)
    assert set(asked) <= {"127.0.0.1", "localhost"}


def test_a_stop_ends_what_waits_behind_a_proxy_that_is_reached_by_tls(stage):
    file = stage.authority(is_trusted=True).certificate("localhost")
    mute = stage.start(Mute())
    target = stage.start(TlsFront(mute.port, file))
    way = stage.start(TlsFront(stage.start(Proxy()).port, file))
    stage.env(HTTPS_PROXY=f"https://localhost:{way.port}")
    url = f"https://localhost:{target.port}"
    http = Http(Endpoints.resolve(catalogue_url=url))
    with contextlib.closing(http), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.get, url, what="an answer")
        assert mute.was_asked.wait(20)
        http.stop()
        assert type(waiting.exception(20)) is StoppedError


@pytest.mark.parametrize(
    "address", ["127.0.0.1:{}", "http://127.0.0.1:{}/", "http://u:p@s@localhost:{}"]
)
def test_a_proxy_may_be_written_as_others_take_it(stage, attempt, address):
    proxy = stage.real_service()
    stage.env(HTTPS_PROXY=address.format(proxy.port))
    assert attempt() == []


def test_nothing_that_lasts_is_asked_for_twice(stage, attempt):
    proxy = stage.real_service(login=fault_network.LOGIN)
    attempt()
    assert proxy.connections == 1


def test_a_proxy_that_s3_alone_cannot_pass_leaves_the_other_way(stage, attempt):
    stage.env(HTTPS_PROXY="http://127.0.0.1:9")
    stage.entered(s3_endpoint_url="https://localhost:1")
    assert attempt() == []
