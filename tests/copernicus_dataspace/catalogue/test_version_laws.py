"""What holds of every choice among products, whatever is listed."""

import re
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.versions import choose, successors
from copernicus_dataspace.models.product import Product
from tests.copernicus_dataspace.catalogue.test_versions import SENSED, kept, product


@st.composite
def products(draw):
    """Return products of few acquisitions, many of which compete, none of one id."""
    base = draw(st.sampled_from([34, 175]))
    facts = st.fixed_dictionaries(
        {
            "platform": st.sampled_from("AB"),
            "baseline": st.sampled_from(["0509", "0510", "1001", "9905", "9999"]),
            "generated": st.sampled_from(["20240801T120000", "20240801T130000"]),
            "published": st.sampled_from([None, 1, 2]),
            "online": st.booleans(),
            "size": st.sampled_from([None, 9]),
            "footprint": st.none()
            | st.tuples(st.integers(0, 5), st.integers(1, 6)).map(
                lambda place: (base + place[0], base + place[0] + place[1])
            ),
        }
    )
    return [product(n, **one) for n, one in enumerate(draw(st.lists(facts, max_size=10)))]


def degrees(*found):
    """Return the whole degrees of longitude that strips reach over, on a globe of 360."""
    edges = [one.footprint["coordinates"][0][:2] for one in found if one.footprint]
    return {
        degree % 360
        for (west, _), (east, _) in edges
        for degree in range(west, east if east > west else east + 360)
    }


def better(one, others):
    """Return what of others may take a product's place, wherever it lies."""

    def rank(other):
        _, _, _, baseline, *_, generated = other.stem.split("_")
        is_regular = not baseline.startswith("N99")
        return is_regular, other.size_bytes is not None, baseline, generated

    own = [other for other in others if other.stem[2] == one.stem[2] and rank(other) > rank(one)]
    return [other for other in own if other.online or not one.online]


@given(products())
def test_none_that_is_kept_is_covered_by_better_ones(found):
    chosen = kept(*found)
    for one in chosen:
        instead = better(one, chosen)
        assert one.footprint is None or not degrees(one) <= degrees(*instead)
        assert successors(one, instead) == ()


@given(products())
def test_all_that_is_left_out_is_covered_by_better_kept_ones(found):
    chosen, others = choose(found, "latest")
    for one in others:
        assert one.instead in chosen
        assert one.instead is not one.product
        if one.reason == "listed twice":
            assert one.instead.stem == one.product.stem
        elif Counter(row.stem for row in found)[one.product.stem] == 1:
            assert one.instead in better(one.product, chosen)
            assert degrees(one.product) <= degrees(*better(one.product, chosen))


@given(products())
def test_what_can_be_seen_of_an_acquisition_stays_in_sight(found):
    chosen = kept(*found)
    for platform in "AB":
        for is_online in ([True], [True, False]):
            listed, left = (
                [one for one in rows if one.stem[2] == platform and one.online in is_online]
                for rows in (_one_of_each_name(found), chosen)
            )
            assert degrees(*left) == degrees(*listed)
            assert {one.stem for one in listed if one.footprint is None} <= {o.stem for o in left}


def _one_of_each_name(found):
    return kept(*found, versions="all")


@given(products(), st.sampled_from(["latest", "all"]))
def test_nothing_is_lost_and_the_order_stays(found, versions):
    chosen, others = choose(found, versions)
    left = [one.product for one in others]
    assert sorted(p.id for p in [*chosen, *left]) == [p.id for p in found]
    assert chosen == [p for p in found if p in chosen]
    assert left == [p for p in found if p in left]


@given(products(), st.randoms(use_true_random=False), st.sampled_from(["latest", "all"]))
def test_the_order_of_the_list_does_not_matter(found, random, versions):
    shuffled = random.sample(found, len(found))
    assert {p.id for p in kept(*shuffled, versions=versions)} == {
        p.id for p in kept(*found, versions=versions)
    }


@given(products(), st.sampled_from(["latest", "all"]))
def test_choosing_again_leaves_nothing_out(found, versions):
    chosen = kept(*found, versions=versions)
    assert choose(chosen, versions) == (chosen, [])


@given(products())
def test_all_keeps_one_of_every_name(found):
    assert sorted(p.stem for p in kept(*found, versions="all")) == sorted({p.stem for p in found})


def real_pairs(shared_data):
    """Return products of one acquisition each, with the footprints that ESA gave them."""
    acquisitions = defaultdict(list)
    for path in sorted(shared_data.glob("metadata/*/MTD_*.xml")):
        name = path.parent.name
        (ring,) = re.findall(r"<EXT_POS_LIST>(.*?)</EXT_POS_LIST>", path.read_text())
        numbers = [*map(float, ring.split())]
        corners = [*zip(numbers[1::2], numbers[::2], strict=True)]
        footprint = {"type": "Polygon", "coordinates": [corners]}
        acquisitions[re.sub("_N.*_R", "_R", name)[:-16]].append(
            Product(name, name, "S2MSI2A", SENSED, footprint=footprint)
        )
    return [pair for pair in acquisitions.values() if len(pair) > 1]


def test_of_real_pairs_with_equal_footprints_the_later_generation_is_kept(shared_data):
    pairs = real_pairs(shared_data)
    baselines = [pair[0].parsed_name.baseline for pair in pairs]
    assert sorted(baselines) == ["02.12", "05.09", "99.99"]
    for early, late in pairs:
        assert early.footprint == late.footprint
        assert kept(late, early) == kept(early, late) == [late]
        assert successors(early, [late]) == (late,)
