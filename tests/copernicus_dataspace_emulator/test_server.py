"""What the sockets make of requests that are unusual, or none."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest
import requests

from copernicus_dataspace_emulator import Emulator, Fault, make_product

AWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
URLS = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")


def pieces(text):
    for start in range(0, len(text), 7):
        yield text[start : start + 7].encode()


def test_a_body_may_come_in_chunks(emulator):
    product = emulator.add(make_product(content=False))
    name = product.name.removesuffix(".SAFE")
    asked = pieces(f'{{"ids": ["{name}"], "collections": ["sentinel-2-l2a"]}}')
    answer = requests.post(f"{emulator.stac_url}/search", data=asked, timeout=10)
    assert [item["id"] for item in answer.json()["features"]] == [name]
    form = "grant_type=password&client_id=cdse-public&username=user%40example.org"
    url = f"{emulator.identity_url}/protocol/openid-connect/token"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    full = pieces(f"{form}&password=correct+horse")
    assert requests.post(url, data=full, headers=kind, timeout=10).status_code == 200


def test_a_connection_serves_on_after_a_body_in_chunks(emulator):
    place = urlsplit(emulator.stac_url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    for _ in range(2):
        headers = {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"}
        connection.putrequest("POST", f"{place.path}/search")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b'2;a=b\r\n{"\r\nA\r\nlimit": 3}\r\n0\r\nX-Sum: 1\r\n\r\n')
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-4\r\n",
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -4\r\n\r\n",
    ],
)
def test_a_body_of_no_length_is_refused(emulator, rest):
    place = urlsplit(emulator.stac_url)
    with socket.create_connection((place.hostname, place.port), 10) as raw:
        raw.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\n" + rest)
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("service", ["identity", "catalogue", "download", "stac"])
@pytest.mark.parametrize("status", AWAY)
def test_what_the_gateway_says_is_a_page(emulator, service, status):
    emulator.faults.add(Fault(service, status=status, retry_after=4))
    answer = requests.get(f"{emulator.connection()['extra'][f'{service}_url']}/x", timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "4")
    assert answer.headers["Content-Type"] == "text/html"
    assert f"<h1>{status} {AWAY[status]}</h1>" in answer.text


def test_the_object_store_has_a_503_of_its_own(emulator):
    url = f"{emulator.s3_endpoint_url}/eodata/x"
    emulator.faults.add(Fault("s3", status=503))
    assert "<Code>SlowDown</Code>" in requests.get(url, timeout=10).text
    emulator.faults.add(Fault("s3", status=504))
    assert "<h1>504 Gateway Timeout</h1>" in requests.get(url, timeout=10).text
    emulator.faults.add(Fault("s3", kind="gateway", status=503))
    assert "<h1>503 Service Unavailable</h1>" in requests.get(url, timeout=10).text


def test_an_address_that_is_too_long_gets_the_gateways_page(emulator):
    answer = requests.get(f"{emulator.catalogue_url}/Products?$filter={'a' * 9000}", timeout=10)
    assert answer.status_code == 414
    assert "nginx" in answer.text


def ports_of(emulator):
    return tuple(urlsplit(getattr(emulator, name)).port for name in URLS)


def test_a_port_is_free_again_while_a_client_still_holds_its_connection():
    with Emulator() as first:
        ports = ports_of(first)
        held = socket.create_connection(("127.0.0.1", ports[0]))
        held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held.recv(1)
    with Emulator(ports=ports) as second:
        assert ports_of(second) == ports
    held.close()


def test_a_taken_port_is_named():
    with Emulator() as first:
        ports = ports_of(first)
        with pytest.raises(OSError, match=f"port {ports[0]}: "):
            Emulator(ports=ports)
