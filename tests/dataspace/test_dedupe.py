"""Which of several products of one name or one acquisition are wanted."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataspace.dedupe import choose, successors
from dataspace.errors import ConfigurationError
from dataspace.footprint import covered
from dataspace.product import Product

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


def product(number=0, footprint=WHOLE, published=None, online=True, **facts):
    shape = strip(*footprint) if isinstance(footprint, tuple) else footprint
    return Product(
        id=f"00000000-0000-4000-8000-{number:012}",
        name=NAME.format(**{**FACTS, **facts}),
        product_type="S2MSI2A",
        sensed=SENSED,
        published=published and SENSED + timedelta(hours=published),
        online=online,
        footprint=shape,
    )


def kept(*products, versions="latest"):
    return choose(products, versions)[0]


def left_out(*products, versions="latest"):
    return [(o.product, o.instead, o.reason) for o in choose(products, versions)[1]]


@pytest.mark.parametrize(
    ("newer", "older"), [("0510", "0509"), ("1001", "0510"), ("9999", "0511"), ("0100", "0099")]
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


@pytest.mark.parametrize(("newer", "is_replaced"), [(41.9, False), (42, True), (43, True)])
def test_four_fifths_of_the_ground_are_enough(newer, is_replaced):
    old, new = product(1), product(2, footprint=(34, newer), baseline="0512")
    assert (old not in kept(old, new)) is is_replaced
    assert (successors(old, [new]) == (new,)) is is_replaced


def test_a_small_one_within_a_newer_one_goes_and_a_newer_small_one_takes_nothing():
    small, large = (36, 38), WHOLE
    for old, new, is_replaced in ((small, large, True), (large, small, False)):
        one, two = product(1, footprint=old), product(2, footprint=new, baseline="0512")
        assert kept(one, two) == ([two] if is_replaced else [one, two])


def test_a_part_that_cannot_be_placed_may_show_all_of_it():
    whole, lost = product(1), product(2, footprint=None, baseline="0512")
    west = product(3, footprint=WEST, baseline="0513")
    assert successors(whole, [west, lost]) == (lost, west)
    assert kept(whole, west, lost) == [whole, west]


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
    ],
)
@pytest.mark.parametrize("first", [1, 2])
def test_of_two_of_one_name_one_is_kept(versions, wanted, twin, first):
    right, other = product(first, **wanted), product(3 - first, **twin)
    assert kept(other, right, versions=versions) == [right]
    assert left_out(other, right, versions=versions) == [(other, right, "listed twice")]


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
def test_without_a_usable_footprint_the_newest_is_kept(footprint):
    west = product(1, footprint=WEST)
    newer = product(2, footprint=footprint, baseline="0512")
    assert kept(west, newer) == [newer]
    assert successors(west, [newer]) == (newer,)


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


@settings(deadline=None)
@given(junk | weird | rings, st.lists(junk | weird | rings, max_size=3))
def test_no_coordinates_break_it(one, others):
    for own, beside in ((one, others), (strip(34, 44), [one, *others]), (one, [strip(34, 44)])):
        share = covered(own, beside)
        assert share is None or 0 <= share <= 1


@st.composite
def products(draw):
    """Return products of few acquisitions, many of which compete, none of one id."""
    base = draw(st.sampled_from([34, 175]))
    facts = st.fixed_dictionaries(
        {
            "platform": st.sampled_from("AB"),
            "baseline": st.sampled_from(["0509", "0510", "1001", "9999"]),
            "generated": st.sampled_from(["20240801T120000", "20240801T130000"]),
            "published": st.sampled_from([None, 1, 2]),
            "online": st.booleans(),
            "footprint": st.none()
            | st.tuples(st.integers(0, 5), st.integers(1, 6)).map(
                lambda place: (base + place[0], base + place[0] + place[1])
            ),
        }
    )
    return [product(n, **one) for n, one in enumerate(draw(st.lists(facts, max_size=10)))]


def degrees(one):
    """Return the whole degrees of longitude that a strip reaches over, on a globe of 360."""
    (west, _), (east, _), *_ = one.footprint["coordinates"][0]
    return {degree % 360 for degree in range(west, east if east > west else east + 360)}


def is_covered(one, others):
    """Tell whether strips reach over four fifths of another, by their longitudes alone."""
    if not others:
        return False
    if any(p.footprint is None for p in (one, *others)):
        return True
    own = degrees(one)
    return 5 * len(own & set().union(*map(degrees, others))) >= 4 * len(own)


@settings(deadline=None)
@given(products())
def test_none_that_is_kept_is_covered_by_newer_ones(found):
    chosen = kept(*found)
    for one in chosen:
        own = [other for other in chosen if other.name[2] == one.name[2]]
        newer = [other for other in own if other.stem > one.stem]
        assert not is_covered(one, newer)
        assert successors(one, newer) == ()


@settings(deadline=None)
@given(products())
def test_all_that_is_left_out_is_covered_by_newer_kept_ones(found):
    chosen, others = choose(found, "latest")
    listed = Counter(one.stem for one in found)
    for one in (one for one in others if listed[one.product.stem] == 1):
        newer = [
            other
            for other in chosen
            if other.name[2] == one.product.name[2] and other.stem > one.product.stem
        ]
        assert is_covered(one.product, newer)
        instead = successors(one.product, newer)
        assert set(map(id, instead)) <= set(map(id, newer))
        assert one.product.footprint is None or is_covered(one.product, instead)


@settings(deadline=None)
@given(products())
def test_what_is_left_out_is_older_than_a_kept_one_on_its_ground(found):
    chosen, others = choose(found, "latest")
    for one in others:
        assert one.instead in chosen
        assert one.instead.name[:3] == one.product.name[:3]
        assert one.instead.stem >= one.product.stem
        assert (one.instead.stem == one.product.stem) == (one.reason == "listed twice")
        assert one.instead is not one.product


@settings(deadline=None)
@given(products(), st.sampled_from(["latest", "all"]))
def test_nothing_is_lost_and_the_order_stays(found, versions):
    chosen, others = choose(found, versions)
    left = [one.product for one in others]
    assert sorted(p.id for p in [*chosen, *left]) == [p.id for p in found]
    assert chosen == [p for p in found if p in chosen]
    assert left == [p for p in found if p in left]


@settings(deadline=None)
@given(products(), st.randoms(use_true_random=False), st.sampled_from(["latest", "all"]))
def test_the_order_of_the_list_does_not_matter(found, random, versions):
    shuffled = random.sample(found, len(found))
    assert {p.id for p in kept(*shuffled, versions=versions)} == {
        p.id for p in kept(*found, versions=versions)
    }


@settings(deadline=None)
@given(products(), st.sampled_from(["latest", "all"]))
def test_choosing_again_leaves_nothing_out(found, versions):
    chosen = kept(*found, versions=versions)
    assert choose(chosen, versions) == (chosen, [])


@settings(deadline=None)
@given(products())
def test_all_keeps_one_of_every_name(found):
    assert sorted(p.stem for p in kept(*found, versions="all")) == sorted({p.stem for p in found})
