"""What happens to held products, in one go and killed on the way."""

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from copernicus_dataspace.models.product_state import RemovalPolicy
from copernicus_dataspace.reconcile.removals.retirement import (
    adopt,
    disown,
    retire,
)
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of, product_of
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path
from copernicus_dataspace.storage.store import Store
from tests.support.products.held import (
    CREATED,
    FILES,
    INGEST,
    delivery,
    file_name,
    held_product,
    hold,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRODUCT = held_product()
OTHER = held_product(1, generated="20240801T130000")
FOLDER = bands_dir(PRODUCT)
ITEM = f"{FOLDER}/{ITEM_NAME}"
SCL = file_name(PRODUCT, "SCL_20m")


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store(LocalFileSystem(), str(tmp_path / "out"))
    return Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")


def standing(store):
    """Content by path of all that a store holds."""
    tops = ("bands", "archive", "quarantine")
    return {
        f"{top}/{path}": store.read(f"{top}/{path}") for top in tops for path in store.sizes(top)
    }


def delivered(store):
    return delivery_of(store.read(ITEM))


def quarantined(paths):
    """Return what stands once the product has been moved to quarantine."""
    own = (FOLDER, kept_zip_path(PRODUCT))
    return {f"quarantine/{p}" if p.startswith(own) else p: content for p, content in paths.items()}


def removed(paths):
    own = (FOLDER, kept_zip_path(PRODUCT))
    return {path: content for path, content in paths.items() if not path.startswith(own)}


REMOVE, QUARANTINE, KEEP = RemovalPolicy
ENDS = {REMOVE: removed, QUARANTINE: quarantined, KEEP: dict}
WORDS = {REMOVE: "removed", QUARANTINE: f"moved to quarantine/{FOLDER}", KEEP: "kept"}


@pytest.mark.parametrize("zipped", [None, b"a whole zip"])
@pytest.mark.parametrize("policy", RemovalPolicy)
def test_a_retired_product_goes_with_all_its_files_and_no_others(store, policy, zipped):
    hold(store, PRODUCT, zipped=zipped)
    hold(store, OTHER, zipped=zipped)
    before = standing(store)
    assert retire(store, PRODUCT, (), policy, NOW).action == WORDS[policy]
    assert standing(store) == ENDS[policy](before)
    again = retire(store, PRODUCT, (), policy, NOW)
    assert again.action == ("kept" if policy == KEEP else "already removed")
    assert again.now == ("kept" if policy == KEEP else "gone")
    assert standing(store) == ENDS[policy](before)


@pytest.mark.parametrize("policy", [REMOVE, QUARANTINE])
def test_what_is_retired_is_no_longer_in_the_ledger(store, policy):
    hold(store, PRODUCT)
    hold(store, OTHER)
    retire(store, PRODUCT, (), policy, NOW)
    entries = Inventory(store).day("S2MSI2A", PRODUCT.sensed.date())
    assert [entry.product for entry in entries] == [OTHER]


@pytest.mark.parametrize("policy", [REMOVE, QUARANTINE])
def test_the_last_ingest_retires_what_several_want(store, policy):
    hold(store, PRODUCT, ingests=("one", "two", "zwei"), zipped=b"zip")
    before = standing(store)
    others = ("one", "zwei", "three")
    assert retire(store, PRODUCT, others, policy, NOW).action == "released to one, zwei"
    assert delivered(store).ingests == ("one", "zwei")
    assert {**standing(store), ITEM: before[ITEM]} == before
    released = standing(store)
    assert retire(store, PRODUCT, others, policy, NOW).action == "released to one, zwei"
    assert standing(store) == released
    left = retire(store, PRODUCT, ("two", "zwei", "three"), policy, NOW)
    assert (left.action, left.now) == ("released to zwei", "gone")
    before = standing(store)
    assert retire(store, PRODUCT, ("one", "two", "three"), policy, NOW).action == WORDS[policy]
    assert standing(store) == ENDS[policy](before)


@pytest.mark.parametrize("policy", [REMOVE, QUARANTINE])
def test_an_ingest_that_is_gone_holds_nothing_back(store, policy):
    hold(store, PRODUCT, ingests=("gone", "one"))
    before = standing(store)
    assert retire(store, PRODUCT, ("another",), policy, NOW).action == WORDS[policy]
    assert standing(store) == ENDS[policy](before)


def test_what_is_kept_is_not_even_released(store):
    hold(store, PRODUCT, ingests=("one", "two"))
    before = standing(store)
    assert retire(store, PRODUCT, ("two",), KEEP, NOW).action == "kept"
    assert standing(store) == before


def test_a_product_that_nobody_names_is_retired(store):
    hold(store, PRODUCT, ingests=())
    assert retire(store, PRODUCT, (), REMOVE, NOW).action == "removed"
    assert standing(store) == {}


@pytest.mark.parametrize("policy", RemovalPolicy)
@pytest.mark.parametrize("item", [None, b"", b"{", b"[]"])
def test_files_without_a_readable_item_are_left_alone(store, policy, item):
    hold(store, PRODUCT, zipped=b"zip")
    store.write(ITEM, item) if item is not None else store.delete(ITEM)
    before = standing(store)
    assert retire(store, PRODUCT, (), policy, NOW).action == "already removed"
    assert standing(store) == before


@pytest.mark.parametrize("policy", ["", "delete", None])
def test_an_unknown_policy_is_refused_and_changes_nothing(store, policy):
    hold(store, PRODUCT)
    before = standing(store)
    with pytest.raises(ValueError, match="not a valid RemovalPolicy"):
        retire(store, PRODUCT, (), policy, NOW)
    assert standing(store) == before


@pytest.fixture
def mortal(monkeypatch):
    """Return what lets every store die before its nth change, or just after it."""
    really = {name: getattr(Store, name) for name in ("move", "delete", "write")}

    def dies(lives, *, after):
        left = [lives]

        def dying(name):
            def operation(self, *args):
                left[0] -= 1
                if left[0] < 0 and not after:
                    raise Killed
                done = really[name](self, *args)
                if left[0] < 0:
                    raise Killed
                return done

            return operation

        for name in really:
            monkeypatch.setattr(Store, name, dying(name))

    yield dies
    monkeypatch.undo()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("zipped", [None, b"a whole zip"])
@pytest.mark.parametrize("policy", [REMOVE, QUARANTINE])
def test_death_at_any_change_is_survived(store, mortal, monkeypatch, policy, zipped, after):
    deaths = 0
    for lives in range(20):
        store.delete("quarantine")
        hold(store, PRODUCT, zipped=zipped)
        before = standing(store)
        mortal(lives, after=after)
        try:
            retire(store, PRODUCT, (), policy, NOW)
            is_over = True
        except Killed:
            is_over, deaths = False, deaths + 1
        monkeypatch.undo()
        found = standing(store)
        own = {p for p in found if p.startswith((FOLDER, kept_zip_path(PRODUCT)))}
        assert not own or ITEM in own
        assert all(found[path] == before[path] for path in own)
        retire(store, PRODUCT, (), policy, NOW)
        assert standing(store) == ENDS[policy](before)
        if is_over:
            break
    assert deaths >= len(FILES) + 2 + (zipped is not None)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_while_an_item_is_amended_is_survived(store, mortal, monkeypatch, after):
    hold(store, PRODUCT, ingests=("one", "two"))
    for act in (
        lambda: retire(store, PRODUCT, ("two",), REMOVE, NOW),
        lambda: adopt(store, PRODUCT, "one", NOW),
        lambda: disown(store, PRODUCT, [SCL], NOW),
    ):
        mortal(0, after=after)
        with pytest.raises(Killed):
            act()
        monkeypatch.undo()
        assert delivered(store) is not None
        act()
    assert delivered(store).ingests == ("one", "two")
    assert SCL not in {file.name for file in delivered(store).files.values()}


def test_a_move_that_was_cut_short_is_done_again(store):
    """As in object storage, where a move is a copy and then a removal."""
    hold(store, PRODUCT)
    before = standing(store)
    store.write(f"quarantine/{FOLDER}/{SCL}", b"half a co")
    retire(store, PRODUCT, (), QUARANTINE, NOW)
    assert standing(store) == quarantined(before)


def test_a_disowned_file_stays_and_is_no_longer_promised(store):
    hold(store, PRODUCT)
    before = standing(store)
    disown(store, PRODUCT, [SCL, "unknown.jp2"], NOW)
    assert {**standing(store), ITEM: before[ITEM]} == before
    assert delivered(store) == delivery(PRODUCT).without([SCL])
    assert product_of(store.read(ITEM)) == PRODUCT
    (entry,) = Inventory(store).day("S2MSI2A", PRODUCT.sensed.date())
    (lack,) = entry.problems(FILES)
    assert SCL in lack.why


def test_an_adopted_product_names_one_more_ingest(store):
    hold(store, PRODUCT, ingests=("one",))
    adopt(store, PRODUCT, "another", NOW)
    assert delivered(store) == delivery(PRODUCT, ingests=("another", "one"))
    assert delivered(store).created == CREATED
    assert retire(store, PRODUCT, ("another",), REMOVE, NOW).action == "released to another"


def test_what_changes_nothing_writes_nothing(store, mortal):
    hold(store, PRODUCT)
    mortal(0, after=False)
    adopt(store, PRODUCT, INGEST, NOW)
    disown(store, PRODUCT, ["unknown.jp2"], NOW)
    absent = replace(PRODUCT, name=OTHER.name)
    adopt(store, absent, INGEST, NOW)
    disown(store, absent, [SCL], NOW)
    assert retire(store, absent, (), REMOVE, NOW).action == "already removed"
