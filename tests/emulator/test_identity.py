import base64
import json

import jwt
import pyotp
import pytest
import requests

from dataspace_emulator import Emulator, Fault, User, make_product

CLIENT = {"client_id": "cdse-public"}


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_password_grant_answers_as_recorded(sign_in, emulator):
    answer = sign_in()
    body = answer.json()
    assert answer.status_code == 200
    assert body["expires_in"] == 600
    assert body["refresh_expires_in"] == 3600
    assert set(body) == {
        *("access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"),
        *("not-before-policy", "session_state", "scope"),
    }
    inside = claims(body["access_token"])
    assert inside["aud"] == ["CLOUDFERRO_PUBLIC", "account"]
    assert inside["azp"] == "cdse-public"
    assert inside["iss"] == emulator.identity_url
    assert inside["sid"] == body["session_state"]
    assert 599 <= inside["exp"] - inside["iat"] <= 601
    assert emulator.grants == {"password": 1}


def test_tokens_are_signed_with_a_key_of_the_key_set(sign_in, emulator):
    discovery = requests.get(
        f"{emulator.identity_url}/.well-known/openid-configuration", timeout=10
    ).json()
    assert discovery["token_endpoint"].startswith(emulator.identity_url)
    token = sign_in().json()["access_token"]
    key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(token).key
    algorithms = discovery["id_token_signing_alg_values_supported"]
    assert jwt.decode(token, key, algorithms, audience="CLOUDFERRO_PUBLIC")["typ"] == "Bearer"


GOOD = {"username": "user@example.org", "password": "correct horse"}


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        pytest.param({**GOOD, "password": "x"}, 401, "invalid_grant", id="wrong password"),
        pytest.param({**GOOD, "username": "x"}, 401, "invalid_grant", id="wrong user"),
        pytest.param({**GOOD, "client_id": "other"}, 401, "invalid_client", id="wrong client"),
        pytest.param({**GOOD, "client_id": ""}, 401, "invalid_client", id="no client"),
        pytest.param({**GOOD, "grant_type": ""}, 400, "invalid_request", id="no grant type"),
        pytest.param(
            {**GOOD, "grant_type": "magic"}, 400, "unsupported_grant_type", id="unknown grant"
        ),
        pytest.param(
            {"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant", id="junk"
        ),
    ],
)
def test_bad_forms_are_refused(grant, emulator, form, status, error):
    answer = grant(**{"grant_type": "password", **CLIENT, **form})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert not emulator.grants


def test_a_wrong_password_gets_the_services_words(grant):
    answer = grant(grant_type="password", **CLIENT, username="user@example.org", password="x")
    assert answer.json() == {
        "error": "invalid_grant",
        "error_description": "Invalid user credentials",
    }


def test_only_forms_are_taken(emulator):
    url = f"{emulator.identity_url}/protocol/openid-connect/token"
    body = {"grant_type": "password", **CLIENT, **GOOD}
    assert requests.post(url, json=body, timeout=10).status_code == 415
    assert requests.get(url, params=body, timeout=10).status_code == 405


def test_a_refresh_gives_a_new_token_of_the_same_session(grant, sign_in, emulator):
    first = sign_in().json()
    answer = grant(grant_type="refresh_token", **CLIENT, refresh_token=first["refresh_token"])
    second = answer.json()
    assert answer.status_code == 200
    assert second["access_token"] != first["access_token"]
    assert second["session_state"] == first["session_state"]
    assert emulator.grants == {"password": 1, "refresh_token": 1}


def test_an_access_token_is_no_refresh_token(grant, sign_in):
    token = sign_in().json()["access_token"]
    assert grant(grant_type="refresh_token", **CLIENT, refresh_token=token).status_code == 400


def test_a_dead_session_cannot_be_refreshed_but_its_token_lives_on(grant, sign_in, emulator, fetch):
    product = emulator.add(make_product(scale=0.0))
    refresh_token = sign_in().json()["refresh_token"]
    emulator.end_sessions()
    answer = grant(grant_type="refresh_token", **CLIENT, refresh_token=refresh_token)
    assert answer.status_code == 400
    assert answer.json()["error_description"] == "Token is not active"
    assert fetch(f"Products({product.id})/$value").status_code == 200


def test_expired_access_tokens_leave_the_refresh_token_alive(grant, sign_in, emulator):
    refresh_token = sign_in().json()["refresh_token"]
    emulator.expire_tokens()
    answer = grant(grant_type="refresh_token", **CLIENT, refresh_token=refresh_token)
    assert answer.status_code == 200


def test_logout_ends_the_session(grant, sign_in, emulator):
    refresh_token = sign_in().json()["refresh_token"]
    form = {**CLIENT, "refresh_token": refresh_token}
    url = f"{emulator.identity_url}/protocol/openid-connect/logout"
    answer = requests.post(url, data=form, timeout=10)
    assert (answer.status_code, answer.content) == (204, b"")
    assert requests.post(url, data={"refresh_token": "x"}, timeout=10).status_code == 401
    again = grant(grant_type="refresh_token", **form)
    assert (again.status_code, again.json()["error_description"]) == (400, "Session not active")


def test_an_account_has_a_hundred_sessions(sign_in, emulator):
    assert {sign_in().status_code for _ in range(100)} == {200}
    assert sign_in().status_code == 400
    emulator.end_sessions()
    assert sign_in().status_code == 200


def test_lifetimes_can_be_set(sign_in):
    users = {"user@example.org": User("correct horse")}
    with Emulator(token_lifetime_s=1800, refresh_lifetime_s=60, users=users) as emulator:
        form = {"grant_type": "password", **CLIENT, **GOOD}
        url = f"{emulator.identity_url}/protocol/openid-connect/token"
        body = requests.post(url, data=form, timeout=10).json()
    assert (body["expires_in"], body["refresh_expires_in"]) == (1800, 60)


def test_a_two_factor_account_needs_the_code_of_the_moment():
    secret = pyotp.random_base32()
    with Emulator(users={"user@example.org": User("correct horse", secret)}) as emulator:
        url = f"{emulator.identity_url}/protocol/openid-connect/token"
        form = {"grant_type": "password", **CLIENT, **GOOD}
        codes = ({}, {"totp": "000000"}, {"totp": pyotp.TOTP(secret).at(0)})
        for code in codes:
            answer = requests.post(url, data={**form, **code}, timeout=10)
            assert answer.status_code == 401
            assert answer.json()["error_description"] == "Invalid user credentials"
        code = {"totp": pyotp.TOTP(secret).now()}
        assert requests.post(url, data={**form, **code}, timeout=10).status_code == 200


def test_a_client_grant_has_no_audience(grant, emulator):
    assert grant(grant_type="client_credentials", client_id="sh-x").status_code == 401
    answer = grant(grant_type="client_credentials", client_id="sh-x", client_secret="y")
    assert answer.json()["expires_in"] == 1800
    assert "aud" not in claims(answer.json()["access_token"])
    assert "refresh_token" not in answer.json()


def test_an_overloaded_token_service_names_a_wait(sign_in, emulator):
    emulator.faults.add(Fault("identity", status=429, retry_after=7))
    answer = sign_in()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert sign_in().status_code == 200
