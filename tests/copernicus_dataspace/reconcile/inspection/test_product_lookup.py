"""How many requests it takes to ask for many days, and what is made of the answers."""

from datetime import date, timedelta

import pytest

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace_emulator import make_product

FIRST = date(2024, 1, 1)
QUERY = Query(sensed=MISSION, tiles=("36TXL",))


@pytest.fixture
def lookup(client):
    return ProductLookup(client.catalogue, QUERY)


def offer(emulator, day, number=1):
    """Let the catalogue list so many products of a day."""
    return [
        emulator.add(
            make_product(
                sensed=f"{day}T08:{n // 60:02}:{n % 60:02}.024Z", content=False, seed=n, scale=0.001
            )
        )
        for n in range(number)
    ]


def listings(emulator):
    return [one for one in emulator.requests if one.service == "catalogue"]


def sensed(answer):
    return sorted({product.sensed.date() for product in answer.listed})


def test_days_in_a_row_take_a_request_for_each_thousand_products(emulator, lookup):
    days = [FIRST + timedelta(days=n) for n in range(7)]
    for day in days:
        offer(emulator, day, 300)
    answer = lookup.ask(days, [])
    assert len(answer.listed) == 2100
    assert len(listings(emulator)) == 3
    before = len(listings(emulator))
    again = lookup.ask(days, answer.listed)
    assert (again.listed, again.deleted) == (answer.listed, {})
    assert len(listings(emulator)) - before == 3


@pytest.mark.parametrize("between", [2, 30, 900])
def test_days_apart_take_one_request_and_only_they_are_told(emulator, lookup, between):
    days = [FIRST - timedelta(days=between * n) for n in reversed(range(3))]
    for day in days:
        offer(emulator, day)
        offer(emulator, day + timedelta(days=1))
    answer = lookup.ask(days, [])
    assert sensed(answer) == days
    assert len(listings(emulator)) == 1


@pytest.mark.parametrize(("between", "requests"), [(3, 2), (12, 3)])
def test_many_products_between_days_are_not_asked_for(emulator, lookup, between, requests):
    """Of 200 products a day, five days are as many as a page holds."""
    days = [FIRST + timedelta(days=between * n) for n in range(3)]
    for n in range(between * 2 + 1):
        offer(emulator, FIRST + timedelta(days=n), 200)
    held = [one for one in lookup.ask(days, []).listed if one.sensed.date() in days]
    assert len(held) == 600
    before = len(listings(emulator))
    assert sensed(lookup.ask(days, held)) == days
    assert len(listings(emulator)) - before == requests


@pytest.mark.parametrize(("number", "requests"), [(1, 2), (50, 2), (51, 2), (120, 2)])
def test_what_was_deleted_takes_one_request_more(emulator, lookup, number, requests):
    days = [FIRST, FIRST + timedelta(days=3)]
    products = [one for day in days for one in offer(emulator, day, 130)]
    held = lookup.ask(days, []).listed
    for product in products[:number]:
        emulator.remove(product.id, "Corrupted product")
    for product in products[-3:]:
        emulator._listed.remove(product.id)
    before = len(listings(emulator))
    answer = lookup.ask(days, held)
    assert len(listings(emulator)) - before == requests
    assert set(answer.deleted) == {product.id for product in products[:number]}
    assert len(answer.listed) == len(held) - number - 3
