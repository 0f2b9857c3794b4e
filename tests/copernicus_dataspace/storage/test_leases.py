"""Of several runs that want a product, one has it."""

import json
import time
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.errors import InProgressError
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.storage import leases as module
from copernicus_dataspace.storage.layout import RunLayout, lease_path
from copernicus_dataspace.storage.leases import Lease, Leases
from copernicus_dataspace.storage.store import Store

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RIVALS = 8


class Heedless(Store):
    """Storage that takes ``If-None-Match`` and does not look at it."""

    def create(self, path, content):
        self.write(path, content)
        return True


@pytest.fixture
def product():
    name = "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T120000.SAFE"
    return Product(id="an id", name=name, sensed=NOW, product_type="S2MSI2A")


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(module, "_SETTLE_S", 0.5)


@pytest.fixture
def leases_of(store):
    """Return what makes the leases of a run, at so many minutes past noon."""

    def make(run_id, minutes=0.0):
        at = NOW + timedelta(minutes=minutes)
        return Leases(store, RunLayout("daily", run_id), lambda: at)

    return make


def taken_at_once(rivals, product):
    """Run id of each that takes the product, all at the same moment."""
    took, start = [], Barrier(len(rivals))

    def take(run_id, leases):
        start.wait()
        if leases.take(product) is None:
            took.append(run_id)

    threads = [Thread(target=take, args=rival) for rival in rivals.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


@pytest.mark.parametrize("left", [None, "dead", "damaged"])
def test_of_many_that_take_at_once_one_wins(store, leases_of, product, left):
    if left == "dead":
        leases_of("killed").take(product)
    elif left == "damaged":
        store.write(lease_path(product), b"")
    rivals = {f"run{number}": leases_of(f"run{number}", minutes=6) for number in range(RIVALS)}
    (winner,) = taken_at_once(rivals, product)
    assert json.loads(store.read(lease_path(product)))["run_id"] == winner
    for run_id, leases in rivals.items():
        assert leases.take(product) == (None if run_id == winner else f"daily {winner}")


@pytest.mark.parametrize("at_once", [False, True])
def test_storage_that_ignores_the_condition_keeps_runs_apart_by_a_second_look(
    tmp_path, product, at_once
):
    store = Heedless(LocalFileSystem(), str(tmp_path))
    rivals = {f"run{n}": Leases(store, RunLayout("daily", f"run{n}")) for n in range(RIVALS)}
    if at_once:
        (winner,) = taken_at_once(rivals, product)
    else:
        assert rivals["run0"].take(product) is None
        winner = "run0"
    for run_id, leases in rivals.items():
        assert leases.take(product) == (None if run_id == winner else f"daily {winner}")
    rivals[winner].release(product)
    assert store.sizes(".staging") == {}


def test_a_product_is_had_until_it_is_released_or_its_lease_ends(leases_of, product):
    assert leases_of("one").take(product) is None
    assert leases_of("two", minutes=4.9).take(product) == "daily one"
    with pytest.raises(InProgressError, match=r"T36TXL.* is being downloaded by run daily one"):
        leases_of("two").need(product)
    leases_of("two").release(product)
    assert leases_of("two").take(product) == "daily one"
    leases_of("one").release(product)
    assert leases_of("two").take(product) is None
    assert leases_of("three", minutes=5.1).take(product) is None


def test_another_task_of_the_run_passes_and_begins_the_lease_anew(leases_of, product):
    leases_of("one").take(product)
    assert leases_of("one", minutes=4).take(product) is None
    assert leases_of("two", minutes=8).take(product) == "daily one"


def test_what_waits_for_its_delivery_is_kept_longer(leases_of, product):
    leases = leases_of("one")
    leases.take(product)
    leases.keep(product)
    assert leases_of("one", minutes=10).take(product) is None
    assert leases_of("two", minutes=29).take(product) == "daily one"
    assert leases_of("two", minutes=31).take(product) is None


def test_what_is_not_held_is_not_kept(store, leases_of, product):
    leases_of("one").keep(product)
    assert store.read(lease_path(product)) is None


def test_leases_are_renewed_and_end_with_the_work(store, product, monkeypatch):
    monkeypatch.setattr(module, "_RENEW_EVERY_S", 0.01)
    minutes = iter(range(1000))
    leases = Leases(
        store, RunLayout("daily", "one"), lambda: NOW + timedelta(minutes=next(minutes))
    )

    def work():
        leases.take(product)
        first = until = Lease.read(store.read(lease_path(product))).until
        give_up = time.monotonic() + 10
        while until == first and time.monotonic() < give_up:
            lease = Lease.read(store.read(lease_path(product)))
            until = lease.until if lease else first
        assert until > first
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), leases.renewed():
        work()
    assert store.sizes(".staging") == {}


def test_a_claim_that_was_taken_over_is_the_others(store, leases_of, product, monkeypatch, caplog):
    monkeypatch.setattr(module, "_RENEW_EVERY_S", 0.01)
    leases = leases_of("slow")
    with leases.renewed():
        leases.take(product)
        store.write(lease_path(product), leases_of("two")._mine(timedelta(minutes=30)).to_bytes())
        give_up = time.monotonic() + 10
        while "another run has taken it" not in caplog.text and time.monotonic() < give_up:
            time.sleep(0.01)
        leases.keep(product)
    leases.release(product)
    assert leases_of("slow").take(product) == "daily two"


def test_a_lease_that_cannot_be_renewed_harms_nothing(
    store, leases_of, product, monkeypatch, caplog
):
    leases = leases_of("one")
    leases.take(product)
    with monkeypatch.context() as patch:
        patch.setattr(store, "read", lambda _: 1 / 0)
        leases.keep(product)
        leases.release(product)
    assert "will expire" in caplog.text
    assert leases_of("two").take(product) == "daily one"


def test_nothing_is_written_beside_the_claim(tmp_path, product):
    written = []

    class Noting(Store):
        def create(self, path, content):
            written.append(path)
            return super().create(path, content)

    store = Noting(LocalFileSystem(), str(tmp_path))
    assert Leases(store, RunLayout("daily", "run")).take(product) is None
    assert {*written} == {lease_path(product)}
