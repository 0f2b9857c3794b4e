import time

import pytest
import requests

from copernicus_dataspace_emulator import Fault, make_product

COLLECTION = "Collection/Name eq 'SENTINEL-2'"


@pytest.fixture
def product(emulator):
    return emulator.add(make_product(scale=0.001))


@pytest.fixture
def manifest(product, fetch):
    """GET the product's manifest."""

    def get(**options):
        return fetch(
            f"Products({product.id})/Nodes({product.name})/Nodes(manifest.safe)/$value", **options
        )

    return get


def test_a_fault_happens_as_often_as_it_should_and_to_whom_it_should(emulator, manifest, product):
    emulator.faults.add(Fault("download", status=503, times=2, skip=1, match="manifest.safe"))
    emulator.faults.add(Fault("download", status=500, times=None, match="SCL_20m"))
    emulator.faults.add(Fault("catalogue", status=502, match=r"Nodes$"))
    assert [manifest().status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    assert requests.get(f"{emulator.catalogue_url}/Products", timeout=10).status_code == 200


def test_a_firewall_answers_with_a_page_of_its_own(emulator, manifest):
    emulator.faults.add(Fault("download", "blocked", status=403))
    answer = manifest()
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "text/html"
    assert "you have been blocked" in answer.text
    assert manifest().status_code == 200


def test_a_fault_may_be_matched_by_an_expression(emulator, manifest):
    emulator.faults.add(Fault("download", status=503, match=r"\.SAFE\)/Nodes\(mani.*safe"))
    assert [manifest().status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("wrong", [{"kind": "surprise"}, {"service": "trace"}])
def test_an_unknown_fault_is_refused(wrong):
    with pytest.raises(ValueError, match="Unknown"):
        Fault(**{"service": "download", **wrong})


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "104"), (401, "109"), (403, "608"), (404, "915"), (422, "111"), (429, "100")],
)
def test_a_status_comes_with_its_code(emulator, manifest, status, code):
    emulator.faults.add(Fault("download", status=status, retry_after=12))
    answer = manifest()
    assert answer.json()["code"] == f"DAT-ZIP-{code}"
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "12")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", requests.ConnectionError),
        ("reset_body", (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
        ("short_body", (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
    ],
)
def test_connections_break(emulator, manifest, kind, error):
    emulator.faults.add(Fault("download", kind=kind))
    with pytest.raises(error):
        manifest()
    assert manifest().status_code == 200


def test_bodies_are_spoiled(emulator, manifest, product):
    true = product.read("manifest.safe")

    def spoiled(kind):
        emulator.faults.add(Fault("download", kind=kind))
        answer = manifest()
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        assert manifest().content == true
        return answer

    flipped = spoiled("flipped_bit").content
    wrong = [a ^ b for a, b in zip(flipped, true, strict=True) if a != b]
    assert wrong == [1]
    assert spoiled("zeros").content == bytes(len(true))
    assert spoiled("short_length").content == true[: len(true) // 2]
    assert spoiled("json").headers["Content-Type"] == "application/json"
    assert spoiled("html").content.startswith(b"<html>")


def test_a_stall_and_a_trickle_take_their_time(emulator, manifest):
    for fault in (
        Fault("download", kind="stall", seconds=0.3),
        Fault("download", kind="trickle", bytes_per_s=200_000),
    ):
        emulator.faults.add(fault)
        started = time.monotonic()
        assert manifest().status_code == 200
        assert time.monotonic() - started >= 0.2


def test_redirects_lead_astray(emulator, manifest):
    emulator.faults.add(Fault("download", kind="redirect", location="http://127.0.0.1:1/x"))
    answer = manifest()
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:1/x")
    emulator.faults.add(Fault("catalogue", kind="redirect_loop", times=None))
    with pytest.raises(requests.TooManyRedirects):
        requests.get(f"{emulator.catalogue_url}/Products?$top=1", timeout=10)


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("range_206", 206, slice(10, 20)),
        ("range_206_wrong", 206, slice(0, 10)),
        ("range_416", 416, None),
        ("range_501", 501, None),
    ],
)
def test_ranges_can_be_answered(emulator, manifest, product, kind, status, content):
    emulator.faults.add(Fault("download", kind=kind, times=None))
    answer = manifest(headers={"Range": "bytes=10-19"})
    true = product.read("manifest.safe")
    assert answer.status_code == status
    if content is not None:
        assert answer.content == true[content]
        part = f"bytes {content.start}-{content.stop - 1}/{len(true)}"
        assert answer.headers["Content-Range"] == part
    assert manifest().content == true
    assert [manifest().status_code for _ in range(6)] == [200] * 6


def test_open_ranges_run_to_the_end(emulator, manifest, product):
    emulator.faults.add(Fault("download", kind="range_206"))
    true = product.read("manifest.safe")
    assert manifest(headers={"Range": "bytes=100-"}).content == true[100:]


@pytest.fixture
def pages(emulator, search):
    """A list of ten products, four a page."""
    for seed in range(10):
        emulator.add(make_product(content=False, seed=seed))

    def get():
        return search(COLLECTION, ("$orderby", "ContentDate/Start"), ("$top", "4"))

    return get


def test_pages_are_spoiled(emulator, pages):
    true = pages().json()

    def spoiled(kind):
        emulator.faults.add(Fault("catalogue", kind=kind))
        return pages().json()

    assert [row["Id"] for row in spoiled("repeated_rows")["value"]] == [
        row["Id"] for row in [*true["value"][:2], *true["value"][:2]]
    ]
    assert spoiled("next_link_loop")["@odata.nextLink"] != true["@odata.nextLink"]
    partial = spoiled("partial_page")
    assert partial["value"] == true["value"][:2]
    assert "@odata.nextLink" not in partial
    assert "value" not in spoiled("no_value")
    emulator.faults.add(Fault("catalogue", kind="malformed_json"))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        pages().json()
    assert pages().json() == true


def test_members_of_a_page_are_replaced(emulator, pages):
    true = pages().json()
    emulator.faults.add(Fault("catalogue", "patched_page", patch={"@odata.count": "many"}))
    assert pages().json() == {**true, "@odata.count": "many"}
    assert pages().json() == true


def test_a_next_link_can_lead_back_to_its_own_page(emulator, pages):
    emulator.faults.add(Fault("catalogue", kind="next_link_loop", times=None))
    first = pages().json()
    second = requests.get(first["@odata.nextLink"], timeout=10).json()
    assert second["value"] == first["value"]


@pytest.mark.parametrize(
    ("kind", "code"), [("wrong_audience", "DAT-ZIP-609"), ("expired_token", "DAT-ZIP-109")]
)
def test_tokens_are_bad(emulator, product, sign_in, manifest, kind, code):
    emulator.faults.add(Fault("download", kind=kind))
    assert manifest().json()["code"] == code
    assert manifest().status_code == 200
    emulator.faults.add(Fault("identity", kind=kind))
    headers = {"Authorization": f"Bearer {sign_in().json()['access_token']}"}
    assert manifest(headers=headers).json()["code"] == code
    headers = {"Authorization": f"Bearer {sign_in().json()['access_token']}"}
    assert manifest(headers=headers).status_code == 200


def test_a_stall_lies_inside_the_body(emulator, manifest, product):
    emulator.faults.add(Fault("download", kind="stall_body", at=0.25, seconds=0.4))
    answer = manifest(stream=True)
    size = product.member("manifest.safe").size
    started = time.monotonic()
    first = answer.raw.read(size // 4)
    assert time.monotonic() - started < 0.3
    rest = answer.raw.read()
    assert time.monotonic() - started >= 0.35
    assert first + rest == product.read("manifest.safe")


def test_a_file_can_change_between_two_ranges(emulator, manifest, product):
    emulator.faults.add(Fault("download", kind="range_changed"))
    true = product.read("manifest.safe")
    assert manifest().content == true  # no range, and the fault is still to come
    answer = manifest(headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes 10-19/{len(true)}"
    assert len(answer.content) == 10
    assert not set(zip(answer.content, true[10:20], strict=True)) & {(one, one) for one in true}
    assert answer.headers["ETag"]


def test_faults_can_be_called_off(emulator, manifest):
    emulator.faults.add(Fault("download", times=None))
    assert manifest().status_code == 500
    emulator.faults.clear()
    assert manifest().status_code == 200
