"""Which of several products of one name or one acquisition are wanted."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.versions import choose, is_newer, successors
from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.geometry.footprint import covered
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product import Product

SENSED = datetime(2024, 8, 1, 8, 36, 1, tzinfo=UTC)
NAME = "S2{platform}_MSI{level}_20240801T083601_N{baseline}_R{orbit}_T{tile}_{generated}.SAFE"
FACTS = {
    "platform": "A",
    "level": "L2A",
    "baseline": "0511",
    "orbit": "064",
    "tile": "36TXL",
    "generated": "20240801T120000",
}
WHOLE, WEST, EAST = (34, 44), (34, 39), (39, 44)
BROKEN = {"type": "Polygon", "coordinates": [[[1, 2]]]}
SPLIT = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[178, 0], [180, 0], [180, 1], [178, 1], [178, 0]]],
        [[[-180, 0], [-178, 0], [-178, 1], [-180, 1], [-180, 0]]],
    ],
}
BOW_TIE = {"type": "Polygon", "coordinates": [[[34, 0], [44, 1], [44, 0], [34, 1], [34, 0]]]}


def strip(west, east):
    """Return a footprint between two longitudes, which may lie beyond 180 degrees."""
    corners = [(west, 0), (east, 0), (east, 1), (west, 1), (west, 0)]
    ring = [[lon - 360 if lon > 180 else lon, lat] for lon, lat in corners]
    return {"type": "Polygon", "coordinates": [ring]}


def product(number=0, footprint=WHOLE, published=None, online=True, size=9, **facts):
    shape = strip(*footprint) if isinstance(footprint, tuple) else footprint
    is_summed = facts.pop("is_summed", True)
    return Product(
        id=f"00000000-0000-4000-8000-{number:012}",
        name=NAME.format(**{**FACTS, **facts}),
        product_type="S2MSI2A",
        sensed=SENSED,
        published=published and SENSED + timedelta(hours=published),
        size_bytes=size,
        checksum=Checksum("MD5", "ab" * 16) if is_summed else None,
        online=online,
        footprint=shape,
    )


def kept(*products, versions="latest"):
    return choose(products, versions)[0]


def left_out(*products, versions="latest"):
    return [(o.product, o.instead, o.reason) for o in choose(products, versions)[1]]


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        *(("0510", "0509"), ("1001", "0510"), ("0100", "0099"), ("9899", "0513")),
        *(("9906", "9905"), ("9999", "9905")),
    ],
)
def test_the_higher_baseline_is_kept(newer, older):
    new, old = (  # generated the other way round
        product(1, baseline=newer, generated="20240801T120000"),
        product(2, baseline=older, generated="20250801T120000"),
    )
    assert kept(old, new) == [new]
    assert left_out(old, new) == [(old, new, f"older baseline {older[:2]}.{older[2:]}")]
    assert kept(old, new, versions="all") == [old, new]
    assert left_out(old, new, versions="all") == []


def test_of_one_baseline_the_later_generation_is_kept():
    early, late = product(1), product(2, generated="20240802T120000")
    assert left_out(late, early) == [(early, late, "earlier generation of baseline 05.11")]


@pytest.mark.parametrize("rim", [0, 1, 2])
def test_both_halves_are_kept(rim):
    west = product(1, footprint=(34, 39 + rim))
    east = product(2, footprint=EAST, generated="20240801T130000")
    assert kept(west, east) == [west, east]
    assert successors(west, [east]) == ()


def test_a_newer_half_replaces_its_own_half_only():
    west, east = (product(n, footprint=side) for n, side in enumerate((WEST, EAST)))
    east = product(2, footprint=EAST, generated="20240801T130000")
    newer = product(3, footprint=WEST, baseline="0512")
    assert kept(west, east, newer) == [east, newer]
    assert left_out(west, east, newer) == [(west, newer, "older baseline 05.11")]


def test_a_newer_whole_replaces_both_halves():
    west = product(1, footprint=WEST)
    east = product(2, footprint=EAST, generated="20240801T130000")
    whole = product(3, baseline="0512")
    assert kept(west, east, whole) == [whole]
    assert [(old, new) for old, new, _ in left_out(west, east, whole)] == [
        (west, whole),
        (east, whole),
    ]


def test_a_newer_half_replaces_no_whole_and_two_do():
    whole = product(1)
    west = product(2, footprint=WEST, baseline="0512")
    east = product(3, footprint=(38, 44), baseline="0512", generated="20240801T130000")
    assert kept(whole, west) == [whole, west]
    assert kept(east, whole) == [east, whole]
    assert kept(west, whole, east) == [west, east]
    assert left_out(west, whole, east) == [(whole, east, "older baseline 05.11")]
    assert successors(whole, [west, east]) == (east, west)
    assert successors(whole, [west]) == successors(whole, [east]) == successors(whole, []) == ()


def test_what_lies_beside_is_no_successor():
    west, east = product(1, footprint=WEST), product(2, footprint=EAST, baseline="0512")
    newer = product(3, footprint=(34, 40), baseline="0512", generated="20240801T130000")
    assert successors(west, [east, newer]) == (newer,)


@pytest.mark.parametrize("regular", ["0001", "0207", "0500", "0511", "0513", "9899"])
@pytest.mark.parametrize("other", ["9900", "9905", "9906", "9999"])
def test_99_is_wanted_only_where_no_regular_baseline_shows_the_ground(regular, other):
    right = product(1, baseline=regular)
    late = product(2, baseline=other, generated="20260801T120000")
    for rows in ([right, late], [late, right]):
        assert kept(*rows) == [right]
    assert left_out(late, right) == [(late, right, f"unofficial baseline {other[:2]}.{other[2:]}")]
    assert kept(late) == [late]
    half = product(3, baseline=regular, footprint=WEST)
    assert kept(half, late) == [half, late]
    assert is_newer(right, late)
    assert not is_newer(late, right)


@pytest.mark.parametrize(
    ("newer", "is_replaced"), [(42, False), (42.2, False), (43.85, False), (43.9, True), (44, True)]
)
def test_but_for_a_hundredth_all_of_the_ground_must_be_covered(newer, is_replaced):
    old, new = product(1), product(2, footprint=(34, newer), baseline="0512")
    assert (old not in kept(old, new)) is is_replaced
    assert (successors(old, [new]) == (new,)) is is_replaced


@pytest.mark.parametrize("share", [0.55, 0.85, 0.95, 0.98])
def test_two_large_parts_of_a_tile_both_stay(share):
    west = product(1, footprint=(34, 34 + 10 * share))
    east = product(2, footprint=(44 - 10 * share, 44), generated="20240801T130000")
    assert kept(west, east) == [west, east]
    old = product(3, baseline="0510")
    assert kept(old, west, east) == [west, east]
    sliver = product(4, footprint=(34, 34.1), generated="20240801T110000")
    assert kept(sliver, west, east) == [west, east]


def test_a_wide_part_stays_beside_a_narrow_later_one():
    wide, narrow = product(1), product(2, footprint=(40, 41), generated="20240801T130000")
    assert kept(wide, narrow) == [wide, narrow]
    early = product(3, footprint=(40, 41), generated="20240801T110000")
    assert kept(wide, early) == [wide]


def test_of_a_chain_of_versions_the_last_is_kept():
    chain = [product(n, baseline=f"05{n:02}") for n in (8, 9, 10, 11)]
    for rows in itertools.permutations(chain):
        assert kept(*rows) == [chain[-1]]


def test_slivers_do_not_add_up_along_a_chain():
    chain = [product(n, baseline=f"05{n:02}", footprint=(34, 44 - 0.09 * n)) for n in (0, 1, 2, 3)]
    assert kept(*chain) == [chain[1], chain[3]]


def test_what_is_offline_hides_nothing_that_is_online():
    old, new = product(1), product(2, baseline="0512", online=False)
    assert kept(old, new) == [old, new]
    assert kept(product(1, online=False), new) == [new]
    newest = product(3, baseline="0513")
    assert kept(old, new, newest) == [newest]
    older = product(4, baseline="0510")
    assert kept(older, old, new) == [old, new]
    other = product(5, baseline="9999")
    assert kept(other, new) == [other, new]


def test_what_is_listed_without_a_size_comes_after_what_is_not():
    old, empty = product(1), product(2, baseline="0512", size=None, is_summed=False)
    assert kept(old, empty) == [old]
    assert left_out(empty, old) == [(empty, old, "listed without a size")]
    assert kept(empty) == [empty]
    assert kept(product(1, size=None), empty) == [empty]
    assert kept(product(1, baseline="9999"), empty) == [empty]
    assert kept(product(1, footprint=WEST), empty) == [product(1, footprint=WEST), empty]


def test_a_checksum_that_is_listed_later_does_not_matter():
    old, new = product(1), product(2, baseline="0512", is_summed=False)
    assert kept(old, new) == [new]


def test_a_small_one_within_a_newer_one_goes_and_a_newer_small_one_takes_nothing():
    small, large = (36, 38), WHOLE
    for old, new, is_replaced in ((small, large, True), (large, small, False)):
        one, two = product(1, footprint=old), product(2, footprint=new, baseline="0512")
        assert kept(one, two) == ([two] if is_replaced else [one, two])


def test_a_part_that_cannot_be_placed_replaces_nothing():
    whole, lost = product(1), product(2, footprint=None, baseline="0512")
    west = product(3, footprint=WEST, baseline="0513")
    assert successors(whole, [west, lost]) == ()
    assert kept(whole, west, lost) == [whole, west, lost]
    newest = product(4, baseline="0514")
    assert successors(whole, [lost, newest]) == (newest,)
    assert kept(whole, lost, newest) == [lost, newest]


@pytest.mark.parametrize(("ground", "most"), [((36, 41), 0), ((37, 42), 1)])
def test_what_covers_most_of_it_stands_in_its_place(ground, most):
    west = product(1, footprint=(34, 40), baseline="0512")
    east = product(2, footprint=(38, 46), baseline="0512", generated="20240801T130000")
    old = product(3, footprint=ground)
    assert left_out(east, old, west) == [(old, (west, east)[most], "older baseline 05.11")]


@pytest.mark.parametrize(
    "other",
    [{"platform": "B"}, {"level": "L1C"}, {"tile": "36TYL"}, {"orbit": "065"}],
)
def test_another_acquisition_replaces_nothing(other):
    one, two = product(1), product(2, baseline="0512", **other)
    assert kept(one, two) == [one, two]
    assert successors(one, [two]) == ()


@pytest.mark.parametrize("versions", ["latest", "all"])
@pytest.mark.parametrize(
    ("wanted", "twin"),
    [
        ({"published": 1}, {"published": 2, "online": False}),
        ({"published": 2}, {"published": 1}),
        ({"published": 1}, {}),
        ({"published": 1}, {"published": 2, "size": None, "is_summed": False}),
        ({"published": 1}, {"published": 2, "size": None}),
        ({"published": 1}, {"published": 2, "is_summed": False}),
        ({"is_summed": False}, {"published": 2, "size": None}),
        ({"size": None, "is_summed": False}, {"published": 2, "online": False}),
    ],
)
@pytest.mark.parametrize("first", [1, 2])
def test_of_two_of_one_name_one_is_kept(versions, wanted, twin, first):
    right, other = product(first, **wanted), product(3 - first, **twin)
    assert kept(other, right, versions=versions) == [right]
    assert left_out(other, right, versions=versions) == [(other, right, "listed twice")]


def test_a_name_without_safe_is_the_same_name():
    good = product(1, published=1)
    twin = replace(product(2, published=2, size=None), name=good.stem)
    assert left_out(good, twin) == [(twin, good, "listed twice")]
    older = replace(product(3, baseline="0510"), name=product(baseline="0510").stem)
    assert left_out(older, good) == [(older, good, "older baseline 05.10")]


def test_both_of_one_name_are_left_out_for_a_newer_one():
    twins, newer = (product(1), product(2, online=False)), product(3, baseline="0512")
    reason = "older baseline 05.11"
    assert left_out(*twins, newer) == [(twin, newer, reason) for twin in twins]


def test_names_of_the_old_convention_are_left_alone():
    old = "S2A_OPER_PRD_MSIL1C_PDMC_2015{}T000000_R064_V20150801T083601_20150801T083601"
    names = [old.format(day) for day in ("0801", "0901")]
    one, two = (Product(str(n), name, "S2MSI1C", SENSED) for n, name in enumerate(names))
    assert kept(one, two) == [one, two]
    assert successors(one, [two, one]) == ()
    twin = Product("3", names[0], "S2MSI1C", SENSED, online=False)
    assert kept(one, twin) == [one]


@pytest.mark.parametrize("footprint", [None, {}, BROKEN, {"type": "Point", "coordinates": [1, 2]}])
def test_without_a_usable_footprint_nothing_is_replaced(footprint):
    west = product(1, footprint=WEST)
    newer = product(2, footprint=footprint, baseline="0512")
    assert kept(west, newer) == [west, newer]
    assert successors(west, [newer]) == successors(newer, [west]) == ()


def test_halves_of_a_tile_across_the_antimeridian_are_kept():
    west, middle, east = (
        product(n, footprint=place, generated=f"20240801T12000{n}")
        for n, place in enumerate(((176, 179), (179, 182), (182, 184)))
    )
    assert kept(west, middle, east) == [west, middle, east]
    whole = product(9, footprint=(176, 184), baseline="0512")
    assert kept(west, middle, east, whole) == [whole]


@pytest.mark.parametrize("versions", ["newest", "", None, "Latest"])
def test_an_unknown_word_is_refused(versions):
    with pytest.raises(ConfigurationError, match="is unknown; write latest or all"):
        choose([], versions)


@pytest.mark.parametrize(
    ("one", "others", "share"),
    [
        (strip(34, 44), [], 0.0),
        (strip(34, 44), [strip(34, 44)], 1.0),
        (strip(34, 44), [strip(39, 40)], 0.1),
        (strip(39, 40), [strip(34, 44)], 1.0),
        (strip(34, 44), [strip(44, 46)], 0.0),
        (strip(34, 44), [strip(34, 38), strip(40, 46)], 0.8),
        (strip(34, 44), [strip(34, 40), strip(36, 42)], 0.8),
        (strip(34, 44), [strip(35, 37)] * 3, 0.2),
        (strip(34, 44), [strip(214, 224)], 0.0),
        (strip(178, 182), [strip(181, 183)], 0.25),
        (strip(178, 182), [strip(182, 184)], 0.0),
        (strip(176, 180), [strip(178, 182)], 0.5),
        (strip(178, 182), [strip(176, 180), strip(180, 184)], 1.0),
        (strip(181, 183), [strip(179, 182), strip(178, 179)], 0.5),
        (strip(34, 44), [BOW_TIE], 0.5),
        (strip(34, 39), [BOW_TIE], 0.5),
        (BOW_TIE, [strip(34, 39), strip(39, 40)], 0.52),
        (strip(178, 182), [SPLIT], 1.0),
        (SPLIT, [strip(178, 181)], 0.75),
    ],
)
def test_ground_is_covered_by_all_others_together(one, others, share):
    assert covered(one, others) == pytest.approx(share)
    assert covered(one, others[::-1]) == pytest.approx(share)


FLAT = {"type": "Polygon", "coordinates": [[[34, 0], [44, 0], [34, 0], [34, 0]]]}
UNUSABLE = [None, {}, BROKEN, "text", {"type": "Point", "coordinates": [1, 2]}]


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_what_an_unusable_footprint_covers_is_not_known(unusable):
    assert covered(unusable, [strip(34, 44)]) is None
    assert covered(strip(34, 44), [unusable]) is None
    assert covered(strip(34, 44), [strip(34, 44), unusable]) is None


def test_of_no_ground_no_part_is_covered():
    assert covered(FLAT, [strip(34, 44)]) is None
    assert covered(strip(34, 44), [FLAT]) == 0


junk = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


weird = st.builds(
    lambda kind, coordinates: {"type": kind, "coordinates": coordinates},
    st.sampled_from(["Polygon", "MultiPolygon", "Point", "", None]),
    junk,
)
numbers = st.floats() | st.integers(-400, 400) | st.integers(-(10**400), 10**400)
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(
    lambda ring: {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
)


@given(junk | weird | rings, st.lists(junk | weird | rings, max_size=3))
def test_no_coordinates_break_it(one, others):
    for own, beside in ((one, others), (strip(34, 44), [one, *others]), (one, [strip(34, 44)])):
        share = covered(own, beside)
        assert share is None or 0 <= share <= 1
