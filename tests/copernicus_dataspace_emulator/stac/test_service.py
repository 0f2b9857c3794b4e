import hashlib
import time

import pytest
import requests

from copernicus_dataspace_emulator import Emulator, Fault, make_product

SMALL = 0.0005
METADATA = {
    *("safe_manifest", "product_metadata", "granule_metadata", "inspire_metadata"),
    *("datastrip_metadata", "thumbnail", "Product"),
}


@pytest.fixture
def emulator():
    """A running Data Space whose STAC takes any number of requests."""
    with Emulator(stac_requests_per_s=None) as running:
        yield running


@pytest.fixture
def post(emulator):
    """POST a search."""

    def ask(**body):
        return requests.post(f"{emulator.stac_url}/search", json=body, timeout=30)

    return ask


@pytest.fixture
def get(emulator):
    """GET a path below the root."""

    def ask(path, **options):
        return requests.get(f"{emulator.stac_url}/{path}", params=options, timeout=30)

    return ask


def stem(product):
    return product.name.removesuffix(".SAFE")


def days(emulator, number, **more):
    """Products of the first days of August, oldest first."""
    return [
        emulator.add(make_product(sensed=f"2024-08-{day:02d}T08:36:01.024Z", scale=SMALL, **more))
        for day in range(1, number + 1)
    ]


def one_item(post, product):
    (item,) = post(ids=[stem(product)]).json()["features"]
    return item


@pytest.mark.parametrize(
    ("level", "number", "name"),
    [
        ("L2A", 47, "openeo_issue1043_l2a_2020_n0500.json"),
        ("L2A", 47, "eometadatatool_l2a_item_20220217_n0510.json"),
        ("L1C", 21, "eometadatatool_l1c_item_20240116.json"),
    ],
)
def test_an_item_has_the_recorded_shape(emulator, post, recorded, level, number, name):
    item = one_item(post, emulator.add(make_product(level=level, scale=SMALL)))
    real = recorded(f"stac/{name}")
    real = real["features"][0] if "features" in real else real
    assert set(real) <= set(item)
    unknown = {"processing:software", "eo:snow_cover", "expires"}
    assert set(real["properties"]) - unknown <= set(item["properties"])
    assert len(item["assets"]) == number
    assert set(real["assets"]) <= set(item["assets"])
    for key, asset in real["assets"].items():
        optional = {"auth:refs", "alternate:name", "storage:refs", "description"}
        assert set(asset) - optional <= set(item["assets"][key]), key
        same = ["type", "data_type", "nodata", "proj:shape"]
        if name.startswith("eometadatatool") and key not in METADATA:
            same += ["title", "gsd", "roles"]
        for field in same:
            assert asset.get(field) == item["assets"][key].get(field), (key, field)
        prefix = asset["file:checksum"][: len(asset["file:checksum"]) % 32]
        assert item["assets"][key]["file:checksum"].startswith(prefix)
        assert len(asset["file:checksum"]) == len(item["assets"][key]["file:checksum"])


def test_sizes_and_digests_are_those_of_the_files(emulator, post):
    product = emulator.add(make_product(scale=SMALL, sizes={"SCL_20m": 50_000}))
    item = one_item(post, product)
    for key, asset in item["assets"].items():
        if key == "Product":
            assert asset["file:checksum"] == f"d50110{product.md5}"
            assert asset["file:size"] == product.zip_size
            continue
        body = product.read(asset["file:local_path"].partition("/")[2])
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        sha3 = hashlib.sha3_256(body).hexdigest()
        told = f"d50110{md5}" if key in {"safe_manifest", "thumbnail"} else f"1620{sha3}"
        if key in METADATA - {"safe_manifest", "thumbnail"}:
            told = f"d50120{sha3}"
        assert (asset["file:checksum"], asset["file:size"]) == (told, len(body)), key
    assert item["assets"]["SCL_20m"]["file:size"] == 50_000
    private = item["properties"]["_private"]
    assert private["product_uuid"] == product.id
    assert private["product_size"] == product.zip_size


def test_hrefs_lead_to_the_files(emulator, post, fetch):
    product = emulator.add(make_product(scale=SMALL))
    assets = one_item(post, product)["assets"]
    for key in ("SCL_20m", "CLD_20m", "granule_metadata"):
        href = assets[key]["alternate"]["https"]["href"]
        path = assets[key]["file:local_path"].partition("/")[2]
        assert fetch(href.removeprefix(f"{emulator.download_url}/")).content == product.read(path)
        assert assets[key]["href"] == f"s3:/{product.facts.s3_path}/{path}"
    assert requests.get(assets["thumbnail"]["href"], timeout=10).content == product.quicklook()


def test_items_of_early_2025_name_the_older_host(emulator, post):
    product = emulator.add(make_product(sensed="2025-02-01T08:36:01.024Z", scale=SMALL))
    assets = one_item(post, product)["assets"]
    assert "://zipper." in assets["Product"]["href"]
    assert assets["Product"]["storage:refs"] == "\U0001235f\u203b"
    assert "://zipper." in assets["B02_10m"]["alternate"]["https"]["href"]
    assert "/Nodes()/Nodes(GRANULE)/" in assets["granule_metadata"]["alternate"]["https"]["href"]


def test_what_stac_tells_can_be_bent(emulator, post, get):
    kinds = ("listed", "absent", "late", "wrong", "wrong_size", "other_id")
    products = {kind: emulator.add(make_product(stac=kind, scale=SMALL)) for kind in kinds[:1]}
    for day, kind in enumerate(kinds[1:], 2):
        recipe = make_product(stac=kind, scale=SMALL, sensed=f"2024-08-0{day}T08:36:01.024Z")
        products[kind] = emulator.add(recipe)
    assert post(ids=[stem(products["absent"])]).json()["features"] == []
    path = f"collections/sentinel-2-l2a/items/{stem(products['absent'])}"
    assert get(path).status_code == 404
    for kind in ("late", "wrong", "wrong_size", "other_id"):
        product = products[kind]
        item = one_item(post, product)
        scl = item["assets"]["SCL_20m"]
        member = product.member(scl["file:local_path"].partition("/")[2])
        told = (scl.get("file:size"), scl.get("file:checksum", ""))
        if kind == "late":
            assert told == (None, "")
            assert not any("file:size" in asset for asset in item["assets"].values())
            continue
        assert len(told[1]) == 68
        assert (told[0] == member.size) == (kind == "wrong")
        assert (told[1] == f"1620{member.digest}") == (kind == "wrong_size")
        same = item["properties"]["_private"]["product_uuid"] == product.id
        assert same == (kind != "other_id")
        assert (product.id in scl["alternate"]["https"]["href"]) == same
    with pytest.raises(ValueError, match="Unknown stac"):
        make_product(stac="perhaps")


def test_an_item_is_there_from_its_publication_on(emulator, post, get):
    product = emulator.add(make_product(published="2026-11-21T00:00:00Z", scale=SMALL))
    path = f"collections/sentinel-2-l2a/items/{stem(product)}"
    assert (len(post().json()["features"]), get(path).status_code) == (0, 404)
    emulator.now = "2026-11-21T00:00:01Z"
    assert (len(post().json()["features"]), get(path).json()["id"]) == (1, stem(product))
    emulator.remove(product.id)
    assert post().json()["features"] == []


def test_a_product_without_bytes_has_an_item_all_the_same(emulator, post):
    item = one_item(post, emulator.add(make_product(content=False)))
    assert len(item["assets"]) == 47


def test_fields_let_nothing_else_through(emulator, post, get):
    product = emulator.add(make_product(scale=SMALL))
    fields = {"include": ["assets.SCL_20m", "properties.datetime", "assets.nothing"]}
    (item,) = post(fields=fields).json()["features"]
    assert set(item) == {"id", "collection", "links", "assets", "properties"}
    assert set(item["assets"]) == {"SCL_20m"}
    assert set(item["properties"]) == {"datetime"}
    (item,) = get("search", fields="id,assets.SCL_20m,-links").json()["features"]
    assert set(item) == {"id", "collection", "assets"}
    (item,) = post(fields={"exclude": ["assets", "properties._private"]}).json()["features"]
    assert "assets" not in item
    assert "_private" not in item["properties"]
    assert one_item(post, product)["properties"]["_private"]


def test_nothing_is_made_for_what_is_not_asked(emulator, post):
    product = emulator.add(make_product(scale=SMALL))
    assert post(fields={"include": ["geometry"]}).json()["numberReturned"] == 1
    assert product._content is None


def test_searches_find_what_fits(emulator, post, get):
    august = days(emulator, 3)
    emulator.add(make_product(level="L1C", tile="33TVM", scale=SMALL))

    def found(**body):
        return [item["id"] for item in post(**body).json()["features"]]

    newest_first = [stem(product) for product in reversed(august)]
    assert found(collections=["sentinel-2-l2a"]) == newest_first
    assert found(collections=["sentinel-1"]) == []
    assert len(found(collections=["sentinel-2-l1c"], bbox=[13, 44, 16, 46])) == 1
    assert found(bbox=[34.4, 40.6, 34.5, 40.7]) == newest_first
    assert found(bbox=[179, 40, -179, 41]) == []
    point = {"type": "Point", "coordinates": [34.5, 40.63]}
    assert found(intersects=point) == newest_first
    assert found(datetime="2024-08-02T00:00:00Z/..") == newest_first[:2]
    assert newest_first[2] in found(datetime="../2024-08-02T00:00:00+00:00")
    assert found(ids=newest_first[1:], collections=["sentinel-2-l2a"]) == newest_first[1:]
    answer = get("search", ids=",".join(newest_first[:2]), datetime="2024-08-03T08:36:01.024Z")
    assert [item["id"] for item in answer.json()["features"]] == newest_first[:1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 1001},
        {"limit": 0},
        {"limit": "many"},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 50, 2, 40]},
        {"bbox": [1, 2, 3, 4], "intersects": {"type": "Point", "coordinates": [1, 2]}},
        {"intersects": {"type": "Blob"}},
        {"datetime": "2024-08-01"},
        {"datetime": "2024-08-01T00:00:00"},
        {"datetime": "2024-08-02T00:00:00Z/2024-08-01T00:00:00Z"},
        {"ids": "S2A"},
        {"token": "2"},
        {"token": "next:sentinel-2-l2a:S2A_NOTHING"},
        {"fields": ["id"]},
        {"filter": {"op": "=", "args": []}},
    ],
)
def test_wrong_searches_are_refused(post, wrong):
    answer = post(**wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "description"}


def test_pages_follow_one_another(emulator, post, get):
    names = [stem(product) for product in reversed(days(emulator, 7))]
    body = {"collections": ["sentinel-2-l2a"], "limit": 3, "fields": {"include": ["id"]}}
    found, url, wanted = [], f"{emulator.stac_url}/search", body
    while True:
        page = requests.post(url, json=wanted, timeout=10).json()
        assert set(page) == {"type", "features", "links", "numberReturned"}
        found += [item["id"] for item in page["features"]]
        following = [link for link in page["links"] if link["rel"] == "next"]
        if not following:
            break
        (link,) = following
        assert (link["method"], link["href"]) == ("POST", url)
        assert link["body"] == {**body, "token": f"next:sentinel-2-l2a:{found[-1]}"}
        wanted = link["body"]
    assert found == names
    first = get("search", limit=4).json()
    (link,) = (link for link in first["links"] if link["rel"] == "next")
    second = requests.get(link["href"], timeout=10).json()
    assert [item["id"] for item in first["features"] + second["features"]] == names
    inside = get("collections/sentinel-2-l2a/items", limit=2).json()
    assert [item["id"] for item in inside["features"]] == names[:2]


def test_the_root_and_the_collections_tell_of_each_other(get, emulator):
    root = get("").json()
    assert any(name.endswith("item-search#fields") for name in root["conformsTo"])
    names = [one["id"] for one in get("collections").json()["collections"]]
    assert names == ["sentinel-2-l2a", "sentinel-2-l1c"]
    assert get("collections/sentinel-2-l1c").json()["id"] == "sentinel-2-l1c"
    for path in ("collections/s1", "collections/s1/items", "collections/s1/items/x", "elsewhere"):
        assert get(path).status_code == 404
    assert requests.put(f"{emulator.stac_url}/search", timeout=10).status_code == 405
    not_json = requests.post(f"{emulator.stac_url}/search", data="{", timeout=10)
    assert not_json.status_code == 400


def test_more_than_five_requests_a_second_are_too_many():
    with Emulator() as emulator:
        answers = [requests.get(f"{emulator.stac_url}/", timeout=10) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "2"
        time.sleep(1)
        assert requests.get(f"{emulator.stac_url}/", timeout=10).status_code == 200


def test_pages_are_spoiled(emulator, post):
    days(emulator, 5)
    true = post(limit=4).json()

    def spoiled(kind):
        emulator.faults.add(Fault("stac", kind=kind))
        return post(limit=4).json()

    features = true["features"]
    assert spoiled("repeated_rows")["features"] == features[:2] * 2
    partial = spoiled("partial_page")
    assert partial["features"] == features[:2]
    assert not [link for link in partial["links"] if link["rel"] == "next"]
    assert "features" not in spoiled("no_value")
    (link,) = (link for link in spoiled("next_link_loop")["links"] if link["rel"] == "next")
    assert (link["href"], link["body"]) == (f"{emulator.stac_url}/search", {"limit": 4})
    emulator.faults.add(Fault("stac", status=503, retry_after=1))
    assert post().status_code == 503
    assert post(limit=4).json() == true


def test_a_hundred_items_are_answered_at_once(emulator, post):
    ids = [
        stem(emulator.add(make_product(content=False, scale=SMALL, generation=made)))
        for made in (f"2024-08-01T09:{n // 60:02d}:{n % 60:02d}Z" for n in range(100))
    ]
    assert len(post(ids=ids, limit=100).json()["features"]) == 100
    started = time.monotonic()
    assert post(ids=ids, limit=100, fields={"include": ["assets.SCL_20m"]}).status_code == 200
    assert time.monotonic() - started < 0.5
