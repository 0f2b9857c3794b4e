"""The simulated year itself: what happens in it, that all of it settles, that it can be played."""

import json
import math
import shutil
from collections import Counter
from datetime import date, timedelta

import pystac
import pytest
from shapely.geometry import shape

from copernicus_dataspace_emulator import Emulator
from copernicus_dataspace_emulator.products.tile import tile
from tests.support.scenario.scenario import Scenario
from tests.support.scenario.upstream import MONTH, YEAR, Damage, Plan, end_of
from tests.support.scenario.years import Year

FIRST = date(2025, 6, 1)
OBSOLETE = "Obsolete product"
QUIET_WEEK = Plan(days=7)
TROUBLED_WEEK = Plan(days=9, late=0.1, halved=0.05, damaged=2, outage=2, airflow_out=5)


@pytest.fixture(scope="module", params=[MONTH, YEAR], ids=["month", "year"])
def scenario(request):
    return Scenario(FIRST, request.param)


@pytest.fixture
def emulator():
    with Emulator(stac_requests_per_s=None, s3_requests_per_minute=None) as running:
        yield running


@pytest.fixture
def played(connected, ingest, tmp_path):
    """Return what makes a year of a scenario."""

    def make(plan, **changes):
        return Year(connected, Scenario(FIRST, plan, **changes), ingest, tmp_path / "output")

    return make


def editions(scenario):
    found = {}
    for offer in scenario.offers:
        found.setdefault(offer.acquisition, {}).setdefault(offer.edition, []).append(offer)
    return found


def test_the_same_seed_gives_the_same(scenario):
    again = Scenario(FIRST, scenario.plan)
    assert again.offers == scenario.offers
    assert again.damages == scenario.damages
    assert Scenario(FIRST, scenario.plan, seed=2).offers != scenario.offers


def test_every_day_has_its_passes(scenario):
    for number, day in enumerate(scenario.days):
        first = [offer for offer in scenario.of_day(day) if offer.edition == 0]
        passes = {(offer.recipe.platform, offer.recipe.tile) for offer in first}
        with_c = number >= scenario.plan.days // 2 and number % 2 == 0
        platforms = "AB"[number % 2] + "C" * with_c
        assert passes == {(one, name) for one in platforms for name in scenario.tiles}
    assert len({offer.id for offer in scenario.offers}) == len(scenario.offers)
    assert len({offer.name for offer in scenario.offers}) == len(scenario.offers)


def test_shares_are_those_planned(scenario):
    plan, first = scenario.plan, [made[0] for made in editions(scenario).values()]
    halved = sum(len(made) == 2 for made in first)
    late = sum(len(made) == 1 and made[0].is_late for made in first)
    withdrawn = sum(made[0].cause not in {"", OBSOLETE} for made in first)
    for share, number in ((plan.halved, halved), (plan.late, late), (plan.withdrawn, withdrawn)):
        assert number == math.ceil(share * len(first)) >= 1


def test_lateness_and_withdrawals_keep_to_their_days(scenario):
    for offer in scenario.offers:
        if offer.edition == 0 and offer.is_late:
            late = offer.published.date() - offer.sensed.date()
            assert timedelta(days=1) <= late <= timedelta(days=20)
        if offer.cause not in {"", OBSOLETE}:
            stood = offer.withdrawn - offer.published
            assert timedelta(days=1) <= stood < timedelta(days=26)


def test_a_campaign_makes_anew_what_was_sensed_in_its_days(scenario):
    campaign = scenario.plan.campaign
    again, gone = scenario.days[campaign.again], scenario.days[campaign.gone]
    days = scenario.days[campaign.first : campaign.stop]
    for made in editions(scenario).values():
        if made[0][0].sensed.date() not in days:
            assert set(made) == {0}
            continue
        (new,) = made[1]
        assert new.published.date() == again
        assert new.withdrawn is None
        for old in made[0]:
            assert (old.withdrawn.date(), old.cause) == (gone, OBSOLETE)
            assert old.published < new.published
            assert (old.sensed, old.recipe.tile) == (new.sensed, new.recipe.tile)
            assert (old.recipe.baseline, new.recipe.baseline) == ("05.11", "05.12")
            assert old.recipe.generated_at < new.recipe.generated_at


def test_halves_complement_each_other(scenario):
    pairs = [made[0] for made in editions(scenario).values() if len(made[0]) == 2]
    for one, other in pairs:
        west, east = shape(one.recipe.footprint), shape(other.recipe.footprint)
        whole = shape(tile(one.recipe.tile).footprint())
        assert west.intersection(east).area == pytest.approx(0, abs=1e-9)
        assert west.union(east).symmetric_difference(whole).area == pytest.approx(0, abs=1e-9)
        assert min(west.area, east.area) > 0.25 * whole.area
        assert (one.sensed, one.recipe.relative_orbit) == (
            other.sensed,
            other.recipe.relative_orbit,
        )
        assert one.recipe.generated_at != other.recipe.generated_at
        both = scenario.expected_at(max(one.published, other.published))
        assert {one.name, other.name} <= both


def test_nothing_is_unsettled_at_the_end(scenario):
    quiet = end_of(scenario.days[-1 - scenario.plan.quiet_days])
    for offer in scenario.offers:
        assert offer.withdrawn is None or offer.withdrawn < quiet
        assert not offer.is_late or offer.published < quiet
        assert offer.published < end_of(scenario.days[-1])
    assert max(damage.day for damage in scenario.damages) < quiet.date()
    assert max(scenario.airflow_out) < quiet.date()
    assert scenario.outage[1] < quiet


def test_damages_are_as_planned(scenario):
    number = scenario.plan.damaged
    kinds = Counter(damage.how for damage in scenario.damages)
    assert len(scenario.damages) == len({damage.day for damage in scenario.damages}) == number
    assert kinds == {"flipped": number // 2, "cut": number // 4, "deleted": number // 4}


def test_the_outage_covers_the_ends_of_two_days(scenario):
    silent = [day for day in scenario.days if scenario.is_silent(end_of(day))]
    assert len(silent) == 2
    assert scenario.outage[1] - scenario.outage[0] == timedelta(hours=36)
    assert len(scenario.airflow_out) == 3


def test_expected_follows_the_catalogue(scenario):
    listed = {offer.id: offer for offer in scenario.offers}
    for day in scenario.days:
        expected = scenario.expected_at(end_of(day))
        shown = [listed[key] for key in scenario.catalogue_at(end_of(day))]
        assert expected <= {offer.name for offer in shown}
        assert {offer.acquisition for offer in shown} == {
            offer.acquisition for offer in shown if offer.name in expected
        }
    anew = {offer.name for offer in scenario.offers if offer.edition}
    replaced = {offer.name for offer in scenario.offers if offer.cause == OBSOLETE}
    assert anew <= expected
    assert not replaced & expected


def test_the_minimum_counts_each_product_once():
    scenario = Scenario(FIRST, MONTH)
    sizes = {offer.name: 1 for offer in scenario.offers}
    never = [
        offer
        for offer in scenario.offers
        if not any(offer.name in scenario.expected_at(end_of(day)) for day in scenario.days)
    ]
    assert scenario.minimum(sizes) == len(scenario.offers) - len(never)


def test_a_quiet_week_arrives_by_its_daily_runs(played):
    year = played(QUIET_WEEK)
    year.run()
    cost = year.assert_true()
    assert year.errors == []
    assert len(year.scenario.expected_at(year.now)) == 7 * 3 + 2 * 3
    assert 0 < cost["minimum_bytes"] <= cost["bytes_sent"]["download"]
    assert cost["requests"]["download"] == 7 * 3 + 2 * 3


def test_a_week_of_troubles_lacks_what_they_took(played):
    year = played(TROUBLED_WEEK)
    days = []
    year.run(days.append)
    scenario = year.scenario
    silent = {day for day in scenario.days if scenario.is_silent(end_of(day))}
    lost = silent | scenario.airflow_out
    assert days == [day for day in scenario.days if day not in scenario.airflow_out]
    assert {day for day, _ in year.errors} == silent
    standing = {path.parent.name for path in year.output.glob("bands/**/item.json")}
    for offer in scenario.offers:
        came = not offer.is_late and offer.sensed.date() not in lost
        assert (offer.name in standing) is came
    assert [damage.how for damage, _ in year.damaged] == [one.how for one in scenario.damages]
    with pytest.raises(AssertionError, match="missing"):
        year.assert_true()


@pytest.mark.parametrize("how", ["flipped", "cut", "deleted", "stranger", "gone"])
def test_what_is_wrong_is_told(played, how):
    year = played(Plan(days=1))
    year.run()
    year.assert_true()
    image = next(year.output.glob("bands/**/*.jp2"))
    if how == "stranger":
        shutil.copytree(image.parent, image.parents[1] / "another")
    elif how == "gone":
        shutil.rmtree(image.parent)
    else:
        year._spoil(Damage(FIRST, how, 0.5))
    with pytest.raises(AssertionError):
        year.assert_true()


def test_a_repair_fetches_what_came_late(played):
    year = played(Plan(days=5, late=0.01))
    year.run()
    (late,) = [offer for offer in year.scenario.offers if offer.is_late]
    with pytest.raises(AssertionError, match=late.name):
        year.assert_true()
    ran = year.repair({"product_ids": [late.id]}, "repair__late")
    assert ran.summary["delivered"] == 1
    year.assert_true()


@pytest.fixture
def linked(played):
    """A year of a day whose items are linked as a catalogue's are."""
    year = played(Plan(days=1))
    year.run()
    bands = year.output / "bands"
    catalogue = pystac.Catalog("bands", "What was delivered")
    for path in bands.rglob("item.json"):
        item = pystac.Item.from_file(str(path))
        catalogue.add_item(item)
        item.set_self_href(str(path))
    catalogue.set_self_href(str(bands / "catalog.json"))
    catalogue.save(pystac.CatalogType.SELF_CONTAINED)
    return year


def test_a_catalogue_that_leads_everywhere_passes(linked):
    linked.assert_linked()
    linked.assert_true()


def test_a_catalogue_that_lacks_an_item_is_told(linked):
    path = linked.output / "bands" / "catalog.json"
    document = json.loads(path.read_text())
    (place, *_) = [n for n, link in enumerate(document["links"]) if link["rel"] == "item"]
    del document["links"][place]
    path.write_text(json.dumps(document))
    with pytest.raises(AssertionError):
        linked.assert_linked()
