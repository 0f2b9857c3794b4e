"""The catalogue's calendar, and what is due in it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from copernicus_dataspace_emulator import Emulator, make_product


def test_a_calendar_stands_still_unless_told_otherwise(emulator):
    assert emulator.clock() == emulator.clock()
    emulator.now = "2024-01-01T00:00:00Z"
    assert emulator.clock() == datetime(2024, 1, 1, tzinfo=UTC)
    emulator.now = None
    assert abs(datetime.now(UTC) - emulator.clock()) < timedelta(seconds=5)


def test_a_calendar_may_run_ahead():
    with Emulator(now="2024-08-01T00:00:00Z", clock_speed=86400) as emulator:
        first = emulator.clock()
        time.sleep(0.1)
        assert emulator.clock() - first > timedelta(hours=2)
        emulator.now = "2024-01-01T00:00:00Z"
        assert emulator.clock() < datetime(2024, 1, 2, tzinfo=UTC)


def test_what_is_due_is_done_when_its_time_has_come(emulator, search):
    product = emulator.add(make_product(content=False))
    emulator.remove(product.id, "Corrupted product", at="2026-11-21T00:00:00Z")
    assert len(search(f"Id eq {product.id}").json()["value"]) == 1
    emulator.now = "2026-11-22T00:00:00Z"
    assert search(f"Id eq {product.id}").json()["value"] == []
    (row,) = search(f"Id eq {product.id}", listing="DeletedProducts").json()["value"]
    assert row["DeletionDate"] == "2026-11-21T00:00:00.000000Z"
    assert row["DeletionCause"] == "Corrupted product"


def test_what_was_due_is_done_at_once(emulator, search):
    product = emulator.add(make_product(content=False))
    emulator.remove(product.id, at="2026-11-19T00:00:00Z")
    assert search(f"Id eq {product.id}").json()["value"] == []
    with pytest.raises(ValueError, match="Unknown cause"):
        emulator.remove(product.id, "Boredom", at="2026-11-19T00:00:00Z")
