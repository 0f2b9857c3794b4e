"""What an account gets that has moved more than its quota."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from dataspace_emulator import Emulator, make_product

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


def seconds(fetch, product):
    began = time.monotonic()
    answer = fetch(whole(product))
    assert len(answer.content) == product.zip_size
    return time.monotonic() - began


def test_beyond_the_quota_there_is_one_slow_connection(emulator, product, fetch):
    assert product.zip_size > 1_000_000
    assert seconds(fetch, product) < 0.8  # looked at before anything was moved
    emulator.now = "2026-11-20T13:00:00Z"
    assert seconds(fetch, product) > product.zip_size / 1e6 - 0.2
    with ThreadPoolExecutor(3) as pool:
        statuses = [one.status_code for one in pool.map(fetch, [whole(product)] * 3)]
    assert sorted(statuses) == [200, 429, 429]
    emulator.now = "2026-12-20T14:00:00Z"
    assert seconds(fetch, product) < 0.8


def test_the_quota_is_looked_at_once_an_hour(emulator, product, fetch):
    fetch(whole(product))
    emulator.now = "2026-11-20T12:59:59Z"
    assert seconds(fetch, product) < 0.8


def test_parts_and_other_accounts_count_for_themselves(emulator, product, fetch):
    fetch(whole(product), headers={"Range": "bytes=0-99999"})
    emulator.now = "2026-11-20T14:00:00Z"
    assert seconds(fetch, product) < 0.8


def test_a_failed_request_moves_nothing(emulator, product):
    url = f"{emulator.download_url}/{whole(product)}"
    assert requests.get(url, timeout=10).status_code == 401
    assert emulator.peak_connections == 0
