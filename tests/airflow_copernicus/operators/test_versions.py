"""What becomes of an acquisition that the catalogue lists several times."""

import pytest

from airflow_copernicus.hooks.copernicus import CopernicusHook
from copernicus_dataspace.errors import ConfigurationError
from tests.airflow_copernicus.conftest import lake_product, make_context, transfers

OLD, NEW = "05.10", "05.11"
MADE = {"generation": "2024-08-01T11:00:00Z"}


def half(west, east, **facts):
    ring = [[west, 40.6], [east, 40.6], [east, 41.5], [west, 41.5], [west, 40.6]]
    return lake_product(footprint={"type": "Polygon", "coordinates": [ring]}, **facts)


def stem(product):
    return product.name.removesuffix(".SAFE")


def delivered(ran):
    return {name.split("/")[4] for name in ran.files}


@pytest.fixture
def reprocessed(connected):
    """Return an acquisition's product of an older baseline and that of the newer."""
    return [connected.add(lake_product(baseline=baseline)) for baseline in (OLD, NEW)]


def test_the_newest_baseline_arrives_and_the_other_is_named(connected, ingest, reprocessed, capsys):
    old, new = reprocessed
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran) == {stem(new)}
    assert all(old.id not in request.path for request in transfers(connected))
    assert ran.summary["left_out"] == [
        {
            "name": stem(old),
            "id": old.id,
            "instead": stem(new),
            "reason": f"older baseline {OLD}",
        }
    ]
    words = f"1 left out: older baseline {OLD}: {stem(old)}, for {stem(new)}."
    (text,) = ran.output.glob("runs/*/*/summary.txt")
    assert words in text.read_text()
    assert words in capsys.readouterr().out.split("products found by")[0]
    assert ran.published["missing"] == []
    assert ran.partitions == ["2024-08-01"]


def test_all_versions_arrive_where_they_are_asked_for(ingest, reprocessed):
    ran = ingest(versions="all")
    assert ran.errors == []
    assert delivered(ran) == {stem(product) for product in reprocessed}
    assert ran.summary["left_out"] == []


def test_both_halves_of_an_acquisition_arrive(connected, ingest):
    west = connected.add(half(33.9, 34.6))
    east = connected.add(half(34.5, 35.2, generation="2024-08-01T12:00:00Z"))
    old = connected.add(half(33.9, 35.2, baseline=OLD))
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran) == {stem(west), stem(east)}
    assert [one["name"] for one in ran.summary["left_out"]] == [stem(old)]


def test_chosen_products_arrive_whatever_their_version(ingest, reprocessed):
    chosen = make_context(run_type="manual", run_id="chosen")
    ran = ingest(chosen, product_ids=[product.id for product in reprocessed])
    assert ran.errors == []
    assert delivered(ran) == {stem(product) for product in reprocessed}


@pytest.mark.parametrize("versions", ["latest", "all"])
@pytest.mark.parametrize("by_id", [True, False])
def test_of_a_product_listed_twice_the_one_online_arrives(connected, ingest, versions, by_id):
    here = connected.add(lake_product(published="2024-08-01T10:00:00Z", seed=1))
    gone = connected.add(lake_product(published="2024-08-01T10:00:00Z", seed=2, online=False))
    assert here.name == gone.name
    chosen = [here.id, gone.id] if by_id else []
    ran = ingest(versions=versions, product_ids=chosen)
    assert ran.errors == []
    assert ran.published["missing"] == []
    assert ran.summary["offline"] == []
    (row,) = ran.summary["left_out"]
    assert (row["id"], row["reason"]) == (gone.id, "listed twice")


@pytest.mark.parametrize("other", ["99.99", "99.05", "99.06"])
@pytest.mark.parametrize("right", ["05.00", "05.11", "05.13"])
def test_an_unofficial_baseline_is_never_the_newest(connected, ingest, right, other):
    regular = connected.add(lake_product(baseline=right))
    late = "2026-09-10T00:00:00Z"
    unofficial = connected.add(lake_product(baseline=other, generation=late, published=late))
    ran = ingest()
    assert delivered(ran) == {stem(regular)}
    (row,) = ran.summary["left_out"]
    assert (row["name"], row["reason"]) == (stem(unofficial), f"unofficial baseline {other}")


def test_an_unofficial_baseline_arrives_where_there_is_no_other(connected, ingest):
    unofficial = connected.add(lake_product(baseline="99.99"))
    tandem = connected.add(lake_product(baseline="05.11", platform="C"))
    assert delivered(ingest()) == {stem(unofficial), stem(tandem)}


@pytest.mark.parametrize("older", [OLD, "99.99"])
def test_a_newer_version_that_is_offline_hides_none_that_is_online(
    connected, ingest, capsys, older
):
    here = connected.add(lake_product(baseline=older))
    gone = connected.add(lake_product(baseline=NEW, online=False))
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran) == {stem(here)}
    assert ran.summary["offline"] == [stem(gone)]
    (text,) = ran.output.glob("runs/*/*/summary.txt")
    assert f"Offline, not available: {stem(gone)}." in text.read_text()
    assert f"Skipped, because they are offline: {stem(gone)}" in capsys.readouterr().out


def test_two_large_parts_of_a_tile_both_arrive(connected, ingest):
    west = connected.add(half(33.9, 35.0))
    east = connected.add(half(34.1, 35.2, generation="2024-08-01T12:00:00Z"))
    assert delivered(ingest()) == {stem(west), stem(east)}


def test_a_reprocessing_that_covers_most_replaces_nothing(connected, ingest):
    whole = connected.add(half(33.9, 35.2, baseline=OLD))
    part = connected.add(half(33.9, 34.966, baseline=NEW))
    assert delivered(ingest()) == {stem(whole), stem(part)}


@pytest.mark.parametrize("versions", ["latest", "all"])
@pytest.mark.parametrize("by_id", [True, False])
def test_of_a_product_listed_twice_the_one_with_bytes_arrives(connected, ingest, versions, by_id):
    good = connected.add(lake_product(published="2024-08-01T12:00:00Z", seed=1, **MADE))
    empty = connected.add(
        lake_product(
            published="2024-08-03T12:00:00Z", seed=2, checksum="none", content=False, **MADE
        )
    )
    assert good.name == empty.name
    ran = ingest(versions=versions, product_ids=[good.id, empty.id] if by_id else [])
    assert ran.errors == []
    assert ran.published["missing"] == []
    (row,) = ran.summary["left_out"]
    assert (row["id"], row["reason"]) == (empty.id, "listed twice")


def test_what_is_listed_without_size_is_wanted_where_it_is_the_only_one(connected, ingest):
    empty = connected.add(lake_product(checksum="none", content=False))
    ran = ingest()
    assert ran.published is None
    assert ran.summary["missing"] == [stem(empty)]


def test_an_older_version_arrives_where_the_newer_is_listed_without_size(connected, ingest):
    old = connected.add(lake_product(baseline=OLD))
    empty = connected.add(lake_product(baseline=NEW, checksum="none", content=False))
    ran = ingest()
    assert delivered(ran) == {stem(old)}
    (row,) = ran.summary["left_out"]
    assert (row["name"], row["reason"]) == (stem(empty), "listed without a size")


def test_an_unknown_word_is_refused_before_anything_is_asked(connected, ingest):
    with pytest.raises(ConfigurationError, match="'newest' is unknown; write latest or all"):
        ingest(versions="newest")
    assert connected.requests == []


def test_a_frame_holds_every_version_of_every_name_once(connected, reprocessed):
    connected.add(lake_product(baseline=NEW, seed=7, online=False))
    frame = CopernicusHook().search_frame(tiles=["T36TXL"], first_day="2024-08-01")
    assert sorted(frame["id"]) == sorted(product.id for product in reprocessed)
