"""What an account gets that has moved more than its quota."""

import time

import pytest
import requests

from copernicus_dataspace_emulator import Emulator, make_product

NOW = "2026-11-20T12:00:00Z"


@pytest.fixture
def emulator():
    """A Data Space whose accounts may move little."""
    with Emulator(now=NOW, quota_bytes=100_000, ranges="honoured") as running:
        yield running


@pytest.fixture
def product(emulator):
    return emulator.add(make_product(scale=0.001))


def whole(product):
    return f"Products({product.id})/$value"


def is_slow(fetch, product):
    """Tell whether a second transfer is refused while a first one is under way."""
    with fetch(whole(product), stream=True) as first:
        second = fetch(whole(product))
        assert len(first.content) == product.zip_size
    assert second.status_code in {200, 429}
    return second.status_code == 429


def test_beyond_the_quota_there_is_one_slow_connection(emulator, product, fetch):
    assert product.zip_size > 1_000_000
    assert not is_slow(fetch, product)  # counted before anything was moved
    emulator.now = "2026-11-20T13:00:00Z"
    assert is_slow(fetch, product)
    began = time.monotonic()
    fetch(whole(product))
    assert time.monotonic() - began > product.zip_size / 1e6 - 0.2
    emulator.now = "2026-12-20T14:00:00Z"
    assert not is_slow(fetch, product)


def test_bytes_are_counted_once_an_hour(emulator, product, fetch):
    fetch(whole(product))
    emulator.now = "2026-11-20T12:59:59Z"
    assert not is_slow(fetch, product)


def test_a_part_counts_as_what_it_is(emulator, product, fetch):
    fetch(whole(product), headers={"Range": "bytes=0-99999"})
    emulator.now = "2026-11-20T14:00:00Z"
    assert not is_slow(fetch, product)


def test_a_failed_request_moves_nothing(emulator, product):
    url = f"{emulator.download_url}/{whole(product)}"
    assert requests.get(url, timeout=10).status_code == 401
    assert emulator.peak_connections == 0
