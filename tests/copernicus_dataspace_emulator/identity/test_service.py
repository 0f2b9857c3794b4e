import base64
import json

import jwt
import pyotp
import pytest
import requests

from copernicus_dataspace_emulator import Emulator, Fault, User, make_product

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


def test_only_a_refresh_token_logs_out(grant, sign_in, emulator):
    log_out, tokens = asking(emulator, "logout"), sign_in().json()
    of_client = grant(grant_type="client_credentials", client_id="sh-x", client_secret="y").json()
    for token in (tokens["access_token"], of_client["access_token"], "junk", ""):
        answer = log_out(refresh_token=token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert spend(grant, tokens["refresh_token"]).status_code == 200


def spend(grant, refresh_token):
    return grant(grant_type="refresh_token", **CLIENT, refresh_token=refresh_token)


def test_a_refresh_token_serves_once(grant, sign_in):
    first = sign_in().json()["refresh_token"]
    second = spend(grant, first).json()["refresh_token"]
    again = spend(grant, first)
    assert again.status_code == 400
    assert again.json() == {
        "error": "invalid_grant",
        "error_description": "Maximum allowed refresh token reuse exceeded",
    }
    assert spend(grant, second).status_code == 200


def asking(emulator, path="token"):
    url = f"{emulator.identity_url}/protocol/openid-connect/{path}"
    return lambda **form: requests.post(url, data={**CLIENT, **form}, timeout=10)


def test_tokens_and_codes_may_be_reusable():
    secret = pyotp.random_base32()
    with Emulator(
        users={"user@example.org": User("correct horse", secret)},
        single_use_refresh_tokens=False,
        single_use_codes=False,
    ) as emulator:
        ask, code = asking(emulator), pyotp.TOTP(secret).now()
        tokens = [ask(grant_type="password", **GOOD, totp=code).json() for _ in range(2)]
        for _ in range(2):
            assert spend(ask, tokens[0]["refresh_token"]).status_code == 200


def test_a_code_serves_once():
    secret = pyotp.random_base32()
    users = {"user@example.org": User("correct horse", secret), "b": User("pw", secret)}
    with Emulator(users=users) as emulator:
        ask, code = asking(emulator), pyotp.TOTP(secret).now()
        form = {"grant_type": "password", "totp": code}
        assert ask(**{**form, **GOOD, "password": "wrong"}).status_code == 401  # does not count
        assert ask(**form, **GOOD).status_code == 200
        refused = ask(**form, **GOOD)
        assert refused.status_code == 401
        assert refused.json()["error_description"] == "Invalid user credentials"
        assert ask(**form, username="b", password="pw").status_code == 200


def test_a_token_can_be_revoked(grant, sign_in, emulator, fetch):
    product = emulator.add(make_product(scale=0.0))
    revoke, tokens = asking(emulator, "revoke"), sign_in().json()
    whole = f"Products({product.id})/$value"
    answer = revoke(token=tokens["access_token"], token_type_hint="access_token")
    assert (answer.status_code, answer.content) == (200, b"")
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert fetch(whole, headers=header).json()["code"] == "DAT-ZIP-109"
    assert fetch(whole).status_code == 200  # another session's
    assert revoke(token=tokens["refresh_token"]).status_code == 200
    assert spend(grant, tokens["refresh_token"]).json()["error_description"] == "Session not active"
    assert revoke(token="none of ours").status_code == 200
    assert revoke().json()["error"] == "invalid_request"
    assert revoke(token="x", client_id="other").json()["error"] == "invalid_client"


def test_a_token_tells_whose_it_is(sign_in, emulator):
    url = f"{emulator.identity_url}/protocol/openid-connect/userinfo"
    bearer = {"Authorization": f"Bearer {sign_in().json()['access_token']}"}
    told = requests.get(url, headers=bearer, timeout=10).json()
    assert told["preferred_username"] == "user@example.org"
    assert requests.get(url, timeout=10).json()["error"] == "invalid_token"


def test_what_the_discovery_names_besides_is_closed(grant, emulator, recorded):
    url = f"{emulator.identity_url}/.well-known/openid-configuration"
    ours = requests.get(url, timeout=10).json()
    real = recorded("auth/cdsetool_openid-configuration.json")
    assert ours["grant_types_supported"] == sorted(
        real["grant_types_supported"], key=ours["grant_types_supported"].index
    )
    for name in (name for name in real if name.endswith("_endpoint") or name == "jwks_uri"):
        place = real[name].removeprefix(real["issuer"])
        assert ours[name].removeprefix(ours["issuer"]) == place
        assert requests.post(ours[name], timeout=10).status_code in {400, 401, 403, 405, 415}
    for kind in real["grant_types_supported"]:
        answer = grant(grant_type=kind, **CLIENT)
        assert answer.json()["error"] != "unsupported_grant_type"
        assert answer.status_code in {400, 401}


def test_many_wrong_logins_lock_an_account_in_the_same_words(grant, emulator):
    form = {"grant_type": "password", **CLIENT, **GOOD}
    for _ in range(30):
        assert grant(**{**form, "password": "x"}).status_code == 401
    locked = grant(**form)
    assert locked.status_code == 401
    assert locked.json()["error_description"] == "Invalid user credentials"


def test_a_right_login_forgets_the_wrong_ones(grant):
    form = {"grant_type": "password", **CLIENT, **GOOD}
    for _ in range(2):
        for _ in range(29):
            grant(**{**form, "password": "x"})
        assert grant(**form).status_code == 200


def test_an_account_that_is_not_complete_is_told_so():
    users = {"user@example.org": User("correct horse", complete=False)}
    with Emulator(users=users) as emulator:
        answer = asking(emulator)(grant_type="password", **GOOD)
    assert answer.status_code == 400
    assert answer.json()["error_description"] == "Account is not fully set up"


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
