from datetime import UTC, date, datetime, timedelta

import pytest

from copernicus_dataspace.catalogue.query import Query
from copernicus_dataspace.errors import QueryError, ServiceUnavailableError
from copernicus_dataspace.models.time_range import Window
from copernicus_dataspace_emulator import Fault, make_product

FIRST = datetime(2024, 8, 1, tzinfo=UTC)
DAYS = Window.of_days(date(2024, 8, 1), date(2024, 8, 31))


def stamp(instant):
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fill(emulator, count, step=timedelta(minutes=1)):
    return [
        emulator.add(make_product(tile="36TXL", sensed=stamp(FIRST + n * step), content=False))
        for n in range(count)
    ]


def searches(emulator):
    return [request for request in emulator.requests if request.service == "catalogue"]


def test_all_pages_are_read(emulator, client):
    products = fill(emulator, 2100)
    found = client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert [product.id for product in found] == [product.id for product in products]
    assert len(searches(emulator)) == 3


def test_a_full_last_page_is_the_last(emulator, client):
    fill(emulator, 1000)
    assert len(client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))) == 1000


@pytest.mark.parametrize("count", [pytest.param(10_000, marks=pytest.mark.long), 12_500])
def test_the_wall_hides_nothing(client, emulator, count):
    products = fill(emulator, count, timedelta(minutes=2))
    found = client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert {product.id for product in found} == {product.id for product in products}
    assert len(found) == count


def test_more_than_the_wall_at_one_instant_is_an_error(emulator, client):
    for number in range(11_100):
        generation = stamp(FIRST + timedelta(seconds=number))
        emulator.add(
            make_product(tile="36TXL", sensed=stamp(FIRST), generation=generation, content=False)
        )
    with pytest.raises(ServiceUnavailableError, match="more than 10000 products at"):
        client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))


def test_repeated_rows_hide_nothing(emulator, client):
    products = fill(emulator, 1500)
    emulator.faults.add(Fault(service="catalogue", kind="repeated_rows"))
    found = client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert [product.id for product in found] == [product.id for product in products]


def test_rows_that_repeat_every_time_are_an_error(emulator, client):
    fill(emulator, 1500)
    emulator.faults.add(Fault(service="catalogue", kind="repeated_rows", times=None))
    with pytest.raises(
        ServiceUnavailableError, match="the count is 1500 products, but the pages have only 750"
    ):
        client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))


@pytest.mark.parametrize(
    "kind", ["next_link_loop", "partial_page", "no_value", "json", "html", "malformed_json"]
)
def test_a_broken_page_is_an_error_and_never_fewer_rows(emulator, client, kind):
    fill(emulator, 1500)
    emulator.faults.add(Fault(service="catalogue", kind=kind, times=None))
    with pytest.raises(ServiceUnavailableError):
        client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))


@pytest.mark.parametrize(
    "kind",
    ["partial_page", "no_value", "json", "html", "malformed_json", "reset", "reset_body", "status"],
)
def test_a_page_that_breaks_once_is_asked_for_again(emulator, client, kind):
    fill(emulator, 1500)
    emulator.faults.add(Fault(service="catalogue", kind=kind, status=503, skip=1))
    assert len(client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))) == 1500


def test_a_foreign_next_page_is_never_visited(emulator, client):
    fill(emulator, 1500)
    location = "http://127.0.0.1:9/stolen"
    emulator.faults.add(
        Fault(service="catalogue", kind="redirect", skip=1, times=None, location=location)
    )
    with pytest.raises(Exception, match="not a host of the service"):
        client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))


def test_a_refused_question_is_tried_once(emulator, client, sleeps):
    emulator.faults.add(Fault(service="catalogue", status=400, times=None))
    with pytest.raises(QueryError, match="HTTP 400"):
        client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert len(searches(emulator)) == 1


def test_searching_needs_no_account(emulator, client):
    client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert not emulator.grants
    assert not any(request.authorization for request in emulator.requests)


def test_count_is_one_small_request(emulator, client):
    fill(emulator, 30)
    assert client.catalogue.peek(Query(sensed=DAYS))[0] == 30
    (request,) = searches(emulator)
    assert request.bytes_sent < 5000


def test_published_and_online_are_asked_of_the_catalogue(emulator, client):
    early, late, offline = (
        emulator.add(make_product(tile="36TXL", sensed=stamp(FIRST), content=False, **facts))
        for facts in (
            {"published": "2024-08-01T12:00:00Z", "seed": 1, "platform": "A"},
            {"published": "2024-08-09T12:00:00Z", "seed": 2, "platform": "B"},
            {"published": "2024-08-01T12:00:00Z", "seed": 3, "platform": "C", "online": False},
        )
    )
    published = Window(datetime(2024, 8, 1, tzinfo=UTC), datetime(2024, 8, 2, tzinfo=UTC))
    found = client.catalogue.search(Query(sensed=DAYS, published=published, tiles=("36TXL",)))
    assert {product.id for product in found} == {early.id, offline.id}
    found = client.catalogue.search(Query(sensed=DAYS, online=True, tiles=("36TXL",)))
    assert {product.id for product in found} == {early.id, late.id}


def test_every_id_is_returned_once_whatever_its_name(emulator, client):
    twins = [
        emulator.add(make_product(tile="36TXL", seed=seed, content=False, **facts))
        for seed, facts in ((1, {}), (2, {"online": False}))
    ]
    (other,) = fill(emulator, 1)
    assert twins[0].name == twins[1].name
    found = client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",)))
    assert found[0].id == other.id
    assert {product.id for product in found[1:]} == {twin.id for twin in twins}
