"""Filters, orders and queryables of STAC, as pystac-client and others send them."""

import json

import pytest
import requests

from copernicus_dataspace_emulator import Emulator, make_product

CLOUDS = {1: 5.0, 2: 20.0, 3: 80.0, 4: None}
LAKE = "POLYGON((34.4 40.6,34.6 40.6,34.6 40.7,34.4 40.7,34.4 40.6))"
FAR = "POLYGON((0 0,1 0,1 1,0 0))"


@pytest.fixture
def emulator():
    """A Data Space of four days whose STAC takes any number of requests."""
    with Emulator(stac_requests_per_s=None) as running:
        for day, cover in CLOUDS.items():
            running.add(
                make_product(
                    sensed=f"2024-08-0{day}T08:36:01.024Z",
                    cloud_cover=cover,
                    platform="AB"[day % 2],
                    content=False,
                )
            )
        yield running


@pytest.fixture
def post(emulator):
    """POST a search."""

    def ask(**body):
        return requests.post(f"{emulator.stac_url}/search", json=body, timeout=30)

    return ask


def days(answer):
    """The days of an answer's items, in its order."""
    assert answer.status_code == 200, answer.text
    return [int(item["properties"]["datetime"][8:10]) for item in answer.json()["features"]]


@pytest.fixture
def by_text(emulator):
    """Days that a filter finds: the same by a query, by a body, and inside the collection."""

    def ask(text):
        options = {"filter": text, "filter-lang": "cql2-text"}
        url = emulator.stac_url
        found = days(requests.get(f"{url}/search", params=options, timeout=30))
        assert days(requests.post(f"{url}/search", json=options, timeout=30)) == found
        inside = f"{url}/collections/sentinel-2-l2a/items"
        assert days(requests.get(inside, params=options, timeout=30)) == found
        assert days(requests.get(inside, params={"filter": text}, timeout=30)) == found
        return sorted(found)

    return ask


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("eo:cloud_cover <= 20", [1, 2]),
        ("properties.eo:cloud_cover < 20", [1]),
        ('"eo:cloud_cover" = 20.0', [2]),
        ("20 > eo:cloud_cover", [1]),
        ("eo:cloud_cover <> 20", [1, 3]),
        ("NOT eo:cloud_cover <= 20", [3]),
        ("eo:cloud_cover IS NULL", [4]),
        ("eo:cloud_cover is not null", [1, 2, 3]),
        ("eo:cloud_cover BETWEEN 5 AND 20", [1, 2]),
        ("eo:cloud_cover NOT BETWEEN 5 AND 20", [3]),
        ("eo:cloud_cover < 10 OR eo:cloud_cover > 50 AND platform = 'sentinel-2b'", [1, 3]),
        ("(eo:cloud_cover < 10 OR eo:cloud_cover > 50) AND platform = 'sentinel-2a'", []),
        ("platform IN ('sentinel-2a', 'sentinel-2c')", [2, 4]),
        ("platform NOT IN ('sentinel-2a')", [1, 3]),
        ("id LIKE 'S2_\\_MSIL2A%'", [1, 2, 3, 4]),
        ("id LIKE 'S2A\\%'", []),
        ("id LIKE 'S2A_MSIL2A_20240802%'", [2]),
        ("platform LIKE 'SENTINEL%'", []),
        ("collection = 'sentinel-2-l2a' and gsd = 10", [1, 2, 3, 4]),
        ("sat:relative_orbit > -1e3 AND nothing:known = 1", []),
        ("nothing:known IS NULL", [1, 2, 3, 4]),
        ("datetime >= TIMESTAMP('2024-08-03T00:00:00Z')", [3, 4]),
        ("datetime < '2024-08-02T10:36:01.024+02:00'", [1]),
        ("datetime = DATE('2024-08-02')", []),
        ("T_INTERSECTS(datetime, INTERVAL('2024-08-02T00:00:00Z', '..'))", [2, 3, 4]),
        ("T_INTERSECTS(datetime, INTERVAL('2024-08-02', '2024-08-03'))", [2]),
        (f"S_INTERSECTS(geometry, {LAKE}) AND eo:cloud_cover > 10", [2, 3]),
        (f"s_intersects(geometry,{FAR})", []),
        ("S_INTERSECTS(geometry, POINT(34.5 40.63))", [1, 2, 3, 4]),
        ("platform = 'it''s'", []),
    ],
)
def test_a_text_finds_what_it_says(by_text, text, found):
    assert by_text(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("eo:cloud_cover <", "eo:cloud_cover", "< 3", "a = 1 b = 2", "(a = 1", "a = 1)"),
        *("a BETWEEN 1 OR 2", "a IN 1", "a IN ()", "a IS 3", "NOT", "a = ;", "a = 'open"),
        *("S_INTERSECTS(geometry)", "S_INTERSECTS(geometry, POLYGON((1 2, 3)))"),
        *("a = TIMESTAMP('soon')", "T_INTERSECTS(datetime, INTERVAL('a', 'b'))", "a LIKE 3"),
        "S_TOUCHES(geometry, POINT(1 2))",
    ],
)
def test_a_text_that_is_no_filter_is_refused(emulator, text):
    answer = requests.get(f"{emulator.stac_url}/search", params={"filter": text}, timeout=10)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "description"}


def prop(name):
    return {"property": name}


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({"op": "<=", "args": [prop("eo:cloud_cover"), 20]}, [2, 1]),
        (
            {
                "op": "and",
                "args": [
                    {"op": "=", "args": [prop("collection"), "sentinel-2-l2a"]},
                    {"op": "not", "args": [{"op": "isNull", "args": [prop("eo:cloud_cover")]}]},
                ],
            },
            [3, 2, 1],
        ),
        (
            {"op": "between", "args": [prop("properties.eo:cloud_cover"), 6, 90]},
            [3, 2],
        ),
        ({"op": "in", "args": [prop("platform"), ["sentinel-2a"]]}, [4, 2]),
        ({"op": "like", "args": [prop("grid:code"), "MGRS-36T%"]}, [4, 3, 2, 1]),
        (
            {
                "op": "s_intersects",
                "args": [prop("geometry"), {"type": "Point", "coordinates": [34.5, 40.63]}],
            },
            [4, 3, 2, 1],
        ),
        (
            {
                "op": "t_intersects",
                "args": [prop("datetime"), {"interval": ["2024-08-02T00:00:00Z", ".."]}],
            },
            [4, 3, 2],
        ),
        (
            {"op": ">", "args": [prop("datetime"), {"timestamp": "2024-08-03T00:00:00Z"}]},
            [4, 3],
        ),
    ],
)
def test_a_tree_finds_what_it_says(post, tree, found):
    assert days(post(filter=tree)) == found
    assert days(post(**{"filter": tree, "filter-lang": "cql2-json"})) == found


@pytest.mark.parametrize(
    "tree",
    [
        *({"op": "=", "args": [1]}, {"op": "casei", "args": ["a"]}, {"args": []}, ["a"], 7),
        *({"op": "not", "args": []}, {"op": "in", "args": [prop("a"), "b"]}),
        {"op": "=", "args": [prop("a"), None]},
        {"op": "s_intersects", "args": [prop("geometry"), {"type": "Blob", "coordinates": []}]},
        {"op": "=", "args": [prop("a"), {"timestamp": "soon"}]},
    ],
)
def test_a_tree_that_is_no_filter_is_refused(post, tree):
    answer = post(filter=tree)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "description"}


def test_a_language_must_be_that_of_the_filter(post):
    tree = {"op": "=", "args": [prop("gsd"), 10]}
    assert post(**{"filter": tree, "filter-lang": "cql2-text"}).status_code == 400
    assert post(**{"filter": "gsd = 10", "filter-lang": "cql-text"}).status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"eo:cloud_cover": {"lt": 20}}, [1]),
        ({"eo:cloud_cover": {"gte": 5, "lte": 20}}, [2, 1]),
        ({"platform": {"eq": "sentinel-2b"}, "eo:cloud_cover": {"gt": 10}}, [3]),
        ({"platform": {"neq": "sentinel-2b"}}, [4, 2]),
        ({"platform": {"in": ["sentinel-2b", "x"]}}, [3, 1]),
        ({"grid:code": {"startsWith": "MGRS", "endsWith": "XL", "contains": "36"}}, [4, 3, 2, 1]),
        ({"grid:code": {"startsWith": "36"}}, []),
    ],
)
def test_a_query_finds_what_it_says(emulator, post, query, found):
    assert days(post(query=query)) == found
    options = {"query": json.dumps(query)}
    assert days(requests.get(f"{emulator.stac_url}/search", params=options, timeout=10)) == found


@pytest.mark.parametrize("query", [[1], {"a": 1}, {"a": {"like": 1}}, {"a": {"in": 3}}])
def test_a_query_that_is_none_is_refused(post, query):
    assert post(query=query).status_code == 400


def test_items_come_in_the_order_asked_for(emulator, post):
    by_cover = [{"field": "properties.eo:cloud_cover", "direction": "desc"}]
    assert days(post(sortby=by_cover)) == [3, 2, 1, 4]
    assert days(post(sortby=[{"field": "eo:cloud_cover"}])) == [1, 2, 3, 4]
    both = [{"field": "platform", "direction": "asc"}, {"field": "datetime", "direction": "asc"}]
    assert days(post(sortby=both)) == [2, 4, 1, 3]
    url = f"{emulator.stac_url}/search"
    ordered = requests.get(url, params={"sortby": "+platform,-properties.datetime"}, timeout=10)
    assert days(ordered) == [4, 2, 3, 1]
    for wrong in ("id", [{"name": "id"}], [{"field": "id", "direction": "up"}], 3):
        assert post(sortby=wrong).status_code == 400


def test_pages_keep_filter_and_order(post):
    body = {
        "filter": {"op": "isNull", "args": [prop("nothing")]},
        "sortby": [{"field": "eo:cloud_cover", "direction": "asc"}],
        "limit": 3,
    }
    first = post(**body)
    (link,) = (link for link in first.json()["links"] if link["rel"] == "next")
    assert days(first) + days(post(**link["body"])) == [1, 2, 3, 4]


def test_what_can_be_filtered_by_is_listed(emulator):
    for path in ("queryables", "collections/sentinel-2-l2a/queryables"):
        answer = requests.get(f"{emulator.stac_url}/{path}", timeout=10)
        assert answer.headers["Content-Type"] == "application/schema+json"
        document = answer.json()
        assert document["$id"].endswith(path)
        assert document["properties"]["eo:cloud_cover"]["type"] == "number"
        assert document["additionalProperties"] is True
    for path in ("collections/sentinel-1/queryables", "collections/sentinel-2-l2a/queryables/x"):
        assert requests.get(f"{emulator.stac_url}/{path}", timeout=10).status_code == 404


def test_a_filter_makes_no_product(emulator, post):
    product = emulator.add(make_product(scale=0.001, sensed="2024-08-09T08:36:01.024Z"))
    text = {"filter": "eo:cloud_cover < 50", "filter-lang": "cql2-text"}
    assert 9 in days(post(**text, fields={"include": ["properties.datetime"]}))
    assert product._content is None
    clear = "eo:snow_cover >= 0 AND id LIKE '%20240809%'"
    assert days(post(**{**text, "filter": clear})) == [9]


def test_the_root_says_what_can_be_asked(emulator):
    root = requests.get(f"{emulator.stac_url}/", timeout=10).json()
    conformance = requests.get(f"{emulator.stac_url}/conformance", timeout=10).json()
    assert root["conformsTo"] == conformance["conformsTo"]
    for name in ("item-search#filter", "item-search#query", "item-search#sort", "cql2-text"):
        assert any(one.endswith(name) for one in root["conformsTo"])
    (link,) = (link for link in root["links"] if link["rel"].endswith("queryables"))
    assert requests.get(link["href"], timeout=10).status_code == 200


def test_collections_come_in_pages(emulator):
    url = f"{emulator.stac_url}/collections"
    first = requests.get(url, params={"limit": 1}, timeout=10).json()
    (link,) = (link for link in first["links"] if link["rel"] == "next")
    second = requests.get(link["href"], timeout=10).json()
    ids = [one["id"] for page in (first, second) for one in page["collections"]]
    assert ids == ["sentinel-2-l2a", "sentinel-2-l1c"]
    assert "next" not in {link["rel"] for link in second["links"]}
    for wrong in ({"limit": 201}, {"limit": 0}, {"limit": "x"}, {"offset": -1}):
        assert requests.get(url, params=wrong, timeout=10).status_code == 400
