"""Which version of an acquisition an audit expects, and by which another one is superseded."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.copernicus_dataspace.reconcile.inspection.test_comparison import (
    DAMAGED,
    GONE,
    MISSING,
    NEW,
    OFFLINE,
    OLD,
    ORPHANED,
    PRESENT,
    SUPERSEDED,
    WITHDRAWN,
    entry_of,
    found,
    states,
    strip,
    the_one,
)
from tests.support.products.held import held_product

REGULAR = held_product(1, baseline="0500")
OTHERS = [
    held_product(2, baseline=one, generated="20260801T120000") for one in ("9999", "9905", "9906")
]
OFFLINE_NEW = replace(NEW, online=False)


@pytest.mark.parametrize("other", OTHERS)
def test_99_never_supersedes_and_is_superseded_by_a_regular_baseline(other):
    assert states([REGULAR, other], [entry_of(REGULAR)]) == [("1", PRESENT)]
    assert states([other], [entry_of(REGULAR)]) == [("2", MISSING), ("1", ORPHANED)]
    assert states([REGULAR, other], [entry_of(other)]) == [("1", MISSING), ("2", SUPERSEDED)]
    assert states([REGULAR], [entry_of(other)]) == [("1", MISSING), ("2", SUPERSEDED)]
    assert states([other], [entry_of(other)]) == [("2", PRESENT)]
    *_, finding = found([other], [entry_of(REGULAR)], {REGULAR.id: GONE})
    assert (finding.state, finding.successors) == (WITHDRAWN, (other,))


@pytest.mark.parametrize("other", OTHERS)
def test_99_stays_until_the_regular_baseline_is_online(other):
    offline = replace(REGULAR, online=False)
    assert states([offline, other], [entry_of(other)]) == [("1", OFFLINE), ("2", PRESENT)]
    assert states([offline, other], []) == [("1", OFFLINE), ("2", MISSING)]
    *_, finding = found([offline], [entry_of(other)])
    assert finding.state == ORPHANED
    assert "it is offline" in finding.why


def test_what_is_offline_supersedes_nothing():
    assert states([OLD, OFFLINE_NEW], [entry_of(OLD)]) == [("1", PRESENT), ("2", OFFLINE)]
    assert states([OLD, OFFLINE_NEW], []) == [("1", MISSING), ("2", OFFLINE)]
    assert states([OLD, NEW], [entry_of(OLD)]) == [("2", MISSING), ("1", SUPERSEDED)]
    *_, finding = found([OFFLINE_NEW], [entry_of(OLD)])
    assert finding.state == ORPHANED
    assert "it is offline" in finding.why


def test_what_stands_whole_is_as_good_as_online():
    assert states([OLD, OFFLINE_NEW], [entry_of(NEW)]) == [("2", PRESENT)]
    both = [entry_of(OLD), entry_of(NEW)]
    assert states([OLD, OFFLINE_NEW], both) == [("2", PRESENT), ("1", PRESENT)]
    lacks = entry_of(NEW, SCL_20m=None)
    assert states([OLD, OFFLINE_NEW], [lacks]) == [("1", MISSING), ("2", OFFLINE)]
    assert states([OLD, OFFLINE_NEW], [lacks, entry_of(OLD)]) == [("1", PRESENT), ("2", OFFLINE)]


def test_what_is_listed_and_held_is_guarded_though_left_out_for_what_is_offline():
    offline_old = replace(OLD, online=False)
    rows = [offline_old, OFFLINE_NEW]
    assert states(rows, [entry_of(OLD)]) == [("1", PRESENT), ("2", OFFLINE)]
    lacks = entry_of(OLD, SCL_20m=None)
    assert states(rows, [lacks]) == [("2", OFFLINE), ("1", OFFLINE)]
    assert states(rows, [lacks], {OLD.id: GONE}) == [("2", OFFLINE), ("1", OFFLINE)]
    assert states(rows, [entry_of(OLD, ingests=("other",), SCL_20m=None)]) == [("2", OFFLINE)]


def test_a_row_that_lost_its_size_hides_nothing_and_stays():
    empty = replace(NEW, size_bytes=None, checksum=None)
    assert states([OLD, empty], [entry_of(NEW)]) == [("2", PRESENT)]
    assert states([OLD, empty], [entry_of(OLD)]) == [("1", PRESENT)]
    assert states([OLD, empty], [entry_of(NEW, SCL_20m=1)]) == [("1", MISSING), ("2", DAMAGED)]
    assert states([empty], [entry_of(OLD)]) == [("2", MISSING), ("1", SUPERSEDED)]


def test_an_empty_twin_published_later_does_not_matter():
    twin = replace(
        NEW, id="0", size_bytes=None, checksum=None, published=NEW.published + timedelta(days=9)
    )
    for rows in ([NEW, twin], [twin, NEW]):
        assert states(rows, [entry_of(NEW)]) == [("2", PRESENT)]
        assert the_one(rows) == the_one([NEW])
        assert states(rows, [entry_of(OLD)]) == [("2", MISSING), ("1", SUPERSEDED)]


@pytest.mark.parametrize(
    ("width", "state"), [(8.2, ORPHANED), (9.89, ORPHANED), (9.9, SUPERSEDED), (10, SUPERSEDED)]
)
def test_only_what_covers_the_ground_but_for_a_sliver_supersedes(width, state):
    old = replace(OLD, footprint=strip(34, 44))
    new = replace(NEW, footprint=strip(34, 34 + width))
    assert states([new], [entry_of(old)]) == [("2", MISSING), ("1", state)]
    kept = SUPERSEDED if state == SUPERSEDED else PRESENT
    assert sorted(states([old, new], [entry_of(old)])) == [("1", kept), ("2", MISSING)]
