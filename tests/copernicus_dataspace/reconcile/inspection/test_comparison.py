"""What an audit finds, state by state, on values written by hand."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.search import Deletion
from copernicus_dataspace.json_records import read_json, write_json
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.reconcile.inspection.comparison import audit
from copernicus_dataspace.reconcile.inspection.findings import Finding, Holdings, Terms
from copernicus_dataspace.reconcile.inspection.history import TileCounts
from copernicus_dataspace.reconcile.plan import by_day_and_tile
from copernicus_dataspace.stac.inventory import Entry
from copernicus_dataspace.stac.item import item_of
from tests.support.products.held import CREATED, FILES, INGEST, delivery, file_name, held_product

PRESENT, MISSING, LATE, ABSENT, DAMAGED, OFFLINE, SUPERSEDED, WITHDRAWN, ORPHANED = ProductState
TERMS = Terms(
    INGEST,
    "S2MSI2A",
    tuple(FILES),
    delay=timedelta(hours=27),
    known=frozenset({INGEST, "other"}),
)
ALL = replace(TERMS, versions="all")
ZIPS = replace(TERMS, keep_archive=True)
DUE = datetime(2024, 8, 3, 3, tzinfo=UTC)
OLD, NEW = held_product(1, baseline="0510"), held_product(2, baseline="0511")
GONE = Deletion("2024-09-01T00:00:00Z", "Duplicated product")


def strip(west, east):
    ring = [[west, 0], [east, 0], [east, 1], [west, 1], [west, 0]]
    return {"type": "Polygon", "coordinates": [ring]}


def entry_of(product, ingests=(INGEST,), **standing):
    """Return what is held of a product, whole but for the sizes given by band."""
    own = Entry.of_item(item_of(delivery(product, ingests=ingests), product, CREATED), "1")
    sizes = {band: standing.get(band, len(content)) for band, content in FILES.items()}
    found = {file_name(product, band): size for band, size in sizes.items() if size is not None}
    return replace(own, existing=found)


def found(listed, entries=(), deleted=None, terms=TERMS, **holdings):
    return audit(listed, Holdings(entries, **holdings), deleted or {}, terms)


def states(*args, **kwargs):
    return [(finding.product.id[-1], finding.state) for finding in found(*args, **kwargs)]


def the_one(*args, **kwargs):
    (finding,) = found(*args, **kwargs)
    return finding


def test_nothing_listed_and_nothing_held_finds_nothing():
    assert found([]) == []


def test_what_stands_is_present():
    assert the_one([NEW], [entry_of(NEW)]) == Finding(NEW, PRESENT)


def test_what_does_not_stand_is_missing():
    assert the_one([NEW]).state == MISSING


@pytest.mark.parametrize(
    ("published", "state"),
    [
        (None, MISSING),
        (DUE - timedelta(microseconds=1), MISSING),
        (DUE, MISSING),
        (DUE + timedelta(microseconds=1), LATE),
        (DUE + timedelta(days=700), LATE),
    ],
)
def test_late_is_what_was_published_after_its_days_run(published, state):
    finding = the_one([replace(NEW, published=published)])
    assert finding.state == state
    assert ("after its day's run" in finding.why) == (state == LATE)


@pytest.mark.parametrize("sensed", ["2024-08-01T00:00:00", "2024-08-01T23:59:59.999999"])
def test_the_days_run_is_that_of_the_utc_day_of_sensing(sensed):
    product = replace(NEW, sensed=datetime.fromisoformat(sensed).replace(tzinfo=UTC))
    in_time, late = (replace(product, published=DUE + timedelta(seconds=n)) for n in (0, 1))
    assert [the_one([one]).state for one in (in_time, late)] == [MISSING, LATE]


def test_late_matters_only_for_what_was_never_held():
    late = replace(NEW, published=DUE + timedelta(days=1))
    assert the_one([late], [entry_of(late)]).state == PRESENT
    assert the_one([late], [entry_of(late, SCL_20m=None)]).state == ABSENT


@pytest.mark.parametrize(
    ("standing", "state", "words"),
    [
        ({"SCL_20m": None}, ABSENT, "does not exist"),
        ({"SCL_20m": 1}, DAMAGED, "has 1 bytes, expected 13"),
        ({"SCL_20m": None, "B04_10m": 1}, DAMAGED, "does not exist"),
    ],
)
def test_files_that_are_not_as_the_item_says(standing, state, words):
    finding = the_one([NEW], [entry_of(NEW, **standing)])
    assert finding.state == state
    assert words in finding.why
    offline = replace(NEW, online=False)
    assert the_one([offline], [entry_of(NEW, **standing)]).state == OFFLINE


def test_a_band_that_was_never_asked_for_is_missing():
    terms = replace(TERMS, bands=("SCL_20m", "B8A_20m"))
    finding = the_one([NEW], [entry_of(NEW)], terms=terms)
    assert (finding.state, finding.why) == (MISSING, "B8A_20m was never delivered")


def test_what_the_item_promises_beyond_the_ingest_is_guarded_too():
    fewer = replace(TERMS, bands=("SCL_20m",))
    assert the_one([NEW], [entry_of(NEW)], terms=fewer).state == PRESENT
    finding = the_one([NEW], [entry_of(NEW, B04_10m=None)], terms=fewer)
    assert (finding.state, finding.bands) == (ABSENT, ("SCL_20m", "B04_10m"))


def test_wrong_bytes_are_damage():
    finding = the_one([NEW], [entry_of(NEW)], damaged={NEW.stem: "x.jp2 has a wrong checksum"})
    assert (finding.state, finding.why) == (DAMAGED, "x.jp2 has a wrong checksum")
    assert the_one([NEW], [entry_of(NEW)], damaged={OLD.stem: "other"}).state == PRESENT


def test_offline_matters_only_where_something_lacks():
    offline = replace(NEW, online=False)
    assert the_one([offline]).state == OFFLINE
    assert the_one([offline], [entry_of(NEW)]).state == PRESENT


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"id": "anew"}, PRESENT),
        ({"checksum": Checksum("MD5", "cd" * 16)}, PRESENT),
        ({"id": "anew", "checksum": Checksum("MD5", "cd" * 16)}, DAMAGED),
        ({"id": "anew", "checksum": None}, PRESENT),
    ],
)
def test_what_is_listed_anew_with_other_content_is_damaged(changes, state):
    finding = the_one([replace(NEW, **changes)], [entry_of(NEW)])
    assert finding.state == state
    assert ("now listed as anew with other content" in finding.why) == (state == DAMAGED)


@pytest.mark.parametrize(
    ("size", "zips", "state"),
    [
        (9, {}, ABSENT),
        (9, {OLD.stem: 9}, ABSENT),
        (9, {NEW.stem: 8}, DAMAGED),
        (9, {NEW.stem: 9}, PRESENT),
        (None, {}, ABSENT),
        (None, {NEW.stem: 8}, PRESENT),
    ],
)
def test_a_kept_zip_stands_with_its_size(size, zips, state):
    product = replace(NEW, size_bytes=size)
    assert the_one([product], [entry_of(product)], terms=ZIPS, zips=zips).state == state
    assert the_one([product], [entry_of(product)], zips=zips).state == PRESENT


def test_an_older_version_is_superseded_once_a_newer_one_is_listed():
    findings = found([NEW], [entry_of(OLD)])
    assert [one.state for one in findings] == [MISSING, SUPERSEDED]
    assert findings[1].successors == (NEW,)
    assert findings[1].why == f"replaced by {NEW.stem}"
    assert states([OLD, NEW], [entry_of(OLD), entry_of(NEW)]) == [("2", PRESENT), ("1", SUPERSEDED)]


def test_a_newer_version_that_is_no_longer_listed_is_not_superseded_by_an_older_one():
    assert states([OLD], [entry_of(OLD), entry_of(NEW)]) == [("1", PRESENT), ("2", ORPHANED)]


def test_two_newer_halves_supersede_a_whole_and_one_does_not():
    whole = replace(OLD, footprint=strip(34, 44))
    west = replace(NEW, footprint=strip(34, 38))
    later = held_product(3, baseline="0511", generated="20240801T130000")
    east = replace(later, footprint=strip(38, 44))
    assert states([west], [entry_of(whole)]) == [("2", MISSING), ("1", ORPHANED)]
    *_, finding = found([west, east], [entry_of(whole)])
    assert (finding.state, finding.successors) == (SUPERSEDED, (east, west))


@pytest.mark.parametrize(
    "other",
    [
        replace(NEW, name=NEW.name.replace("S2A", "S2B")),
        replace(NEW, name=NEW.name.replace("_T36TXL", "_T36TYL")),
        replace(NEW, name=NEW.name.replace("_R064", "_R065")),
        replace(NEW, name=NEW.name.replace("T083601_N", "T083602_N")),
    ],
)
def test_another_acquisition_supersedes_nothing(other):
    assert states([other], [entry_of(OLD)]) == [("2", MISSING), ("1", ORPHANED)]


def test_a_deleted_product_is_withdrawn():
    finding = the_one([], [entry_of(OLD)], {OLD.id: GONE})
    assert (finding.state, finding.why) == (WITHDRAWN, f"deleted {GONE}")
    *_, finding = found([NEW], [entry_of(OLD)], {OLD.id: GONE})
    assert finding.state == SUPERSEDED
    assert finding.why == f"replaced by {NEW.stem}; deleted {GONE}"


def test_an_older_version_stands_in_for_a_deleted_one():
    *_, finding = found([OLD], [entry_of(NEW)], {NEW.id: GONE})
    assert (finding.state, finding.successors) == (WITHDRAWN, (OLD,))


def test_a_deleted_twin_of_the_same_name_withdraws_nothing():
    twin = replace(OLD, id="twin")
    assert the_one([], [entry_of(OLD)], {twin.id: GONE, OLD.stem: GONE}).state == ORPHANED


def test_what_is_listed_is_not_withdrawn_though_it_was_deleted_once():
    assert the_one([OLD], [entry_of(OLD)], {OLD.id: GONE}).state == PRESENT


@pytest.mark.parametrize("blind", [OLD, NEW])
@pytest.mark.parametrize("footprint", [None, {}, {"type": "Point", "coordinates": [34, 44]}])
def test_without_a_footprint_nothing_is_superseded(blind, footprint):
    old, new = (replace(one, footprint=footprint) if one is blind else one for one in (OLD, NEW))
    *_, finding = found([new], [entry_of(old)])
    assert (finding.state, finding.successors) == (ORPHANED, ())
    assert "their footprints cannot be compared" in finding.why


def test_what_a_successor_must_hold_before_the_old_one_goes():
    fewer = replace(TERMS, bands=("SCL_20m",))
    new, old = found([NEW], [entry_of(OLD)], terms=fewer)
    assert (new.state, new.bands) == (MISSING, ("SCL_20m", "B04_10m"))
    assert (old.state, old.bands) == (SUPERSEDED, ("SCL_20m", "B04_10m"))


def test_with_all_versions_none_is_superseded():
    both = [entry_of(OLD), entry_of(NEW)]
    assert states([OLD, NEW], both, terms=ALL) == [("1", PRESENT), ("2", PRESENT)]
    assert states([OLD, NEW], [], terms=ALL) == [("1", MISSING), ("2", MISSING)]
    assert states([NEW], both, terms=ALL) == [("2", PRESENT), ("1", ORPHANED)]
    assert states([NEW], both, {OLD.id: GONE}, terms=ALL) == [("2", PRESENT), ("1", WITHDRAWN)]


@pytest.mark.parametrize("terms", [TERMS, ALL])
def test_a_product_listed_twice_is_expected_once(terms):
    twin = replace(NEW, id="0", online=False)
    assert states([twin, NEW], [entry_of(NEW)], terms=terms) == [("2", PRESENT)]
    assert states([twin, NEW], [entry_of(twin)], terms=terms) == [("2", PRESENT)]


def test_what_other_ingests_hold_is_found_only_where_it_is_expected():
    theirs = entry_of(OLD, ingests=("other",))
    assert found([], [theirs], {OLD.id: GONE}) == []
    assert states([NEW], [theirs]) == [("2", MISSING)]
    assert states([OLD], [theirs]) == [("1", PRESENT)]
    both = entry_of(OLD, ingests=("other", INGEST))
    assert states([], [both]) == [("1", ORPHANED)]


def test_what_ingests_left_that_are_gone_falls_to_who_expects_its_successor():
    left = entry_of(OLD, ingests=("gone",))
    assert states([NEW], [left]) == [("2", MISSING), ("1", SUPERSEDED)]
    assert found([], [left], {OLD.id: GONE}) == []
    assert states([NEW], [entry_of(OLD, ingests=("gone", "other"))]) == [("2", MISSING)]


def test_what_no_ingest_ever_wanted_stays():
    by_name = entry_of(OLD, ingests=())
    assert states([NEW], [by_name]) == [("2", MISSING)]
    assert found([], [by_name], {OLD.id: GONE}) == []
    assert states([OLD], [by_name]) == [("1", PRESENT)]


def test_every_state_once():
    def at(number, day, **changes):
        tile = f"36TX{'ABCDEFGHJ'[number]}"
        instant = datetime(2024, 8, 1, 8, 36, 1, tzinfo=UTC)
        return held_product(number, tile=tile, sensed=instant, **changes)

    present, missing, absent, damaged = (at(n, 1) for n in range(4))
    late = at(4, 1, published=DUE + timedelta(hours=1))
    offline = at(5, 1, online=False)
    older, newer = at(6, 1, baseline="0500"), at(6, 1)
    withdrawn, orphaned = at(7, 1), at(8, 1)
    held = [
        entry_of(present),
        entry_of(absent, SCL_20m=None),
        entry_of(damaged, SCL_20m=1),
        *map(entry_of, (older, newer, withdrawn, orphaned)),
    ]
    listed = [present, missing, absent, damaged, late, offline, older, newer]
    findings = found(listed, held, {withdrawn.id: GONE})
    assert [one.state for one in findings] == [
        *(PRESENT, MISSING, ABSENT, DAMAGED, LATE, OFFLINE, PRESENT),
        *(SUPERSEDED, WITHDRAWN, ORPHANED),
    ]
    for finding in findings:
        assert read_json(write_json(finding), Finding) == finding
        assert bool(finding.why) == (finding.state != PRESENT)
    (tiles,) = by_day_and_tile(findings).values()
    assert sum(one.expected for one in tiles.values()) == 7
    assert sum(one.present for one in tiles.values()) == 2
    assert tiles["T36TXE"] == TileCounts(1, 0, {LATE: 1})
    assert set(tiles) == {f"T36TX{letter}" for letter in "ABCDEFG"}


PRODUCTS = [
    replace(
        held_product(n, baseline=baseline, tile=tile, generated=f"20240801T12000{n % 3}"),
        footprint=ground,
        online=n % 5 != 3,
    )
    for n, (baseline, tile, ground) in enumerate(
        itertools.product(
            ("0510", "0511", "9999"), ("36TXL", "36TYL"), (strip(34, 44), strip(34, 39), None)
        )
    )
]
some = st.lists(st.sampled_from(PRODUCTS), unique_by=lambda one: one.id)


@given(some, some, some, some, st.sampled_from([TERMS, ALL]))
def test_only_a_listed_successor_or_a_deletion_takes_a_product_away(
    listed, mine, theirs, gone, terms
):
    entries = [entry_of(one) for one in mine]
    entries += [entry_of(one, ingests=("other",)) for one in theirs if one not in mine]
    deleted = {one.id: GONE for one in gone}
    findings = found(listed, entries, deleted, terms)
    ids = [one.product.id for one in findings]
    assert len(ids) == len(set(ids))
    for one in findings:
        if one.state == SUPERSEDED:
            assert one.successors
            assert all(newer in listed and newer.online for newer in one.successors)
            versions = [newer.parsed_name.version for newer in one.successors]
            assert min(versions) > one.product.parsed_name.version
            assert terms.versions == "latest"
        elif one.state != WITHDRAWN:
            assert one.successors == ()
        if one.state == WITHDRAWN:
            assert one.product.id in {other.id for other in gone}
        if one.state.is_expected:
            assert one.product in listed
        else:
            assert one.product.id in {other.id for other in mine}
    assert {one.id for one in mine} <= set(ids)
    expected = {one.product.id for one in findings if one.state.is_expected}
    alone = {one.product.id for one in found(listed, [], {}, terms)}
    held = {one.id for one in (*mine, *theirs)}
    assert expected - alone <= held
    assert alone <= expected or any(one.id in held and not one.online for one in listed)
