import threading

import pytest

from copernicus_dataspace.auth.identity_service import IdentityService, Token
from copernicus_dataspace.auth.shared_session import TokenSource
from copernicus_dataspace.errors import CredentialsError, ServiceUnavailableError, TransientError
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.limits.retry import RetryPolicy
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace_emulator import Emulator, Fault, User
from copernicus_dataspace_emulator.identity.tokens import GrantRefusedError, Tokens
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

SECRET = "JBSWY3DPEHPK3PXP"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_source(sleeps, clock):
    opened = []

    def make(emulator, on_new_token=lambda _: None, **account):
        http = Http(endpoints_of(emulator), sleep=sleeps.append)
        opened.append(http)
        who = account_of(emulator, **account)
        realm = IdentityService(
            http, emulator.identity_url, who, RetryPolicy(wait=sleeps.append), clock
        )
        return TokenSource(realm, lambda: SharedFile(None, "k"), on_new_token=on_new_token)

    yield make
    for http in opened:
        http.close()


def test_one_login_serves_until_most_of_the_lifetime_has_passed(emulator, make_source, clock):
    source = make_source(emulator)
    first = source.token()
    clock.now = 479
    assert source.token() == first
    clock.now = 481
    assert source.token() != first
    assert emulator.grants == {"password": 1, "refresh_token": 1}


@pytest.mark.parametrize("lifetime_s", [60, 1800])
def test_lifetimes_are_those_of_the_answer(make_source, clock, lifetime_s):
    with Emulator(token_lifetime_s=lifetime_s, refresh_lifetime_s=7200) as emulator:
        source = make_source(emulator)
        first = source.token()
        clock.now = 0.79 * lifetime_s
        assert source.token() == first
        clock.now = 0.81 * lifetime_s
        assert source.token() != first


def test_a_dead_refresh_token_leads_back_to_the_password(emulator, make_source, clock):
    source = make_source(emulator)
    source.token()
    emulator.end_sessions()
    clock.now = 500
    source.token()
    assert emulator.grants["password"] == 2


@pytest.mark.parametrize("status", [500, 502, 503])
def test_the_password_does_where_a_session_cannot_be_renewed(
    emulator, make_source, clock, monkeypatch, status
):
    def refuse(*_args):
        raise GrantRefusedError(status, "unknown_error", "Out of order")

    monkeypatch.setattr(Tokens, "by_refresh", refuse)
    source = make_source(emulator)
    first = source.token()
    clock.now = 500
    assert source.token() == first  # which lives on
    assert emulator.grants == {"password": 1}
    clock.now = 600
    assert source.token() != first
    assert emulator.grants == {"password": 2}


@pytest.mark.parametrize("status", [400, 401, 403, 405])
def test_a_refused_renewal_leads_back_to_the_password(
    emulator, make_source, clock, monkeypatch, status
):
    def refuse(*_args):
        raise GrantRefusedError(status, "invalid_grant", "Session not active")

    monkeypatch.setattr(Tokens, "by_refresh", refuse)
    source = make_source(emulator)
    source.token()
    clock.now = 500
    source.token()
    assert emulator.grants == {"password": 2}


@pytest.mark.parametrize("fault", [{"status": 429}, {"kind": "blocked", "status": 403}], ids=str)
def test_who_is_to_stay_away_does_not_try_the_password(emulator, make_source, clock, fault):
    source = make_source(emulator)
    source.token()
    clock.now = 601
    emulator.faults.add(Fault("identity", times=None, **fault))
    with pytest.raises(TransientError):
        source.token()
    forms = {one.status for one in emulator.requests}
    assert forms == {200, fault["status"]}
    assert emulator.grants == {"password": 1}


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "\u0430bc", 5, None])
def test_what_cannot_be_a_token_is_none(emulator, make_source, monkeypatch, token):
    monkeypatch.setattr(Tokens, "by_password", lambda *_args: {"access_token": token})
    with pytest.raises(ServiceUnavailableError, match="the login response has no"):
        make_source(emulator).token()


def test_a_refresh_token_known_to_be_dead_is_not_even_tried(emulator, make_source, clock):
    source = make_source(emulator)
    source.token()
    clock.now = 3601
    source.token()
    assert emulator.grants == {"password": 2}


def test_a_refused_token_is_replaced_once_for_all_threads(emulator, make_source):
    source = make_source(emulator)
    refused = source.token()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(source.renew(refused))) for _ in "12345678"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0] != refused
    assert sum(emulator.grants.values()) == 2


def test_many_threads_cause_one_login(emulator, make_source):
    source = make_source(emulator)
    threads = [threading.Thread(target=source.token) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emulator.grants == {"password": 1}


def test_a_wrong_password_is_tried_once_and_explained(emulator, make_source, sleeps):
    source = make_source(emulator, password="nonsense-word")
    with pytest.raises(CredentialsError, match="wrong e-mail or password, or a second"):
        source.token()
    assert len(emulator.requests) == 1
    assert sleeps == []


def test_a_second_factor_is_computed(make_source):
    with Emulator(users={"a@example.org": User("pw", totp_secret=SECRET)}) as emulator:
        account = {"username": "a@example.org", "password": "pw"}
        assert make_source(emulator, **account, totp_secret=SECRET).token()
        with pytest.raises(CredentialsError, match="set the two-factor secret"):
            make_source(emulator, **account).token()
        with pytest.raises(CredentialsError, match="one-time code"):
            make_source(emulator, **account, totp_secret="GEZDGNBVGY3TQOJQ").token()


def test_a_malformed_second_factor_is_named(emulator, make_source):
    with pytest.raises(CredentialsError, match="not valid base32"):
        make_source(emulator, totp_secret="not base 32 !").token()


def test_an_overloaded_identity_service_is_tried_again(emulator, make_source, sleeps):
    emulator.faults.add(Fault(service="identity", status=503, times=2))
    emulator.faults.add(Fault(service="identity", status=429, retry_after=3))
    assert make_source(emulator).token()
    assert max(sleeps) >= 3.0


@pytest.mark.parametrize(
    ("fault", "tries", "rest_s"),
    [
        ({"status": 429}, 10, 60),
        ({"status": 503}, 5, 60),
        ({"status": 429, "retry_after": 300}, 1, 300),
    ],
    ids=str,
)
def test_after_all_tries_nobody_asks_for_a_while(
    emulator, make_source, clock, fault, tries, rest_s
):
    emulator.faults.add(Fault(service="identity", times=None, **fault))
    source = make_source(emulator)
    for clock.now in (0, 1, rest_s - 1):
        with pytest.raises(TransientError, match=f"HTTP {fault['status']}"):
            source.token()
        assert len(emulator.requests) == tries
    emulator.faults.clear()
    clock.now = rest_s
    assert source.token()
    assert len(emulator.requests) == tries + 1


def test_a_login_without_token_is_no_login(emulator, make_source):
    emulator.faults.add(Fault(service="identity", kind="json", times=None))
    with pytest.raises(ServiceUnavailableError):
        make_source(emulator).token()


def test_every_new_secret_is_announced_and_none_is_shown(emulator, make_source, clock):
    announced = []
    source = make_source(emulator, announced.append)
    token = source.token()
    assert announced[0] == token
    assert len(announced) == 2
    assert token not in repr(Token.from_answer({"access_token": token}, clock()))
    assert emulator.connection()["password"] not in repr(account_of(emulator))
