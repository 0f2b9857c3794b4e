"""Questions to the identity service: the first of a visit, and the last."""

import base64
import json
from typing import Any, Final

import requests

from tests.live.facts import Facts, document
from tests.live.probe import SUCCESS, Probes
from tests.live.visit import Visit

FIRST, LAST = Probes("identity"), Probes("identity")

_LIFETIMES: Final = ("expires_in", "refresh_expires_in")
_LOGIN_AGAIN: Final = ("QueryError", "TokenRefusedError")
"""What makes the client log in anew once a refresh token has died."""


@FIRST.ask("token", SUCCESS)
def token(visit: Visit) -> tuple[requests.Response, Facts]:
    return visit.login, _token_facts(visit.login)


@FIRST.ask("token refreshed", SUCCESS)
def refreshed(visit: Visit) -> tuple[requests.Response, Facts]:
    answer = _refresh(visit)
    body = document(answer)
    if isinstance(body, dict):
        visit.refresh_token = body.get("refresh_token", visit.refresh_token)
    return answer, _token_facts(answer)


@FIRST.ask("token, refresh token broken", _LOGIN_AGAIN)
def broken_refresh(visit: Visit) -> requests.Response:
    return visit.grant(grant_type="refresh_token", refresh_token="broken")


@LAST.ask("logout")
def logout(visit: Visit) -> requests.Response:
    return visit.logout


@LAST.ask("token, session ended", (*_LOGIN_AGAIN, *SUCCESS))
def session_ended(visit: Visit) -> requests.Response:
    visit.logout.close()
    return _refresh(visit)


def _refresh(visit: Visit) -> requests.Response:
    return visit.grant(grant_type="refresh_token", refresh_token=visit.known_refresh_token)


def _token_facts(answer: requests.Response) -> Facts:
    body = document(answer)
    if not isinstance(body, dict) or "access_token" not in body:
        return {}
    audience = _claims(str(body["access_token"])).get("aud", "none")
    names = audience if isinstance(audience, list) else [audience]
    lifetimes: Facts = {name: str(body.get(name)) for name in _LIFETIMES}
    scope = frozenset(str(body.get("scope", "")).split())
    return {**lifetimes, "audience": frozenset(map(str, names)), "scope": scope}


def _claims(access_token: str) -> dict[str, Any]:
    """Return what a token says, unverified; nothing where it is no JWT."""
    try:
        part = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
