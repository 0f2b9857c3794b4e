from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.ingest.quota import Usage
from copernicus_dataspace.storage.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path))


def note(store, days_ago, name, account="a"):
    day = datetime.now(UTC) - timedelta(days=days_ago)
    store.write(f"runs/.usage/{account}/{day:%Y-%m-%d}/{name}", b"")


def test_what_was_moved_in_thirty_days_is_summed_for_each_account(store):
    assert Usage(store, "a").total_bytes() == 0
    Usage(store, "a").add(5)
    Usage(store, "a").add(7)
    Usage(store, "a").add(0)
    Usage(store, "b").add(1000)
    note(store, 30, "100-0123456789ab")
    note(store, 31, "90000-0123456789ab")
    assert Usage(store, "a").total_bytes() == 112
    assert Usage(store, "b").total_bytes() == 1000


def test_files_that_are_no_notes_do_not_count(store):
    for name in ("readme.txt", "12", "-5-0123456789ab", f"{10**30}-0123456789ab", "1-x"):
        note(store, 1, name)
    store.write("runs/.usage/a/5-0123456789ab", b"")
    assert Usage(store, "a").total_bytes() == 0


def test_only_what_no_longer_counts_is_swept(store, tmp_path):
    for days_ago in (0, 30, 31, 400):
        note(store, days_ago, "1-0123456789ab")
    assert Usage(store, "a").sweep() == 2
    assert len(list(tmp_path.glob("runs/.usage/a/*"))) == 2
    assert Usage(store, "a").total_bytes() == 2
