"""Which days' bytes are read when, and what is found wrong in them."""

import errno
import io
from collections import Counter
from datetime import date, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.errors import StorageUnavailableError
from copernicus_dataspace.reconcile.inspection.checksum_scan import due, scrub
from copernicus_dataspace.reconcile.removals.retirement import disown
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.item import ITEM_NAME
from copernicus_dataspace.storage.layout import bands_dir
from copernicus_dataspace.storage.store import Store
from tests.support.products.held import CREATED, FILES, file_name, held_product, hold

DAY = date(2024, 8, 1)
PRODUCT, OTHER = held_product(), held_product(1, generated="20240801T130000")
ALL_BYTES = sum(map(len, FILES.values()))

some_days = st.dates(date(2015, 6, 23), date(2035, 12, 31))
archives = st.lists(some_days, unique=True, max_size=40)
periods = st.integers(1, 400)


def nights(first, number):
    return [first + timedelta(days=n) for n in range(number)]


@given(archives, periods, some_days)
def test_every_day_has_its_turn_once_a_period(days, period, first):
    turns = Counter()
    for night in nights(first, period):
        turns.update(due(days, period, night - timedelta(days=1), night))
    assert turns == Counter(days)


@given(archives, st.integers(1, 40), some_days, st.sets(st.integers(1, 39)))
def test_turns_of_missed_nights_are_caught_up(days, period, first, missed):
    """Whichever nights nothing runs, at the end all turns of the nights between were had."""
    every, some, last = set(), set(), first
    for night in nights(first + timedelta(days=1), 40):
        own = due(days, period, night - timedelta(days=1), night)
        every.update(own)
        if (night - first).days not in missed:
            some.update(due(days, period, last, night))
            last = night
    assert some == every


@given(archives, periods, some_days, st.integers(0, 1000))
def test_after_a_long_pause_each_day_is_read_once(days, period, today, more):
    last = today - timedelta(days=period + more)
    assert due(days, period, last, today) == days


@given(archives, some_days, st.none() | some_days)
def test_with_no_period_no_day_has_a_turn(days, today, last):
    assert due(days, 0, last, today) == []


@given(archives, periods, some_days, st.integers(0, 10))
def test_a_second_look_on_a_day_reads_nothing(days, period, today, ahead):
    assert due(days, period, today + timedelta(days=ahead), today) == []


@given(archives, periods, some_days)
def test_the_first_look_reads_one_turn(days, period, today):
    assert due(days, period, None, today) == due(days, period, today - timedelta(days=1), today)


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path))


def entries(store):
    return Inventory(store).day("S2MSI2A", DAY)


def damage(store, product, band, content):
    store.write(f"{bands_dir(product)}/{file_name(product, band)}", content)


def test_right_bytes_are_found_right(store):
    hold(store, PRODUCT)
    hold(store, OTHER)
    assert scrub(store, entries(store)) == ({}, 2 * ALL_BYTES)
    assert scrub(store, []) == ({}, 0)


@pytest.mark.parametrize("bit", range(0, 8 * len(FILES["SCL_20m"]), 13))
def test_one_flipped_bit_is_found(store, bit):
    hold(store, PRODUCT)
    hold(store, OTHER)
    flipped = bytearray(FILES["SCL_20m"])
    flipped[bit // 8] ^= 1 << bit % 8
    damage(store, PRODUCT, "SCL_20m", bytes(flipped))
    wrong, read_bytes = scrub(store, entries(store))
    assert wrong == {PRODUCT.stem: [file_name(PRODUCT, "SCL_20m")]}
    assert read_bytes == 2 * ALL_BYTES


@pytest.mark.parametrize("content", [b"", FILES["SCL_20m"][:-1], FILES["SCL_20m"] + b"\0", None])
def test_what_a_listing_tells_is_not_read(store, content):
    hold(store, PRODUCT)
    if content is None:
        store.delete(f"{bands_dir(PRODUCT)}/{file_name(PRODUCT, 'SCL_20m')}")
    else:
        damage(store, PRODUCT, "SCL_20m", content)
    assert scrub(store, entries(store)) == ({}, len(FILES["B04_10m"]))


def test_a_disowned_file_is_not_read(store):
    hold(store, PRODUCT)
    damage(store, PRODUCT, "SCL_20m", b"SCENE classes")
    names = [file_name(PRODUCT, "SCL_20m")]
    assert scrub(store, entries(store))[0] == {PRODUCT.stem: names}
    disown(store, PRODUCT, names, CREATED)
    assert scrub(store, entries(store)) == ({}, len(FILES["B04_10m"]))


def test_a_product_retired_meanwhile_is_passed_over(store):
    hold(store, PRODUCT)
    hold(store, OTHER)
    known = entries(store)
    store.delete(f"{bands_dir(PRODUCT)}/{ITEM_NAME}")
    assert scrub(store, known) == ({}, ALL_BYTES)


def test_a_file_that_goes_meanwhile_is_no_damage_and_counts_as_read(store):
    hold(store, PRODUCT)
    known = entries(store)
    store.delete(f"{bands_dir(PRODUCT)}/{file_name(PRODUCT, 'SCL_20m')}")
    assert scrub(store, known) == ({}, ALL_BYTES)


class Failing(io.RawIOBase):
    """A file of which a disk can read nothing."""

    def __init__(self, number):
        self._number = number

    def readable(self):
        return True

    def readinto(self, _):
        raise OSError(self._number, "as a failing disk says")


@pytest.fixture
def failing(monkeypatch):
    """Return what lets the class image be read so often with an error."""
    really = LocalFileSystem.open

    def let(number, times):
        left = [times]

        def opened(self, path, *args, **kwargs):
            if path.endswith(file_name(PRODUCT, "SCL_20m")) and left[0]:
                left[0] -= 1
                return io.BufferedReader(Failing(number))
            return really(self, path, *args, **kwargs)

        monkeypatch.setattr(LocalFileSystem, "open", opened)

    return let


def test_a_bad_sector_is_damage(store, failing):
    hold(store, PRODUCT)
    known = entries(store)
    failing(errno.EIO, 99)
    wrong, read_bytes = scrub(store, known)
    assert wrong == {PRODUCT.stem: [file_name(PRODUCT, "SCL_20m")]}
    assert read_bytes == ALL_BYTES


def test_what_a_disk_reads_the_second_time_is_no_damage(store, failing):
    hold(store, PRODUCT)
    known = entries(store)
    failing(errno.EIO, 1)
    assert scrub(store, known) == ({}, ALL_BYTES)


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT])
def test_a_disk_that_does_not_answer_is_no_damage(store, failing, number):
    hold(store, PRODUCT)
    known = entries(store)
    failing(number, 99)
    with pytest.raises(StorageUnavailableError, match=r"SCL_20m.* cannot be read"):
        scrub(store, known)
