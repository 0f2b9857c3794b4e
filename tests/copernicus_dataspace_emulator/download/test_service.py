import contextlib
import hashlib
import io
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from copernicus_dataspace_emulator import Emulator, Fault, make_product

SMALL = 0.001
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def product(emulator):
    return emulator.add(make_product(scale=SMALL))


def whole(product):
    return f"Products({product.id})/$value"


def node(product, path):
    steps = "".join(f"/Nodes({step})" for step in path.split("/"))
    return f"Products({product.id})/Nodes({product.name}){steps}/$value"


def test_the_zip_is_the_one_of_the_catalogue(product, fetch, search):
    answer = fetch(whole(product))
    (row,) = search(f"Id eq {product.id}").json()["value"]
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={product.name}.zip"
    assert int(answer.headers["Content-Length"]) == row["ContentLength"] == product.zip_size
    digests = {one["Algorithm"]: one["Value"] for one in row["Checksum"]}
    body = hashlib.md5(answer.content, usedforsecurity=False).hexdigest()
    assert body == digests["MD5"] == product.md5


def test_the_zip_is_stored_below_one_folder(product, fetch):
    with zipfile.ZipFile(io.BytesIO(fetch(whole(product)).content)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {name.split("/")[0] for name in archive.namelist()} == {product.name}
        assert archive.read(f"{product.name}/manifest.safe") == product.read("manifest.safe")


def test_every_file_is_served_singly(product, fetch):
    for path, member in product.files.items():
        body = fetch(node(product, path)).content
        assert body == product.read(path)
        assert len(body) == member.size
        assert hashlib.sha3_256(body).hexdigest() == member.digest


def test_nodes_are_listed_without_a_token(emulator, product):
    url = f"{emulator.download_url}/Products({product.id})/Nodes"
    (top,) = requests.get(url, timeout=10).json()["result"]
    assert top == {
        "Id": product.name,
        "Name": product.name,
        "ContentLength": 0,
        "ChildrenNumber": 8,
        "Nodes": {"uri": f"{url}({product.name})/Nodes"},
    }
    rows = requests.get(top["Nodes"]["uri"], timeout=10).json()["result"]
    by_name = {row["Name"]: row for row in rows}
    assert set(by_name) == {
        *("DATASTRIP", "GRANULE", "HTML", "INSPIRE.xml", "MTD_MSIL2A.xml", "manifest.safe"),
        *("rep_info", f"{product.name.removesuffix('.SAFE')}-ql.jpg"),
    }
    file = by_name["manifest.safe"]
    assert file["ChildrenNumber"] == 0
    assert file["ContentLength"] == product.files["manifest.safe"].size
    assert requests.get(file["Nodes"]["uri"], timeout=10).json() == {"result": []}


REFUSALS = {
    "none": ("DAT-ZIP-604", "Token not found"),
    "junk": ("DAT-ZIP-604", "Token not found"),
    "expired": ("DAT-ZIP-109", "Token is expired"),
    "client": ("DAT-ZIP-609", "Token audience not allowed"),
}


@pytest.mark.parametrize("token", REFUSALS)
def test_a_token_is_needed(emulator, product, bearer, grant, token):
    headers = {"none": {}, "junk": {"Authorization": "Bearer x.y.z"}}.get(token, bearer)
    if token == "expired":
        emulator.expire_tokens()
    if token == "client":
        form = {"grant_type": "client_credentials", "client_id": "sh-1", "client_secret": "s"}
        headers = {"Authorization": f"Bearer {grant(**form).json()['access_token']}"}
    for path in (whole(product), node(product, "manifest.safe")):
        answer = requests.get(f"{emulator.download_url}/{path}", headers=headers, timeout=10)
        body = answer.json()
        assert answer.status_code == 401
        assert (body["code"], body["message"]) == REFUSALS[token]
        assert len(body["trace-id"]) == 32


def test_a_token_may_stand_in_the_query_and_is_not_in_the_journal(emulator, product, bearer):
    token = bearer["Authorization"].split()[1]
    url = f"{emulator.download_url}/{node(product, 'manifest.safe')}"
    assert requests.get(url, params={"token": token}, timeout=10).status_code == 200
    assert emulator.requests[-1].authorization
    assert token not in repr(emulator.requests)


def test_an_ended_lifetime_expires_the_token():
    with Emulator(token_lifetime_s=0.4) as emulator:
        product = emulator.add(make_product(scale=SMALL))
        size = product.zip_size
        headers = signed_in(emulator)
        url = f"{emulator.download_url}/{whole(product)}"
        assert len(requests.get(url, headers=headers, timeout=10).content) == size
        time.sleep(0.4)
        refused = requests.get(url, headers=headers, timeout=10).json()
        assert refused["code"] == "DAT-ZIP-109"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"Products({UNKNOWN})/$value", 404, "DAT-ZIP-915"),
        (f"Products({UNKNOWN})/Nodes(x)/$value", 404, "DAT-ZIP-915"),
        (f"Products('{UNKNOWN}')/$value", 422, "DAT-ZIP-111"),
        ("Products(42)/$value", 422, "DAT-ZIP-111"),
        (f"Products({UNKNOWN})/Nodes('x')/$value", 400, "DAT-ZIP-104"),
        (f"Products({UNKNOWN})/Nodes()/$value", 400, "DAT-ZIP-104"),
        (f"Products({UNKNOWN})/$zip", 400, "DAT-ZIP-104"),
        (f"Products({UNKNOWN})", 400, "DAT-ZIP-104"),
        (f"Products({UNKNOWN})/nodes(x)/$value", 400, "DAT-ZIP-104"),
    ],
)
def test_bad_paths_are_refused(fetch, path, status, code):
    answer = fetch(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_is_no_file_of_the_product_has_no_bytes(product, fetch):
    other = f"Products({product.id})/Nodes(OTHER.SAFE)/Nodes(manifest.safe)/$value"
    for path in (node(product, "nothing.xml"), node(product, "GRANULE"), other):
        assert fetch(path).json()["code"] == "DAT-ZIP-915"


@pytest.mark.parametrize("facts", [{"online": False}, {"content": False}], ids=str)
def test_a_product_without_objects_has_no_bytes(emulator, fetch, facts):
    product = emulator.add(make_product(**facts))
    for path in (whole(product), f"Products({product.id})/Nodes"):
        answer = fetch(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "DAT-ZIP-915")


def test_a_removed_product_has_no_bytes(emulator, product, fetch):
    assert fetch(node(product, "manifest.safe")).status_code == 200
    emulator.remove(product.id)
    assert fetch(node(product, "manifest.safe")).status_code == 404


def test_only_get_is_allowed(emulator, product, bearer):
    url = f"{emulator.download_url}/{whole(product)}"
    with requests.Session() as session:
        for method in ("HEAD", "POST", "PUT"):
            answer = session.request(method, url, headers=bearer, timeout=10)
            assert (answer.status_code, answer.content) == (405, b"")
        assert session.get(url, headers=bearer, timeout=10).status_code == 200


def test_a_range_is_ignored(product, fetch):
    answer = fetch(node(product, "manifest.safe"), headers={"Range": "bytes=10-19"})
    assert answer.status_code == 200
    assert answer.content == product.read("manifest.safe")
    assert not {"Accept-Ranges", "Content-Range"} & set(answer.headers)


@pytest.fixture
def slow():
    """A service on which a small product takes about half a second."""
    with Emulator(bytes_per_s=2_000_000) as emulator:
        emulator.add(make_product(scale=SMALL))
        yield emulator


def signed_in(emulator):
    url = f"{emulator.identity_url}/protocol/openid-connect/token"
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": "user@example.org", "password": "correct horse"}
    token = requests.post(url, data=form, timeout=10).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def hold(emulator, count, path):
    """Statuses and answers of ``count`` transfers begun together."""
    headers, gate = signed_in(emulator), threading.Barrier(count)

    def get(_):
        gate.wait()
        answer = requests.get(f"{emulator.download_url}/{path}", headers=headers, timeout=10)
        return answer.status_code, answer

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(get, range(count)))


def only_product(emulator):
    url = f"{emulator.catalogue_url}/Products"
    (row,) = requests.get(url, timeout=30).json()["value"]
    return row


def test_a_fifth_transfer_is_refused(slow):
    row = only_product(slow)
    answers = hold(slow, 5, f"Products({row['Id']})/$value")
    assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 429]
    (refused,) = (answer.json() for status, answer in answers if status == 429)
    assert (refused["code"], refused["message"]) == (
        "DAT-ZIP-100",
        "Max session number exceeded",
    )
    assert slow.peak_connections == 5


def test_four_workers_in_a_row_are_never_refused(emulator, product, bearer):
    url = f"{emulator.download_url}/{node(product, 'MTD_MSIL2A.xml')}"

    def get(_):
        return requests.get(url, headers=bearer, timeout=10).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(get, range(200))) == {200}
    assert emulator.peak_connections <= 4


def test_a_slot_is_free_once_the_last_byte_is_there():
    with Emulator(max_connections=1, bytes_per_s=1_000_000) as emulator:
        product = emulator.add(make_product(scale=SMALL))
        url = f"{emulator.download_url}/{node(product, 'manifest.safe')}"
        headers = signed_in(emulator)
        answers = [requests.get(url, headers=headers, timeout=10) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}


def test_slots_can_be_freed_late():
    with Emulator(max_connections=1, late_release_s=0.4) as emulator:
        product = emulator.add(make_product(scale=SMALL))
        path = node(product, "manifest.safe")
        assert [status for status, _ in hold(emulator, 1, path)] == [200]
        assert [status for status, _ in hold(emulator, 1, path)] == [429]
        time.sleep(0.5)
        assert [status for status, _ in hold(emulator, 1, path)] == [200]


def test_a_client_that_hangs_up_frees_its_slot(slow):
    url = f"{slow.download_url}/Products({only_product(slow)['Id']})/$value"
    headers = signed_in(slow)
    for _ in range(4):
        requests.get(url, headers=headers, timeout=10, stream=True).close()
    time.sleep(0.3)
    with requests.get(url, headers=headers, timeout=10, stream=True) as answer:
        assert answer.status_code == 200


def test_a_connection_is_no_faster_than_it_may_be(slow):
    row = only_product(slow)
    started = time.monotonic()
    hold(slow, 2, f"Products({row['Id']})/$value")
    assert time.monotonic() - started >= 0.9 * row["ContentLength"] / 2_000_000


def test_every_answer_can_be_late():
    with Emulator(latency_s=0.2) as emulator:
        started = time.monotonic()
        requests.get(f"{emulator.catalogue_url}/Products", timeout=10)
        assert time.monotonic() - started >= 0.2


def test_the_journal_tells_what_crossed_the_wire(emulator, product, fetch):
    fetch(whole(product), headers={"User-Agent": "the-test"})
    record = emulator.requests[-1]
    assert (record.service, record.method, record.status) == ("download", "GET", 200)
    assert record.path == f"/odata/v1/{whole(product)}"
    assert record.bytes_sent == product.zip_size
    assert record.user_agent == "the-test"
    assert record.seconds >= 0


@pytest.fixture
def ranged():
    """A product whose download makes something of ranges; GET its manifest."""
    with contextlib.ExitStack() as stack:

        def start(ranges):
            emulator = stack.enter_context(Emulator(ranges=ranges))
            product = emulator.add(make_product(scale=SMALL))
            token, url = signed_in(emulator), f"{emulator.download_url}/{{}}"
            path = url.format(node(product, "manifest.safe"))

            def get(**headers):
                more = {name.replace("_", "-"): value for name, value in headers.items()}
                return requests.get(path, headers=token | more, timeout=10)

            return get, product.read("manifest.safe")

        yield start


def test_ranges_are_ignored_and_nothing_invites_them(product, fetch):
    answer = fetch(node(product, "manifest.safe"), headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (200, product.read("manifest.safe"))
    assert not {"ETag", "Accept-Ranges", "Last-Modified"} & set(answer.headers)


def test_ranges_can_be_honoured(ranged):
    get, true = ranged("honoured")
    whole = get()
    assert (whole.status_code, whole.content) == (200, true)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for text, part in (("5-9", true[5:10]), ("5-", true[5:]), ("-7", true[-7:])):
        answer = get(Range=f"bytes={text}", If_Range=whole.headers["ETag"])
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["ETag"] == whole.headers["ETag"]
    assert answer.headers["Content-Range"] == f"bytes {len(true) - 7}-{len(true) - 1}/{len(true)}"
    assert get(Range="bytes=5-9", If_Range='"another"').content == true
    assert get(Range="bytes=9-5").status_code == get(Range="bytes=0-1,4-5").status_code == 200
    behind = get(Range=f"bytes={len(true)}-")
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(true)}")
    assert [get(Range="bytes=0-").status_code for _ in range(6)] == [206] * 6


@pytest.mark.parametrize(("ranges", "status"), [("refused", 501), ("unsatisfiable", 416)])
def test_ranges_can_be_turned_down(ranged, ranges, status):
    get, true = ranged(ranges)
    assert get().headers["ETag"]
    assert [get(Range="bytes=5-").status_code for _ in range(6)] == [status] * 6
    assert get().content == true


def test_unknown_ranges_are_refused():
    with pytest.raises(ValueError, match="Unknown ranges"):
        Emulator(ranges="sometimes")


def token_of(emulator):
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": "user@example.org", "password": "correct horse"}
    url = f"{emulator.identity_url}/protocol/openid-connect/token"
    return requests.post(url, data=form, timeout=10).json()["access_token"]


def get(emulator, path):
    """GET with a new token."""
    headers = {"Authorization": f"Bearer {token_of(emulator)}"}
    return requests.get(f"{emulator.download_url}/{path}", headers=headers, timeout=10)


@pytest.mark.parametrize("status", [404, 409, 422])
def test_what_is_offline_gets_the_answer_that_was_chosen(status):
    with Emulator(offline_status=status) as emulator:
        product = emulator.add(make_product(scale=0.0))
        assert get(emulator, whole(product)).status_code == 200
        emulator.exchange(product.id, online=False)
        for path in (
            whole(product),
            node(product, "manifest.safe"),
            f"Products({product.id})/Nodes",
        ):
            assert get(emulator, path).status_code == status
        assert get(emulator, f"Products({UNKNOWN})/$value").status_code == 404


def test_too_many_transfers_may_be_told_when_to_come_back():
    with Emulator(max_connections=0, retry_after_s=9) as emulator:
        product = emulator.add(make_product(scale=0.0))
        answer = get(emulator, whole(product))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "9")


@pytest.mark.parametrize("cuts", [True, False])
def test_a_transfer_may_end_with_its_token(cuts):
    with Emulator(cuts_at_expiry=cuts, token_lifetime_s=1.5, bytes_per_s=4e5) as emulator:
        product = emulator.add(make_product(scale=SMALL))
        assert product.zip_size > 1e6
        broken = pytest.raises(requests.exceptions.RequestException)
        with broken if cuts else contextlib.nullcontext():
            assert len(get(emulator, whole(product)).content) == product.zip_size
        assert 0 < emulator.requests[-1].bytes_sent <= product.zip_size


def test_errors_may_be_those_of_2023():
    with Emulator(legacy_errors=True, max_connections=0) as emulator:
        product = emulator.add(make_product(scale=0.0))
        token = token_of(emulator)

        def told(path, token=token):
            headers = {"Authorization": f"Bearer {token}"}
            answer = requests.get(f"{emulator.download_url}/{path}", headers=headers, timeout=10)
            return answer.status_code, answer.json()

        assert told("Products") == (400, {"detail": "Invalid odata path"})
        assert told(whole(product), "none") == (401, {"detail": "Unauthorized"})
        unknown = {"detail": "Product not found in catalogue"}
        assert told(f"Products({UNKNOWN})/$value") == (404, unknown)
        assert told(node(product, "nothing")) == (404, {"detail": "Not Found"})
        assert told(whole(product)) == (429, {"detail": "Max session number 4 exceeded."})
        emulator.faults.add(Fault("download", status=403))
        assert told(whole(product)) == (403, {"detail": "Forbidden"})
        emulator.expire_tokens()
        assert told(whole(product)) == (401, {"detail": "Expired signature!"})
