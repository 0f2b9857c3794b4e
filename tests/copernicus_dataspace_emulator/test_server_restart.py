"""A service that was stopped starts again on its port at once."""

import socket
from urllib.parse import urlsplit

import pytest

from copernicus_dataspace_emulator import Emulator

URLS = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")


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
