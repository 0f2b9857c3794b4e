"""What an approval lets go, and which runs ask, whatever the plans before."""

import hashlib
import os
from datetime import UTC, datetime

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product_state import (
    ProductState,
    RemovalPolicy,
    StateAfterRepair,
)
from copernicus_dataspace.reconcile.inspection.findings import Finding, Terms
from copernicus_dataspace.reconcile.inspection.product_check import ProductCheck
from copernicus_dataspace.reconcile.removal_limits import agreed
from copernicus_dataspace.reconcile.removals.record import RemovalRecord
from copernicus_dataspace.reconcile.removals.requests import Removal, Request
from copernicus_dataspace.reconcile.repair import RepairResult
from copernicus_dataspace.stac.item import ITEM_NAME
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path
from copernicus_dataspace.storage.store import Store
from tests.support.products.held import FILES, INGEST, file_name, held_product, hold

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
PRODUCTS = [held_product(number) for number in range(6)]
lines = st.sets(st.tuples(st.integers(0, 5), st.sampled_from(RemovalPolicy)))


def removal(number, policy):
    return Removal.of(Finding(PRODUCTS[number], ProductState.SUPERSEDED), policy)


def plan_of(chosen):
    return tuple(removal(*one) for one in sorted(chosen))


@given(lines, lines, lines, lines, st.booleans())
def test_only_what_all_of_them_name_goes(found, approved, asked, rejected, again):
    outcomes = [
        RepairResult(
            Finding(PRODUCTS[number], ProductState.SUPERSEDED),
            "",
            StateAfterRepair.KEPT,
            removal(number, policy),
        )
        for number, policy in sorted(found)
    ]
    record = RemovalRecord(request=Request(plan_of(asked), NOW, "run"), rejected=plan_of(rejected))
    may = agreed(record, outcomes, plan_of(approved), with_rejected=again)
    names = {(PRODUCTS.index(one.finding.product), one.removal.policy) for one in may}
    assert names == found & approved & (asked | rejected if again else asked)


@pytest.fixture
def store():
    return Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")


PRODUCT = held_product()
SCL = f"{bands_dir(PRODUCT)}/{file_name(PRODUCT, 'SCL_20m')}"


def wrong(store, product=PRODUCT, **terms):
    wanted = Terms(INGEST, "S2MSI2A", ("SCL_20m",), **terms)
    return ProductCheck(store, wanted, [product]).wrong_files(product)


def test_right_bytes_are_right(store):
    hold(store, PRODUCT)
    assert wrong(store) == []


@pytest.mark.parametrize("content", [b"", b"scene classes!", FILES["SCL_20m"][:-1] + b"x", None])
def test_every_byte_is_compared_whatever_the_size(store, content):
    hold(store, PRODUCT)
    store.delete(SCL) if content is None else store.write(SCL, content)
    assert wrong(store) == [file_name(PRODUCT, "SCL_20m")]


@pytest.mark.parametrize("item", [None, b"", b"{", b"[]"])
def test_without_a_readable_item_nothing_is_right(store, item):
    hold(store, PRODUCT)
    path = f"{bands_dir(PRODUCT)}/{ITEM_NAME}"
    store.delete(path) if item is None else store.write(path, item)
    assert wrong(store) == [ITEM_NAME]


def test_a_kept_zip_is_compared_with_the_catalogues_checksum(store):
    content = b"a whole zip"
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    product = held_product(checksum=Checksum("MD5", digest), size_bytes=len(content))
    hold(store, product, zipped=content)
    assert wrong(store, product, keep_archive=True) == []
    store.write(kept_zip_path(product), b"a whole zi_")
    assert wrong(store, product, keep_archive=True) == [kept_zip_path(product)]
    assert wrong(store, product) == []
