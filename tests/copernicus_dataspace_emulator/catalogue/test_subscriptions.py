"""Queues of what becomes of products."""

import pytest
import requests

from copernicus_dataspace_emulator import make_product

FILTER = (
    "Collection/Name eq 'SENTINEL-2' and "
    "Attributes/OData.CSC.StringAttribute/any(att:att/Name eq 'productType' and "
    "att/OData.CSC.StringAttribute/Value eq 'S2MSI2A')"
)
WANTED = {"StageOrder": True, "FilterParam": FILTER, "Priority": 1, "Status": "running"}


@pytest.fixture
def ask(emulator, bearer):
    """Send a request below Subscriptions, signed in; returns its status and document."""

    def send(method, path="", *, signed=True, **content):
        url = f"{emulator.catalogue_url}/Subscriptions{path}"
        headers = bearer if signed else {}
        answer = requests.request(method, url, headers=headers, timeout=10, **content)
        return answer.status_code, answer.json()

    return send


@pytest.fixture
def subscribe(ask):
    """Begin a subscription to some events; returns its path."""

    def begin(*events):
        status, made = ask("POST", json={**WANTED, "SubscriptionEvent": list(events)})
        assert status == 201
        return f"({made['Id']})"

    return begin


def test_products_are_told_of_once_they_are_published(emulator, ask, subscribe):
    emulator.add(make_product(content=False))  # known before
    path = subscribe("created")
    later = [
        emulator.add(make_product(content=False, seed=n, published=f"2026-11-21T0{n}:00:00Z"))
        for n in (2, 1)
    ]
    emulator.add(make_product(content=False, level="L1C", published="2026-11-21T01:00:00Z"))
    assert ask("GET", f"{path}/Read?$top=20") == (200, [])
    emulator.now = "2026-11-21T03:00:00Z"
    status, told = ask("GET", f"{path}/Read?$top=20")
    assert status == 200
    assert [one["ProductId"] for one in told] == [later[1].id, later[0].id]
    assert told[0]["value"]["Name"] == told[0]["ProductName"] == later[1].name
    assert told[0]["value"]["Attributes"]
    assert len(ask("GET", f"{path}/Read")[1]) == 1
    status, taken = ask("POST", f"{path}/Ack?$ackid={told[0]['AckId']}")
    assert (status, taken["AckMessagesNum"], taken["CurrentQueueLength"]) == (200, 1, 1)
    assert taken["MaxQueueLength"] == 100_000
    assert [one["AckId"] for one in ask("GET", f"{path}/Read?$top=20")[1]] == [told[1]["AckId"]]


def test_a_notification_has_the_recorded_shape(emulator, ask, subscribe, recorded):
    path = subscribe("created")
    emulator.add(make_product(content=False, published="2026-11-20T13:00:00Z"))
    emulator.now = "2026-11-20T14:00:00Z"
    (told,) = ask("GET", f"{path}/Read")[1]
    real = recorded("subscriptions/hls_push_created_s2_2024-09.json")
    assert set(told) == set(real)
    assert set(told["value"]) == set(real["value"])


def test_changes_and_deletions_are_told_of(emulator, ask, subscribe):
    product = emulator.add(make_product(scale=0.0))
    path = subscribe("modified", "deleted")
    for now, act in (
        ("2026-11-21T00:00:00Z", lambda: emulator.touch(product.id)),
        ("2026-11-22T00:00:00Z", lambda: emulator.exchange(product.id, seed=3)),
        ("2026-11-23T00:00:00Z", lambda: emulator.remove(product.id)),
    ):
        emulator.now = now
        act()
    told = ask("GET", f"{path}/Read?$top=20")[1]
    assert [one["SubscriptionEvent"] for one in told] == ["modified", "modified", "deleted"]
    assert told[2]["value"]["DeletionCause"] == "Obsolete product"


def test_after_three_days_only_the_id_is_left(emulator, ask, subscribe):
    path = subscribe("created")
    product = emulator.add(make_product(content=False, published="2026-11-20T13:00:00Z"))
    emulator.now = "2026-11-23T13:00:01Z"
    (told,) = ask("GET", f"{path}/Read")[1]
    assert told["ProductId"] == product.id
    assert not {"value", "ProductName"} & set(told)


def test_an_account_has_one_that_runs_and_may_cancel_it(ask, subscribe):
    path = subscribe("created")
    assert ask("POST", json=WANTED)[0] == 429
    assert ask("PATCH", path, json={"Status": "paused"})[1]["Status"] == "paused"
    other = subscribe("deleted")
    assert len(ask("GET")[1]["value"]) == 2
    assert ask("PATCH", other, json={"Status": "cancelled"})[0] == 200
    status, told = ask("GET", f"{other}/Read")
    assert status == 404
    number = other.strip("()")
    assert told["detail"]["message"] == f"Subscription with id {number} not found."


def test_one_runs_however_it_came_to_run(ask, subscribe):
    first = subscribe("created")
    status, made = ask("POST", json={**WANTED, "Status": "paused"})
    assert (status, made["Status"]) == (201, "paused")
    second = f"({made['Id']})"
    assert ask("PATCH", second, json={"Status": "running"})[0] == 429
    assert ask("PATCH", first, json={"Status": "running"})[0] == 200
    assert ask("PATCH", first, json={"Status": "paused"})[0] == 200
    assert ask("PATCH", second, json={"Status": "running"})[1]["Status"] == "running"
    assert ask("PATCH", first, json={"Status": "running"})[0] == 429


def test_an_account_has_ten(ask):
    paused = {**WANTED, "Status": "paused"}
    assert [ask("POST", json=paused)[0] for _ in range(11)] == [201] * 10 + [429]
    number = ask("GET")[1]["value"][0]["Id"]
    assert ask("PATCH", f"({number})", json={"Status": "running"})[0] == 200


def test_what_is_wrong_is_refused(ask, subscribe):
    path = subscribe("created")
    assert ask("GET", signed=False)[0] == 401
    assert ask("DELETE")[0] == 405
    assert ask("GET", f"{path}/Read?$top=21")[0] == 422
    assert ask("POST", f"{path}/Ack?$ackid=none")[0] == 404
    assert ask("PATCH", path, json={"Status": "asleep"})[0] == 400
    assert ask("PATCH", path, json={"Status": "paused"})[0] == 200
    for wrong in (
        {"SubscriptionEvent": ["born"]},
        {"FilterParam": "Name eq"},
        {"FilterParam": 3},
        {"Status": "asleep"},
        {"NotificationEndpoint": "https://example.org"},
    ):
        assert ask("POST", json={**WANTED, **wrong})[0] == 400
    assert ask("POST", data="{")[0] == 400
    assert ask("POST", json=[])[0] == 400
