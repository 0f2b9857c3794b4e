"""What the service may do that a client must be safe against: it refuses twice, changes, slows."""

import re
from http import HTTPStatus
from types import SimpleNamespace

import pyotp
import pytest
import requests

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace.catalogue import query
from copernicus_dataspace.errors import (
    AccessDeniedError,
    CredentialsError,
    ProductUnavailableError,
    QueryError,
    ServiceUnavailableError,
)
from copernicus_dataspace_emulator import Emulator, Fault, User
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of, transfers
from tests.airflow_copernicus.reconcile.test_reconcile import Ingests, held, stem
from tests.support.faults.fault_scene import Leap

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXP"
KEPT = {"transfer": "archive", "keep_archive": True}
SMALL = {"scale": 0.002}


@pytest.fixture
def settings():
    """What the Data Space is made with; tests parametrize it."""
    return {}


@pytest.fixture
def emulator(settings):
    with Emulator(**{"now": "2026-11-20T12:00:00Z", **settings}) as running:
        yield running


@pytest.fixture
def connected(emulator, connect, settings):
    extra = {"totp_secret": SECRET} if "users" in settings else {}
    connect(emulator.connection(**extra))
    return emulator


def logins(emulator):
    """Statuses of the token requests so far."""
    return [one.status for one in emulator.requests if one.path.endswith("/token")]


def delivered(ran, product):
    (path,) = (ran.output / "bands").rglob(scl_of(product).rpartition("/")[2])
    return path.read_bytes() == product.read(scl_of(product))


def test_a_refresh_token_that_serves_once_is_spent_once(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    for _ in range(3):
        assert delivered(ingest(overwrite=True), product)
        connected.expire_tokens()
    assert connected.grants["password"] == 1
    assert connected.grants["refresh_token"] >= 2
    assert set(logins(connected)) == {200}


def test_a_refresh_whose_answer_was_lost_leads_to_a_login(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    ingest()
    connected.expire_tokens()
    connected.faults.add(Fault("identity", kind="reset_body", match="/token"))
    ran = ingest(overwrite=True)
    assert ran.errors == []
    assert delivered(ran, product)
    assert logins(connected) == [200, 200, 400, 200]


@pytest.fixture
def leap(monkeypatch):
    """Time that leaps over the waits for the next code."""
    return Leap().install(monkeypatch)


with_second_factor = pytest.mark.parametrize(
    "settings", [{"users": {"user@example.org": User(PASSWORD, SECRET)}}], ids=["two factors"]
)


@with_second_factor
def test_a_code_is_not_sent_twice(connected, ingest, leap):
    product = connected.add(lake_product(**SMALL))
    for _ in range(2):
        ran = ingest(overwrite=True)
        assert ran.errors == []
        assert delivered(ran, product)
        connected.expire_tokens()
        connected.end_sessions()
    assert logins(connected) == [200, 400, 200]
    assert 0 < leap.waited_s <= 30


@with_second_factor
@pytest.mark.usefixtures("leap")
def test_a_code_whose_answer_was_lost_is_not_sent_again(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    connected.faults.add(Fault("identity", kind="reset_body", match="/token"))
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran, product)
    assert logins(connected) == [200, 200]


@with_second_factor
@pytest.mark.usefixtures("leap")
def test_a_code_that_another_host_has_used_is_followed_by_the_next(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": "user@example.org", "password": PASSWORD}
    url = f"{connected.identity_url}/protocol/openid-connect/token"
    code = pyotp.TOTP(SECRET).now()
    assert requests.post(url, data={**form, "totp": code}, timeout=10).status_code == 200
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran, product)
    assert logins(connected) in ([200, 401, 200], [200, 200])  # half a minute may have passed


@with_second_factor
@pytest.mark.usefixtures("leap")
def test_a_wrong_password_is_tried_with_two_codes_and_then_no_more(connected, ingest, connect):
    for platform in "AB":
        connected.add(lake_product(platform=platform, **SMALL))
    connect({**connected.connection(totp_secret=SECRET), "password": "wrong"})
    for _ in range(2):
        assert isinstance(ingest().errors[0], CredentialsError)
    assert logins(connected) == [401, 401]


def run_in_steps(emulator, output, between, **params):
    """Search, let something happen, then download and extract; return nothing."""
    context, place = make_context(), {"output_uri": output.as_uri()}
    search = CopernicusSearchOperator(
        task_id="search", bands=["SCL_20m"], tiles=["T36TXL"], **place
    )
    batches = search.execute(context)
    between()
    for batch in batches:
        for kind in (CopernicusDownloadOperator, CopernicusExtractOperator):
            kind(task_id="t", batch=batch, bands=["SCL_20m"], **params, **place).execute(context)


@pytest.mark.parametrize("settings", [{"now": "2024-08-01T12:36:30Z"}])
def test_a_checksum_corrected_after_the_search_is_believed(connected, tmp_path):
    product = connected.add(lake_product(checksum="corrected", **SMALL))

    def a_minute_later():
        connected.now = "2024-08-01T12:40:00Z"

    run_in_steps(connected, tmp_path, a_minute_later, **KEPT)
    (kept,) = tmp_path.rglob("*.zip")
    assert kept.stat().st_size == product.zip_size


@pytest.mark.parametrize("params", [{}, KEPT], ids=["files", "zip"])
def test_bytes_exchanged_after_the_search_arrive_as_they_are_now(connected, tmp_path, params):
    product = connected.add(lake_product(**SMALL))
    exchanged = []

    def exchange():
        exchanged.append(connected.exchange(product.id, seed=9, scale=0.003))

    run_in_steps(connected, tmp_path, exchange, **params)
    ran = SimpleNamespace(output=tmp_path)
    assert delivered(ran, *exchanged)
    assert product.read(scl_of(product)) != exchanged[0].read(scl_of(product))


def test_a_campaign_of_modification_dates_moves_nothing(connected, ingest, tmp_path):
    products = [connected.add(lake_product(platform=one, **SMALL)) for one in "AB"]
    ingest()
    before = len(transfers(connected))
    connected.now = "2026-11-21T00:00:00Z"
    connected.touch(*(product.id for product in products))
    assert ingest().errors == []
    settled = Ingests.below(tmp_path, ingest).reconcile()
    assert settled["report"]["counts"] == {"present": 2}
    assert len(transfers(connected)) == before


@pytest.mark.parametrize("settings", [{"quota_bytes": -1}])
def test_beyond_the_quota_all_arrives_through_one_connection(connected, ingest):
    products = [connected.add(lake_product(platform=one, **SMALL)) for one in "AB"]
    ran = ingest(bands=["SCL_20m", "B8A_20m", "B11_20m"])
    assert ran.errors == []
    assert held(ran.output) == sorted(map(stem, products))
    assert ran.staged == []


@pytest.mark.parametrize("settings", [{"legacy_errors": True}])
def test_the_error_bodies_of_2023_are_understood(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    ingest()
    connected.expire_tokens()
    ran = ingest(overwrite=True)
    assert ran.errors == []
    assert delivered(ran, product)
    assert connected.grants == {"password": 1, "refresh_token": 1}
    connected.faults.add(Fault("download", status=429, times=2))
    assert ingest(overwrite=True).errors == []
    connected.faults.add(Fault("download", status=403, times=None))
    (error, *_) = ingest(overwrite=True).errors
    assert isinstance(error, AccessDeniedError)
    assert re.search("403 .*Forbidden", str(error))


@pytest.mark.parametrize("settings", [{"offline_status": status} for status in (404, 409, 422)])
@pytest.mark.parametrize("params", [{}, KEPT], ids=["files", "zip"])
def test_what_goes_offline_after_the_search_is_asked_for_later(connected, tmp_path, params):
    product = connected.add(lake_product(**SMALL))
    with pytest.raises(ProductUnavailableError):
        run_in_steps(
            connected, tmp_path, lambda: connected.exchange(product.id, online=False), **params
        )
    assert list(tmp_path.rglob("*.jp2")) == []


@pytest.mark.parametrize(
    "settings", [{"cuts_at_expiry": True, "token_lifetime_s": 1, "bytes_per_s": 2e6}]
)
def test_a_transfer_that_ends_with_its_token_is_begun_again(connected, ingest):
    product = connected.add(lake_product(**SMALL))
    connected.faults.add(Fault("download", kind="stall_body", match="SCL_20m", seconds=1.1))
    ran = ingest()
    assert ran.errors == []
    assert delivered(ran, product)


@pytest.mark.parametrize("settings", [{"explains_errors": True}, {"explains_errors": False}])
def test_a_complaint_of_the_catalogue_is_passed_on(connected, monkeypatch, ingest):
    monkeypatch.setattr(query, "COLLECTION", "SENTINEL-99")
    with pytest.raises(QueryError, match="Invalid value"):
        ingest()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_of_the_gateway_is_told_in_its_own_words(connected, ingest, status):
    connected.add(lake_product(**SMALL))
    connected.faults.add(Fault("download", status=status, times=None))
    (error, *_) = ingest().errors
    assert isinstance(error, ServiceUnavailableError)
    assert f"HTTP {status} {HTTPStatus(status).phrase}; try again" in str(error)
    assert "<" not in str(error)
