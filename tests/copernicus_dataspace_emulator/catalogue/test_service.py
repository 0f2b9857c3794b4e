import hashlib
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from urllib3.util import SKIP_HEADER

from copernicus_dataspace_emulator import Emulator, Fault, make_product

COLLECTION = "Collection/Name eq 'SENTINEL-2'"
BY_START = ("$orderby", "ContentDate/Start")
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def hourly(number, **facts):
    day, hour = divmod(number, 24)
    month, day = divmod(day, 28)
    year, month = divmod(month, 12)
    sensed = f"{2019 + year}-{month + 1:02d}-{day + 1:02d}T{hour:02d}:00:00.000Z"
    return make_product(content=False, sensed=sensed, **facts)


@pytest.fixture
def hundred(emulator):
    return [emulator.add(hourly(number)) for number in range(100)]


def every(search, *options):
    """Rows of all pages, and how many pages there were."""
    answer = search(COLLECTION, *options).json()
    rows, pages = answer["value"], 1
    while "@odata.nextLink" in answer:
        answer = requests.get(answer["@odata.nextLink"], timeout=30).json()
        rows += answer["value"]
        pages += 1
    return rows, pages


def test_pages_of_an_ordered_list_hold_every_row_once(search, hundred):
    rows, pages = every(search, BY_START, ("$top", "30"))
    assert [row["Id"] for row in rows] == [product.id for product in hundred]
    assert pages == 4


def test_pages_of_an_unordered_list_can_lose_rows(search, hundred):
    rows, _ = every(search, ("$top", "10"))
    assert len(rows) == 100
    assert len({row["Id"] for row in rows}) < 100
    assert [row["Id"] for row in search(COLLECTION).json()["value"]] == [
        row["Id"] for row in search(COLLECTION).json()["value"]
    ]


def test_a_next_link_keeps_every_option(search, hundred, emulator):
    options = [BY_START, ("$top", "7"), ("$skip", "7"), ("$count", "True"), ("$expand", "Assets")]
    answer = search(COLLECTION, *options, ("$expand", "Attributes")).json()
    link = urlsplit(answer["@odata.nextLink"])
    assert answer["@odata.count"] == 100
    assert answer["@odata.nextLink"].startswith(f"{emulator.catalogue_url}/Products?%24filter=")
    assert " " not in link.query
    assert "+eq+%27SENTINEL-2%27" in link.query
    kept = [("$filter", COLLECTION), *(pair for pair in options if pair[0] != "$skip")]
    assert sorted(parse_qsl(link.query)) == sorted(
        [*kept, ("$expand", "Attributes"), ("$skip", "14")]
    )


@pytest.mark.parametrize(
    ("name", "value", "kind", "bound"),
    [
        ("$top", "1001", "less_than_equal", {"le": 1000}),
        ("$top", "-1", "greater_than_equal", {"ge": 0}),
        ("$top", "many", "int_parsing", None),
        ("$skip", "10001", "less_than_equal", {"le": 10000}),
        ("$skip", "-1", "greater_than_equal", {"ge": 0}),
        ("$count", "yes", "bool_parsing", None),
    ],
)
def test_numbers_out_of_range_are_refused(search, name, value, kind, bound):
    answer = search(COLLECTION, (name, value))
    (detail,) = answer.json()["detail"]
    assert answer.status_code == 422
    assert (detail["type"], detail["loc"], detail["input"]) == (kind, ["query", name], value)
    assert detail.get("ctx") == bound


def test_skip_is_refused_in_the_documented_words(search):
    assert search(COLLECTION, ("$skip", "10001")).json() == {
        "detail": [
            {
                "type": "less_than_equal",
                "loc": ["query", "$skip"],
                "msg": "Input should be less than or equal to 10000",
                "input": "10001",
                "ctx": {"le": 10000},
            }
        ]
    }


def test_defaults_and_extremes_of_a_page(search, hundred):
    assert len(search(COLLECTION, BY_START).json()["value"]) == 20
    empty = search(COLLECTION, BY_START, ("$top", "0")).json()
    assert empty["value"] == []
    assert "@odata.nextLink" not in empty
    assert search(COLLECTION, BY_START, ("$skip", "10000")).json()["value"] == []


def test_the_list_ends_silently_at_ten_thousand_rows(emulator, search):
    for number in range(10_050):
        emulator.add(hourly(number))
    last = search(COLLECTION, BY_START, ("$top", "1000"), ("$skip", "9000"), ("$count", "true"))
    assert len(last.json()["value"]) == 1000
    assert last.json()["@odata.count"] == 10_050
    assert "@odata.nextLink" not in last.json()
    before = search(COLLECTION, BY_START, ("$top", "1000"), ("$skip", "8999")).json()
    assert "@odata.nextLink" in before
    beyond = search(COLLECTION, BY_START, ("$top", "1000"), ("$skip", "10000")).json()
    assert len(beyond["value"]) == 50
    started = time.monotonic()
    day = "ContentDate/Start ge 2019-03-01T00:00:00Z and ContentDate/Start lt 2019-03-02T00:00:00Z"
    assert len(search(f"{COLLECTION} and {day}", ("$top", "1000")).json()["value"]) == 24
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("key", ["ContentDate/Start", "ContentDate/End", "PublicationDate"])
def test_lists_can_be_ordered(search, emulator, key):
    for number, hour in enumerate([5, 1, 9]):
        emulator.add(hourly(hour, seed=number))
    field = "PublicationDate" if key == "PublicationDate" else "ContentDate"
    for direction, reverse in (("", False), (" asc", False), (" desc", True)):
        rows = search(COLLECTION, ("$orderby", key + direction)).json()["value"]
        dates = [str(row[field]) for row in rows]
        assert dates == sorted(dates, reverse=reverse)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("$orderby", "Name"), "Invalid field in orderby: Name"),
        (("$orderby", "ContentDate/Start up"), "Invalid field in orderby: ContentDate/Start up"),
        (
            ("$orderby", "ContentDate/Start,PublicationDate"),
            "Invalid field in orderby: ContentDate/Start,PublicationDate",
        ),
        (("$expand", "Nodes"), "Invalid field in expand: Nodes"),
        (("$select", "Id,OrbitNumber"), "Invalid field in select: OrbitNumber"),
    ],
)
def test_unknown_fields_are_refused(search, option, message):
    answer = search(COLLECTION, option)
    assert (answer.status_code, answer.json()) == (400, {"detail": message})


def test_nothing_found_is_an_empty_list(search):
    assert search(COLLECTION).json() == {"@odata.context": "$metadata#Products", "value": []}


def test_selected_fields_come_with_the_id(search, hundred):
    (row,) = search(COLLECTION, ("$select", "Name,Geofootprint"), ("$top", "1")).json()["value"]
    assert set(row) == {"@odata.mediaContentType", "Id", "Name", "GeoFootprint"}


def test_a_product_appears_when_it_is_published(search, emulator):
    emulator.now = "2024-08-01T12:00:00Z"
    product = emulator.add(make_product(content=False, published="2024-08-01T13:00:00Z"))
    url = f"{emulator.catalogue_url}/Products({product.id})"
    assert search(COLLECTION).json()["value"] == []
    assert requests.get(url, timeout=10).status_code == 404
    emulator.now = "2024-08-01T13:00:00Z"
    assert len(search(COLLECTION).json()["value"]) == 1
    assert requests.get(url, timeout=10).json()["Id"] == product.id


def test_a_single_product(emulator):
    product = emulator.add(make_product(content=False))
    url = f"{emulator.catalogue_url}/Products"
    answer = requests.get(f"{url}({product.id})?$expand=Attributes", timeout=10).json()
    assert answer["@odata.context"] == "$metadata#Products(Attributes())/$entity"
    assert answer["Name"] == product.name
    missing = requests.get(f"{url}({UNKNOWN})", timeout=10)
    assert missing.status_code == 404
    assert missing.json()["detail"]["message"] == f"Product with id {UNKNOWN} not found."
    assert requests.get(f"{url}('{product.id}')", timeout=10).status_code == 422


def test_a_removed_product_is_among_the_deleted_ones(search, emulator):
    product = emulator.add(make_product(content=False))
    emulator.remove(product.id, "Duplicated product")
    assert search(COLLECTION).json()["value"] == []
    cause = "DeletionCause eq 'Duplicated product' and DeletionDate ge 2026-11-20T12:00:00Z"
    answer = search(cause, ("$orderby", "DeletionDate"), listing="DeletedProducts").json()
    (row,) = answer["value"]
    assert answer["@odata.context"] == "$metadata#DeletedProducts"
    assert row["Id"] == product.id
    assert row["DeletionCause"] == "Duplicated product"
    assert row["DeletionDate"] == "2026-11-20T12:00:00.000000Z"
    assert not {"S3Path", "Online", "PublicationDate"} & set(row)
    with pytest.raises(KeyError):
        emulator.remove(product.id)
    with pytest.raises(ValueError, match="Unknown cause 'bored'"):
        emulator.remove(product.id, "bored")


def test_a_row_is_listed_as_a_function_writes_it(search, emulator):
    odd, plain = (emulator.add(make_product(content=False, seed=seed)) for seed in (1, 2))
    options = (COLLECTION, BY_START, ("$count", "True"))
    true = {row["Id"]: row for row in search(*options).json()["value"]}
    emulator.rewrite(odd.id, lambda row: {**row, "Id": [row["Name"]]})
    document = search(*options).json()
    assert document["@odata.count"] == 2
    assert {**true[odd.id], "Id": [odd.name]} in document["value"]
    assert true[plain.id] in document["value"]
    emulator.rewrite(odd.id, lambda _: None)
    assert None in search(*options).json()["value"]
    emulator.remove(odd.id)
    assert search(*options, listing="DeletedProducts").json()["value"] == [None]


def test_a_campaign_changes_dates_of_modification_and_nothing_else(search, emulator, hundred):
    options = (("$orderby", "ContentDate/Start"), ("$top", "1000"))
    before = search(COLLECTION, *options).json()["value"]
    touched = [row["Id"] for row in before[:40]]
    emulator.now = "2026-11-21T00:00:00Z"
    emulator.touch(*touched)
    since = search("ModificationDate ge 2026-11-21T00:00:00Z", *options).json()["value"]
    assert [row["Id"] for row in since] == touched
    assert {row.pop("ModificationDate") for row in since} == {"2026-11-21T00:00:00.000000Z"}
    for row in before:
        row.pop("ModificationDate")
    assert since == before[:40]


def test_bytes_may_change_while_they_are_listed(search, emulator, fetch):
    product = emulator.add(make_product(scale=0.001))
    (before,) = search(f"Id eq {product.id}").json()["value"]
    item = f"{emulator.stac_url}/collections/sentinel-2-l2a/items/{product.name[:-5]}"
    told = [requests.get(item, timeout=10).json()["assets"]["Product"]["file:checksum"]]
    new = emulator.exchange(product.id, seed=5)
    (after,) = search(f"Id eq {product.id}").json()["value"]
    assert (new.id, new.name) == (product.id, product.name)
    assert after["Checksum"][0]["Value"] == new.md5 != before["Checksum"][0]["Value"]
    assert after["ModificationDate"] == "2026-11-20T12:00:00.000000Z" > before["ModificationDate"]
    body = fetch(f"Products({product.id})/$value").content
    assert hashlib.md5(body, usedforsecurity=False).hexdigest() == new.md5
    told.append(requests.get(item, timeout=10).json()["assets"]["Product"]["file:checksum"])
    assert told == [f"d50110{product.md5}", f"d50110{new.md5}"]
    with pytest.raises(ValueError, match="another name"):
        emulator.exchange(product.id, baseline="05.12")
    with pytest.raises(KeyError):
        emulator.exchange(UNKNOWN, seed=6)


def test_a_row_is_written_by_a_function_wherever_it_is_asked_for(search, emulator):
    product = emulator.add(make_product(content=False))
    emulator.rewrite(product.id, lambda row: {**row, "ContentLength": 0})
    one = requests.get(f"{emulator.catalogue_url}/Products({product.id})", timeout=10).json()
    assert one["ContentLength"] == 0
    names = {"FilterProducts": [{"Name": product.name}]}
    url = f"{emulator.catalogue_url}/Products/OData.CSC.FilterList"
    assert requests.post(url, json=names, timeout=10).json()["value"][0]["ContentLength"] == 0
    emulator.rewrite(product.id, lambda _: None)
    one = requests.get(f"{emulator.catalogue_url}/Products({product.id})", timeout=10)
    assert one.json() is None


def test_products_are_found_by_a_list_of_names(emulator, hundred):
    names = [{"Name": hundred[3].name}, {"Name": hundred[5].name}, {"Name": "no such"}]
    url = f"{emulator.catalogue_url}/Products/OData.CSC.FilterList"
    answer = requests.post(url, json={"FilterProducts": names}, timeout=10)
    assert {row["Id"] for row in answer.json()["value"]} == {hundred[3].id, hundred[5].id}
    assert requests.post(url, json={"Products": names}, timeout=10).status_code == 422


def test_attributes_are_listed_with_their_types(emulator):
    url = f"{emulator.catalogue_url}/Attributes"
    rows = requests.get(f"{url}(SENTINEL-2)", timeout=10).json()
    assert {"Name": "cloudCover", "ValueType": "Double"} in rows
    assert {"Name": "tileId", "ValueType": "String"} in rows
    for path in ("(SENTINEL-99)", "('SENTINEL-2')", "()", "(SENTINEL-2)/Name", "(sentinel-2)"):
        unknown = requests.get(f"{url}{path}", timeout=10)
        assert unknown.status_code == 404
        assert set(unknown.json()["detail"]) == {"message", "request_id"}


def test_attributes_are_those_of_their_collection(emulator, recorded):
    url = f"{emulator.catalogue_url}/Attributes"
    of_radar = requests.get(f"{url}(SENTINEL-1)", timeout=10).json()
    known = {(one["Name"], one["ValueType"]) for one in of_radar}
    real = recorded("odata/cdsetool_s1_page_1.json")["value"]
    assert {(one["Name"], one["ValueType"]) for row in real for one in row["Attributes"]} == known
    of_model = requests.get(f"{url}(COP-DEM)", timeout=10).json()
    assert "cloudCover" not in {one["Name"] for one in of_model}


def test_a_quicklook_needs_no_account(emulator, search):
    emulator.add(make_product(content=False))
    (row,) = search(COLLECTION, ("$expand", "Assets")).json()["value"]
    answer = requests.get(row["Assets"][0]["DownloadLink"], timeout=10)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8\xff")
    url = f"{emulator.catalogue_url}/Assets({UNKNOWN})/$value"
    assert requests.get(url, timeout=10).status_code == 404


@pytest.mark.parametrize("rest", ["$value", "Nodes", "Nodes(x)/Nodes(y)/$value?token=t"])
def test_bytes_are_elsewhere(emulator, rest):
    url = f"{emulator.catalogue_url}/Products({UNKNOWN})/{rest}"
    answer = requests.get(url, timeout=10, allow_redirects=False)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"{emulator.download_url}/Products({UNKNOWN})/{rest}"


def test_a_client_without_a_name_is_refused(search):
    answer = search(COLLECTION, **{"User-Agent": SKIP_HEADER})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "text/html"


def test_a_very_long_address_is_refused(search):
    assert search("(" * 8200).status_code == 414


def test_what_is_not_there_is_not_found(emulator):
    root = emulator.catalogue_url.removesuffix("/odata/v1")
    for path in ("/odata/v1/Nothing", "/resto/api/collections", "/odata/v1/Products(x)/Nothing"):
        assert requests.get(root + path, timeout=10).status_code in {404, 422}
    assert requests.delete(f"{emulator.catalogue_url}/Products", timeout=10).status_code == 405


def test_errors_come_in_the_catalogues_envelope(search, emulator):
    emulator.faults.add(Fault("catalogue", status=500, retry_after="Fri, 20 Nov 2026 12:00:00 GMT"))
    answer = search(COLLECTION)
    assert answer.status_code == 500
    assert set(answer.json()["detail"]) == {"message", "request_id"}
    assert answer.headers["Retry-After"] == "Fri, 20 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize("explains", [True, False])
def test_a_complaint_is_a_text_or_an_object(explains):
    with Emulator(explains_errors=explains) as emulator:
        url = f"{emulator.catalogue_url}/Products"
        told = requests.get(url, params={"$filter": "Name eq"}, timeout=10).json()["detail"]
        message = "Error during parsing at index 7"
        assert (told["message"] if explains else told) == message
        assert not explains or set(told) == {"message", "request_id"}


def test_a_catalogue_may_take_so_many_requests():
    with Emulator(catalogue_requests_per_s=2) as emulator:
        url = f"{emulator.catalogue_url}/Products"
        assert [requests.get(url, timeout=10).status_code for _ in range(3)] == [200, 200, 429]
