"""Files by STAC: from the emulator, from recorded items, and from answers nobody should send."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.catalogue.stac_api import Stac
from copernicus_dataspace.errors import (
    DataSpaceError,
    ProductUnavailableError,
    RateLimitedError,
    ServiceUnavailableError,
)
from copernicus_dataspace.limits.retry import BRIEF, RetryPolicy
from copernicus_dataspace.models.bands import stac_assets
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import SafeFile, parse_manifest
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.service import Service
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from copernicus_dataspace_emulator.stac.search import Search
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

RECORDED = Path(__file__).parents[4] / "shared" / "cdse" / "recorded" / "stac"
DIGEST = "ab" * 32
PRODUCT = Product(
    id="28ca37fe-0847-4601-a50a-6cdf1fb4be6e",
    name="S2C_MSIL2A_20260527T014651_N0512_R117_T55WFR_20260527T052213.SAFE",
    product_type="S2MSI2A",
    sensed=datetime(2026, 5, 27, tzinfo=UTC),
)
PATH = "GRANULE/L2A_T55WFR/IMG_DATA/R20m/T55WFR_SCL_20m.jp2"
LOCAL = f"{PRODUCT.name}/{PATH}"
ALTERNATE = f"https://download.dataspace.copernicus.eu/odata/v1/Products({PRODUCT.id})/Nodes(x)"
ASSET = {
    "href": f"s3://eodata/Sentinel-2/MSI/L2A/2026/05/27/{LOCAL}",
    "alternate": {"https": {"href": ALTERNATE}},
    "file:size": 3136860,
    "file:checksum": f"1620{DIGEST}",
    "file:local_path": LOCAL,
}
RIGHT = SafeFile(PATH, 3136860, Checksum("SHA3-256", DIGEST))
NOTHING = "\U0001235f\u203b"
"""What pgstac leaves where a value is absent."""


@pytest.fixture
def offer(emulator, client):
    def run(count=1, **facts):
        offered = [
            emulator.add(make_product(sensed=f"2024-08-{day:02}T08:36:01Z", scale=0.003, **facts))
            for day in range(1, count + 1)
        ]
        found = client.catalogue.search(
            Query(sensed=MISSION, product_ids=tuple(one.id for one in offered))
        )
        return offered, found

    return run


def truth(offered, *endings):
    """The files of an emulator's product, by its manifest."""
    files = parse_manifest(offered.read("manifest.safe"))
    return tuple(file for ending in endings for file in files if fnmatch(file.path, f"*{ending}"))


def searches(emulator):
    return [request for request in emulator.requests if request.service == "stac"]


def test_many_products_take_one_request(emulator, client, offer):
    offered, found = offer(20)
    listed = client.stac.files(found, ("SCL_20m", "B02_10m"))
    assert listed == {one.id: truth(one, "SCL_20m.jp2", "B02_10m.jp2") for one in offered}
    assert len(searches(emulator)) == 1
    assert not any(request.authorization for request in searches(emulator))


@pytest.mark.parametrize(
    ("level", "bands", "endings"),
    [
        ("L2A", ("B08", "SCL"), ("IMG_DATA/R10m/*_B08_10m.jp2", "IMG_DATA/R20m/*_SCL_20m.jp2")),
        ("L2A", ("CLDPRB", "SNWPRB_60m"), ("MSK_CLDPRB_20m.jp2", "MSK_SNWPRB_60m.jp2")),
        ("L1C", ("B10", "TCI"), ("IMG_DATA/*_B10.jp2", "IMG_DATA/*_TCI.jp2")),
    ],
)
def test_bands_are_the_manifests_files(client, offer, level, bands, endings):
    (offered,), (product,) = offer(level=level)
    listed = client.stac.files([product], stac_assets(bands, product.product_type))
    assert listed == {product.id: truth(offered, *endings)}


def test_more_products_than_one_question_names_take_two(client, emulator, offer):
    _, (first, last) = offer(2)
    found = client.stac.files([*[first] * 200, last], ("SCL_20m",))
    assert found.keys() == {first.id, last.id}
    assert len(searches(emulator)) == 2


@pytest.mark.parametrize("most", [1, 2, 4])
def test_pages_cut_short_are_followed(client, offer, monkeypatch, most):
    whole = Search.page

    def page(self, *args):
        return whole(replace(self, limit=min(self.limit, most)), *args)

    monkeypatch.setattr(Search, "page", page)
    _, found = offer(4)
    assert client.stac.files(found, ("SCL_20m",)).keys() == {one.id for one in found}


def test_a_page_that_leads_to_itself_ends(emulator, client, offer):
    _, found = offer(4)
    emulator.faults.add(Fault(service="stac", kind="next_link_loop", times=None))
    assert len(client.stac.files(found, ("SCL_20m",))) == 4
    assert len(searches(emulator)) <= 2


@pytest.mark.parametrize(("tokens", "most"), [("aaaa", 2), ("abab", 3)])
def test_pages_that_lead_to_one_another_end(tokens, most):
    http = Answers(*[page_of(ASSET, token=token) for token in tokens])
    products = [PRODUCT, *(replace(PRODUCT, id=other) for other in "12")]
    stac(http).files(products, ["SCL"])
    assert http.asked <= most


def test_a_page_that_lost_items_lists_the_others(emulator, client, offer):
    _, found = offer(4)
    emulator.faults.add(Fault(service="stac", kind="partial_page"))
    assert len(client.stac.files(found, ("SCL_20m",))) == 2


@pytest.mark.parametrize("what", ["absent", "late", "other_id"])
def test_a_product_that_stac_does_not_know_is_left_out(emulator, client, offer, what):
    offer()
    emulator.add(make_product(sensed="2024-09-01T08:36:01Z", stac=what, scale=0.003))
    found = client.catalogue.search(Query(sensed=MISSION, tiles=("36TXL",)))
    assert len(found) == 2
    assert len(client.stac.files(found, ("SCL_20m",))) == 1


@pytest.mark.parametrize(("what", "off"), [("wrong", 0), ("wrong_size", 17)])
def test_wrong_facts_are_handed_on_for_the_bytes_to_judge(client, offer, what, off):
    (offered,), (product,) = offer(stac=what)
    (true,) = truth(offered, "SCL_20m.jp2")
    ((told,),) = client.stac.files([product], ("SCL_20m",)).values()
    assert (told.path, told.size_bytes) == (true.path, true.size_bytes + off)
    assert (told.checksum == true.checksum) == (what == "wrong_size")


@pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", "MTD_TL.xml", "MTD_DS.xml", "INSPIRE.xml"])
def test_a_digest_labelled_as_another_kind_is_read_by_its_length(client, offer, name):
    assets = {"MTD_MSIL2A.xml": "product_metadata", "MTD_TL.xml": "granule_metadata"}
    assets |= {"MTD_DS.xml": "datastrip_metadata", "INSPIRE.xml": "inspire_metadata"}
    (offered,), (product,) = offer()
    assert client.stac.files([product], [assets[name]]) == {product.id: truth(offered, name)}


def test_items_of_early_2025_are_read(client, offer):
    (offered,), (product,) = offer(published="2025-02-01T00:00:00Z")
    listed = client.stac.files([product], ("SCL_20m", "granule_metadata"))
    assert listed == {product.id: truth(offered, "SCL_20m.jp2", "MTD_TL.xml")}


def test_products_with_older_names_are_not_asked_for(emulator, client):
    old = replace(PRODUCT, name="S2A_OPER_PRD_MSIL2A_PDMC_20160101T000000_R001.SAFE")
    assert client.stac.files([old], ("SCL_20m",)) == {}
    assert not searches(emulator)


def test_the_asked_for_wait_is_kept(client, offer, sleeps):
    _, found = offer()
    for _ in range(5):
        client.stac.files(found, ("SCL_20m",))
    assert not sleeps
    with pytest.raises(RateLimitedError):
        client.stac.files(found, ("SCL_20m",))
    assert len(sleeps) == 2
    assert all(2 <= wait_s < 4 for wait_s in sleeps)


def test_a_refusal_for_haste_heals():
    with Emulator(stac_requests_per_s=1) as hasty:
        hasty.add(make_product(scale=0.003))
        with Service(endpoints_of(hasty), account_of(hasty)) as client:
            found = client.catalogue.search(Query(sensed=MISSION, tiles=("36TXL",)))
            assert all(client.stac.files(found, ("SCL_20m",)) for _ in range(2))
    assert [request.status for request in searches(hasty)] == [200, 429, 200]


@pytest.mark.parametrize(
    ("fault", "kind", "times"),
    [
        ({"kind": "no_value"}, ServiceUnavailableError, 3),
        ({"kind": "html"}, ServiceUnavailableError, 3),
        ({"kind": "malformed_json"}, ServiceUnavailableError, 3),
        ({"kind": "reset_body"}, ServiceUnavailableError, 3),
        ({"status": 503}, ServiceUnavailableError, 3),
        ({"status": 404}, ProductUnavailableError, 1),
        ({"kind": "redirect"}, DataSpaceError, 1),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_an_error_soon(emulator, client, offer, fault, kind, times):
    _, found = offer()
    emulator.faults.add(Fault(service="stac", times=None, **fault))
    with pytest.raises(kind, match="STAC"):
        client.stac.files(found, ("SCL_20m",))
    assert len(searches(emulator)) == times


class Answers:
    """In place of `Http`: gives its answers in turn, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = answers, 0

    def post_json(self, *_question, **_about):
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return contextlib.nullcontext(Answers(answer))

    def json(self):
        return self.answers[0]


def stac(http):
    return Stac(http, "http://stac", RetryPolicy(BRIEF, wait=lambda _: None))


def page_of(asset, item_id=PRODUCT.stem, token=None):
    link = {"rel": "next", "href": "http://evil.example/", "body": {"token": token}}
    features = [{"id": item_id, "assets": {"SCL": asset}}]
    return {"features": features, "links": [link] if token else []}


def read(asset, **about):
    return stac(Answers(page_of(asset, **about))).files([PRODUCT], ["SCL"])


def test_the_hand_made_asset_is_right():
    assert read(ASSET) == {PRODUCT.id: (RIGHT,)}


@pytest.mark.parametrize("drop", ["href", "file:local_path", "alternate"])
def test_any_one_place_gives_the_path(drop):
    assert read({name: ASSET[name] for name in ASSET if name != drop}) == {PRODUCT.id: (RIGHT,)}


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "GRANULE/../../x", "./x", "GRANULE//x", "/etc/passwd", "", "GRANULE/", ".."),
        *("C:/x", "a\\b", "a\0b", "a\nb", "x.", "x ", "a\u202eb", "n" * 300, "d/" * 600 + "x"),
    ],
)
@pytest.mark.parametrize("place", ["href", "file:local_path"])
def test_a_path_that_is_not_plain_is_no_file(path, place):
    asset = {**ASSET, "href": None, "file:local_path": None, place: f"{PRODUCT.name}/{path}"}
    assert read(asset) == {}


@pytest.mark.parametrize(
    "path",
    [
        *(f"S2A_OTHER.SAFE/{PATH}", f"evil{LOCAL}", PATH),
        *(f"/{PATH}", f"{PRODUCT.stem}/{PATH}", NOTHING, ""),
    ],
)
def test_a_path_in_another_folder_is_no_file(path):
    assert read({**ASSET, "href": path, "file:local_path": path}) == {}


def test_another_host_gives_a_path_and_nothing_else():
    asset = {**ASSET, "href": f"https://evil.example/{LOCAL}", "file:local_path": None}
    asset["alternate"] = {"https": {"href": f"https://evil.example/Products({PRODUCT.id})/x"}}
    assert read(asset) == {PRODUCT.id: (RIGHT,)}


@pytest.mark.parametrize("place", ["alternate", "file:size", "file:checksum"])
@pytest.mark.parametrize(
    "value", [NOTHING, None, [], {}, "", 0, -1, 1.5, 1e400, "7", [[[]]], "N/A"]
)
def test_values_of_other_types_are_never_believed(place, value):
    expected = {PRODUCT.id: (RIGHT,)} if place == "alternate" else {}
    assert read({**ASSET, place: value}) == expected


@pytest.mark.parametrize("size", [True, 10**18, 10**30, 1e9])
def test_a_size_that_no_file_has_is_not_believed(size):
    assert read({**ASSET, "file:size": size}) == {}


@pytest.mark.parametrize(
    "digest",
    [
        *("1620" + "0" * 64, "1620" + "ab" * 31, "1620" + "zz" * 32, "d50110" + DIGEST, "1620"),
        *("d50120" + "ab" * 16, DIGEST, "1114" + "ab" * 20, "1620" + "٣" * 64, f"0x1620{DIGEST}"),
    ],
)
def test_an_unusable_digest_is_no_file(digest):
    assert read({**ASSET, "file:checksum": digest}) == {}


@pytest.mark.parametrize("item_id", [None, 7, [PRODUCT.stem], PRODUCT.name, "", "S2A_OTHER"])
def test_an_item_of_another_name_is_passed_over(item_id):
    assert read(ASSET, item_id=item_id) == {}


@pytest.mark.parametrize("depth", [500, 1000, 2000, 20_000])
def test_deep_nesting_is_no_crash(depth):
    deep = []
    for _ in range(depth):
        deep = [deep]
    assert read({**ASSET, "alternate": deep}) in ({}, {PRODUCT.id: (RIGHT,)})


@pytest.mark.parametrize("links", [None, 7, "x", {"rel": "next"}, [None, {"rel": "next"}]])
def test_links_of_any_shape_end_the_pages(links):
    http = Answers({**page_of(ASSET), "links": links})
    assert stac(http).files([PRODUCT], ["SCL"]) == {PRODUCT.id: (RIGHT,)}
    assert http.asked == 1


@pytest.mark.parametrize("features", [[], [None], [7], ["x"], [[]], [{}], [{"id": PRODUCT.stem}]])
def test_features_of_any_shape_are_no_files(features):
    assert stac(Answers({"features": features})).files([PRODUCT], ["SCL"]) == {}


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
paths = st.builds("{}{}{}".format, st.text(max_size=4), st.sampled_from([LOCAL, PATH]), st.text())
assets = st.fixed_dictionaries(
    {},
    optional={
        "href": any_json | paths,
        "alternate": any_json | st.builds("/Products({})/".format, st.uuids()),
        "file:size": any_json | st.just(3136860),
        "file:checksum": any_json | st.just(f"1620{DIGEST}"),
        "file:local_path": any_json | paths,
    },
)


@given(assets | any_json)
@example(ASSET)
def test_any_json_for_an_asset_is_a_plain_file_or_none(asset):
    for file in read(asset).get(PRODUCT.id, ()):
        assert file.checksum == RIGHT.checksum
        assert type(file.size_bytes) is int
        assert file.size_bytes > 0
        assert not {"..", ".", ""} & set(file.path.split("/"))
        assert (
            f"{PRODUCT.name}/{file.path}" in f"{asset.get('href')} {asset.get('file:local_path')}"
        )


@given(any_json)
def test_any_json_for_a_page_is_files_or_an_error(page):
    http = Answers(page if isinstance(page, dict) else {"features": page, "links": page})
    with contextlib.suppress(DataSpaceError):
        assert stac(http).files([PRODUCT], ["SCL"]) == {}


@pytest.mark.parametrize("name", ["l1c_item_20240116", "l2a_item_20220217_n0510", "l2a_2020_n0500"])
def test_recorded_items_are_read(name):
    (path,) = RECORDED.glob(f"*{name}.json") if RECORDED.is_dir() else (None,)
    if path is None:
        pytest.skip("the recorded answers are not on this machine")
    answer = json.loads(path.read_bytes())
    (item,) = answer.get("features", [answer])
    kind = "S2MSI1C" if "L1C" in item["id"] else "S2MSI2A"
    product_id = str(item["assets"]["Product"]).partition("Products(")[2][:36]
    product = replace(PRODUCT, id=product_id, name=f"{item['id']}.SAFE", product_type=kind)
    names = [asset for asset in item["assets"] if asset not in ("Product", "thumbnail")]
    (files,) = stac(Answers({"features": [item]})).files([product], names).values()
    for asset, file in zip(names, files, strict=True):
        listed = item["assets"][asset]
        assert listed["file:local_path"] == f"{product.name}/{file.path}"
        assert listed["file:size"] == file.size_bytes
        assert listed["file:checksum"].endswith(file.checksum.value)
        assert file.checksum.algorithm == ("MD5" if asset == "safe_manifest" else "SHA3-256")
