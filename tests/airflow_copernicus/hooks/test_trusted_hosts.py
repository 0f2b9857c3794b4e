"""Passwords, tokens and keys go to hosts that the installation trusts, to no other."""

import json
import re
import socket
import threading
from pathlib import Path

import pytest

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.operators import CopernicusSearchOperator
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.http.endpoints import Endpoints
from tests.airflow_copernicus.conftest import make_context

ROOT = Path(__file__).parents[3]
URLS = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")
VARIABLE = "COPERNICUS_TRUSTED_HOSTS"
OPTION = "AIRFLOW__COPERNICUS__TRUSTED_HOSTS"
ADVICE = "add the host to trusted_hosts in the section"
KEYS = {"s3_access_key": "key-of-the-store", "s3_secret_key": "secret-of-the-store"}

FOREIGN = [
    "https://evil.example",
    "http://download.dataspace.copernicus.eu/odata/v1",
    "https://download.dataspace.copernicus.eu:8443/odata/v1",
    "https://download.dataspace.copernicus.eu:0",
    "https://dataspace.copernicus.eu",
    "https://evildataspace.copernicus.eu",
    "https://download.dataspace.copernicus.eu.evil.example",
    "https://download-dataspace.copernicus.eu",
    "https://dataspace.copernicus.eu.",
    "https://download.dataspace.copernicus.eu.",
    "https://xn--dataspace-x3a.copernicus.eu",
    "http://localhost.evil.example",
    "http://evil.localhost",
    "http://localhost.",
    "http://127.0.0.1.nip.io",
    "http://127.evil.example",
    "http://127.1",
    "http://127.0.0.1.",
    "http://127.0.0.01",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://0",
    "http://0.0.0.0",
    "http://128.0.0.1",
    "http://[::]",
    "http://[::2]",
    "http://[::ffff:127.0.0.1]",
    "http://[fe80::1]",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1",
]
MALFORMED = [
    "https://127.0.0.1@evil.example",
    "https://:x@127.0.0.1",
    "https://@evil.example",
    "https://evil.example\\@127.0.0.1",
    "https://evil.example\\.dataspace.copernicus.eu",
    "https://evil.example\t.dataspace.copernicus.eu",
    "https://evil.example\n.dataspace.copernicus.eu",
    "https://evil.example .dataspace.copernicus.eu",
    "https://evil.example#.dataspace.copernicus.eu",
    "https://evil.example?.dataspace.copernicus.eu",
    "https://d\u043ewnload.dataspace.copernicus.eu",
    "https://evil.example\uff0fx.dataspace.copernicus.eu",
    "https://evil\u3002example",
    "https://evil.example%2f.dataspace.copernicus.eu",
    "https://..dataspace.copernicus.eu",
    "http://[::1%25eth0]",
    "http://[127.0.0.1]",
    "http://[x",
    "http://127.0.0.1:port",
    "http://127.0.0.1:99999",
    "file:///etc/passwd",
    "gopher://127.0.0.1",
    "//127.0.0.1",
    "127.0.0.1",
    ["https://download.dataspace.copernicus.eu"],
    5,
]


@pytest.fixture
def listener():
    """A port of this machine, and what is sent to it."""
    heard = []
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        line.settimeout(0.2)
        over = threading.Event()

        def listen():
            while not over.is_set():
                try:
                    one, _ = line.accept()
                except TimeoutError:
                    continue
                with one:
                    one.settimeout(1)
                    heard.append(one.recv(65536))

        thread = threading.Thread(target=listen)
        thread.start()
        yield line.getsockname()[1], heard
        over.set()
        thread.join()


@pytest.mark.parametrize("field", URLS)
def test_nothing_is_sent_to_a_host_nobody_trusts(emulator, connect, tmp_path, listener, field):
    port, heard = listener
    foreign = f"http://127.1:{port}"  # leads here, and is not how this machine is written
    connect(emulator.connection(**KEYS, **{field: foreign}))
    passed, words = CopernicusHook().test_connection()
    assert not passed
    for each in (field, foreign, ADVICE, "'copernicus_default'"):
        assert each in words
    search = CopernicusSearchOperator(
        task_id="search",
        bands=["SCL_20m"],
        tiles=["36TXL"],
        output_uri=(tmp_path / "output").as_uri(),
    )
    with pytest.raises(ConfigurationError, match=rf"\({field}\) has the host"):
        search.execute(make_context())
    with pytest.raises(ConfigurationError, match=ADVICE):
        CopernicusHook().search_frame(tiles="36TXL", first_day="2024-08-01")
    assert heard == []
    assert emulator.requests == []


@pytest.mark.parametrize("url", FOREIGN)
def test_a_host_that_only_looks_trusted_is_not(connect, emulator, url):
    connect(emulator.connection(identity_url=url))
    with pytest.raises(ConfigurationError, match=rf"\(identity_url\) has the host .*{ADVICE}"):
        CopernicusHook().get_conn()


@pytest.mark.parametrize("url", MALFORMED, ids=ascii)
def test_an_address_that_may_be_read_in_two_ways_is_refused(connect, emulator, url):
    connect(emulator.connection(identity_url=url))
    with pytest.raises(ConfigurationError, match=r"\(identity_url\) (is no|must not contain)"):
        CopernicusHook().get_conn()
    assert CopernicusHook().test_connection()[0] is False


@pytest.mark.parametrize(
    "url",
    [
        "https://download.dataspace.copernicus.eu/odata/v1",
        "HTTPS://Download.DataSpace.Copernicus.EU:443/odata/v1",
        "http://127.0.0.1:8080",
        "http://127.8.9.10",
        "http://localhost:8080",
        "http://LocalHost",
        "http://[::1]:8080",
        "http://[0:0:0:0:0:0:0:1]",
        "https://localhost",
    ],
)
def test_the_service_and_this_machine_are_trusted(connect, emulator, url):
    connect(emulator.connection(**dict.fromkeys(URLS, url)))
    CopernicusHook().get_conn().close()


@pytest.mark.parametrize(
    ("named", "url", "is_trusted"),
    [
        ("emulator", "http://emulator:9443/auth", True),
        ("emulator", "http://EMULATOR", True),
        ("Emulator", "http://emulator", True),
        ("other, emulator ,", "https://emulator", True),
        ("emulator:9443", "http://emulator:9443", True),
        ("emulator:9443", "http://emulator:9444", False),
        ("emulator:9443", "http://emulator", False),
        ("emulator:443", "https://emulator", True),
        ("emulator:80", "http://emulator", True),
        ("emulator:80", "https://emulator", False),
        ("emulator", "http://emulator.evil.example", False),
        ("emulator", "http://my-emulator", False),
        ("example.org", "http://sub.example.org", False),
        ("[fd00::5]:80", "http://[fd00:0::5]", True),
        ("[fd00::5]", "http://[fd00::5]:9443", True),
        ("10.0.0.1", "http://10.0.0.1:9443", True),
        ("10.0.0.1", "http://10.0.0.10:9443", False),
        ("download.dataspace.copernicus.eu", "http://download.dataspace.copernicus.eu", True),
        ("", "http://emulator", False),
    ],
)
def test_the_installation_names_hosts_and_ports(
    connect, emulator, monkeypatch, named, url, is_trusted
):
    monkeypatch.setenv(OPTION, named)
    connect(emulator.connection(download_url=url))
    if is_trusted:
        CopernicusHook().get_conn().close()
    else:
        with pytest.raises(ConfigurationError, match=r"\(download_url\) has the host"):
            CopernicusHook().get_conn()


def test_the_option_counts_before_the_earlier_variable(connect, emulator, monkeypatch):
    monkeypatch.setenv(VARIABLE, "earlier")
    connect(emulator.connection(download_url="http://earlier"))
    CopernicusHook().get_conn().close()
    monkeypatch.setenv(OPTION, "emulator")
    with pytest.raises(ConfigurationError, match="download_url has the host"):
        CopernicusHook().get_conn()
    connect(emulator.connection(download_url="http://emulator"))
    CopernicusHook().get_conn().close()


@pytest.mark.parametrize(
    "named", ["https://emulator", "*", "*.example.org", "a b", "x@y", "h:port"]
)
def test_what_is_no_host_in_the_option_is_said(connect, emulator, monkeypatch, named):
    monkeypatch.setenv(OPTION, named)
    connect(emulator.connection(download_url="http://emulator"))
    with pytest.raises(
        ConfigurationError, match=rf"airflow\.cfg: {re.escape(repr(named))} is not a host"
    ):
        CopernicusHook().get_conn()
    connect(emulator.connection())
    assert CopernicusHook().test_connection()[0]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example\\.dataspace.copernicus.eu/x",
        "https://evil.example\t.dataspace.copernicus.eu/x",
        "https://evil.example%2f.dataspace.copernicus.eu/x",
        "https://..dataspace.copernicus.eu/x",
        "https://@download.dataspace.copernicus.eu/x",
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "http://localhost/x",
        "https://emulator/x",
    ],
)
def test_the_real_service_cannot_send_a_token_elsewhere(monkeypatch, target):
    monkeypatch.setenv(VARIABLE, "emulator")
    assert not Endpoints().owns(target)


def test_one_part_elsewhere_takes_nothing_to_the_others_hosts():
    mixed = Endpoints.resolve(
        identity_url="https://identity.dataspace.copernicus.eu/auth/realms/CDSE",
        download_url="http://127.0.0.1:9445/odata/v1",
    )
    assert mixed.owns("http://127.0.0.1:9445/x")
    assert not mixed.owns("http://127.0.0.1:9446/x")
    assert not mixed.owns("https://zipper.dataspace.copernicus.eu/x")


def test_the_compose_demo_names_the_emulator():
    text = (ROOT / ".env.example").read_text()
    demo = dict(re.findall(r"^#([A-Z0-9_]+)=(.+)$", text, re.M))
    urls = {name: demo[f"COPERNICUS_{name.upper()}"] for name in URLS}
    assert Endpoints.resolve(**urls).untrusted(demo[VARIABLE].split(",")) == {}
    assert set(Endpoints.resolve(**urls).untrusted(())) == set(URLS)


def test_a_caller_of_the_library_names_whom_he_trusts(emulator):
    assert Endpoints.resolve(catalogue_url="http://service.example").owns(
        "http://service.example/x"
    )


def test_the_refusal_shows_no_secret(emulator, connect):
    connection = emulator.connection(**KEYS, identity_url="https://evil.example/x")
    connect(connection)
    with pytest.raises(DataSpaceError) as raised:
        CopernicusHook().get_conn()
    shown = json.dumps([str(raised.value), CopernicusHook().test_connection()[1]])
    assert connection["password"] not in shown
    assert KEYS["s3_secret_key"] not in shown
