"""The questions put to the service and to the emulator alike, and what the client needs of them.

Each probe sends one request and returns what it saw; none provokes a lock or a load.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import requests

from dataspace.http_errors import error_of
from tests.live.facts import Facts, answer_facts, document
from tests.live.visit import COLLECTION, NoAnswerError, Visit

UNKNOWN_ID: Final = "00000000-0000-0000-0000-000000000000"
_REDIRECTS: Final = range(300, 400)
_HEAD_TIMEOUT_S: Final = (5.0, 10.0)
_FIRST, _LAST = 10, 19
"""The bytes that the ranged request asks for."""

_LIFETIMES: Final = ("expires_in", "refresh_expires_in")

_SEEN: Final = "the client sees"
_REFUSED_QUESTION: Final = ("QueryError",)
_REFUSED_TOKEN: Final = ("TokenRefusedError", "CredentialsError")
_LOGIN_AGAIN: Final = ("QueryError", "TokenRefusedError")
"""What makes the client log in anew once a refresh token has died."""

_GONE: Final = ("ProductUnavailableError",)
_SUCCESS: Final = ("success",)
_TRANSFER: Final = ("success", "RateLimitedError")


@dataclass(frozen=True)
class Probe:
    """One request.

    Attributes:
        name: What is asked, for people.
        ask: Sends it; returns the answer and what is special about it.
        accepted: What the client may take the answer for; empty where it never asks this.
    """

    name: str
    ask: Callable[[Visit], tuple[requests.Response, Facts]]
    accepted: tuple[str, ...]

    def observe(self, visit: Visit) -> Facts:
        """Return what the answer was, also where there was none."""
        try:
            response, special = self.ask(visit)
        except NoAnswerError as error:
            return {"status": f"no answer ({error})", _SEEN: "no answer"}
        seen = _seen(visit, response)
        return {**answer_facts(response, visit.clean), **special, _SEEN: seen}


PROBES: list[Probe] = []
"""In the order they are to be run."""

_Ask = Callable[[Visit], requests.Response | tuple[requests.Response, Facts]]


def _probe(name: str, accepted: tuple[str, ...] = ()) -> Callable[[_Ask], _Ask]:
    def register(function: _Ask) -> _Ask:
        def ask(visit: Visit) -> tuple[requests.Response, Facts]:
            found = function(visit)
            return found if isinstance(found, tuple) else (found, {})

        PROBES.append(Probe(name, ask, accepted))
        return function

    return register


def _seen(visit: Visit, response: requests.Response) -> str:
    """Return what the client takes an answer for."""
    if response.ok and response.status_code not in _REDIRECTS:
        return "success"
    if response.status_code in _REDIRECTS:
        own = visit.endpoints.owns(response.headers.get("Location", ""))
        return "a redirect within the service" if own else "a redirect elsewhere"
    return type(error_of(response, "probe")).__name__


@_probe("token", _SUCCESS)
def token(visit: Visit) -> tuple[requests.Response, Facts]:
    return visit.login, _token_facts(visit.login)


@_probe("token refreshed", _SUCCESS)
def refreshed(visit: Visit) -> tuple[requests.Response, Facts]:
    answer = _refresh(visit)
    body = document(answer)
    if isinstance(body, dict):
        visit.refresh_token = body.get("refresh_token", visit.refresh_token)
    return answer, _token_facts(answer)


@_probe("token, refresh token broken", _LOGIN_AGAIN)
def broken_refresh(visit: Visit) -> requests.Response:
    return visit.grant(grant_type="refresh_token", refresh_token="broken")


@_probe("search page", _SUCCESS)
def search_page(visit: Visit) -> tuple[requests.Response, Facts]:
    page = document(visit.search)
    if not isinstance(page, dict):
        return visit.search, {}
    link = visit.clean(str(page.get("@odata.nextLink", "none")))
    attributes = (one for row in page.get("value", ()) for one in row.get("Attributes", ()))
    return visit.search, {
        "nextLink": _without_filter(link),
        "attributes": frozenset(f"{one.get('Name')}:{one.get('ValueType')}" for one in attributes),
    }


@_probe("one product")
def one_product(visit: Visit) -> requests.Response:
    expand = [("$expand", name) for name in ("Attributes", "Assets", "Locations")]
    return visit.get(visit.url("catalogue", f"Products({visit.product.id})"), params=expand)


@_probe("search, $top=1001", _REFUSED_QUESTION)
def top_too_large(visit: Visit) -> requests.Response:
    return _search(visit, **{"$filter": COLLECTION, "$top": "1001"})


@_probe("search, $skip=10001", _REFUSED_QUESTION)
def skip_too_large(visit: Visit) -> requests.Response:
    return _search(visit, **{"$filter": COLLECTION, "$skip": "10001"})


@_probe("search, syntax error", _REFUSED_QUESTION)
def syntax_error(visit: Visit) -> requests.Response:
    moment = "datetime'2024-01-01T00:00:00.000Z'"
    return _search(visit, **{"$filter": f"{COLLECTION} and ContentDate/Start ge {moment}"})


@_probe("search, unknown field in $select", _REFUSED_QUESTION)
def unknown_field(visit: Visit) -> requests.Response:
    options = {"$filter": f"{COLLECTION} and Id eq {UNKNOWN_ID}", "$select": "OrbitNumber"}
    return _search(visit, **options)


@_probe("search, unknown collection", _REFUSED_QUESTION)
def unknown_collection(visit: Visit) -> requests.Response:
    options = {"$filter": f"Collection/Name eq 'Sentinel2' and Id eq {UNKNOWN_ID}", "$top": "1"}
    return _search(visit, **options)


@_probe("one product, unknown id")
def unknown_in_catalogue(visit: Visit) -> requests.Response:
    return visit.get(visit.url("catalogue", f"Products({UNKNOWN_ID})"))


@_probe("bytes asked of the catalogue")
def redirect(visit: Visit) -> requests.Response:
    return visit.get(visit.url("catalogue", f"Products({visit.product.id})/$value"))


@_probe("listing of a folder")
def listing(visit: Visit) -> requests.Response:
    return visit.listing


@_probe("file", _TRANSFER)
def small_file(visit: Visit) -> tuple[requests.Response, Facts]:
    return visit.file, _length_facts(visit.file)


@_probe("file, no token", _REFUSED_TOKEN)
def no_token(visit: Visit) -> requests.Response:
    return visit.get(visit.file_url)


@_probe("file, broken token", _REFUSED_TOKEN)
def broken_token(visit: Visit) -> requests.Response:
    return visit.get(visit.file_url, token="broken")


@_probe("file, name in quotes", _REFUSED_QUESTION)
def quoted_name(visit: Visit) -> requests.Response:
    url = visit.node_url(f"Nodes('{visit.product.name}')")
    return visit.get(url, token=visit.access_token)


@_probe("file, unknown name", _GONE)
def unknown_name(visit: Visit) -> requests.Response:
    url = visit.node_url(f"Nodes({visit.product.name})/Nodes(no-such-file.xml)")
    return visit.get(url, token=visit.access_token)


@_probe("product, malformed id", _REFUSED_QUESTION)
def malformed_id(visit: Visit) -> requests.Response:
    url = visit.url("download", "Products(no-such-id)/$value")
    return visit.get(url, token=visit.access_token)


@_probe("product, unknown id", _GONE)
def unknown_product(visit: Visit) -> requests.Response:
    url = visit.url("download", f"Products({UNKNOWN_ID})/$value")
    return visit.get(url, token=visit.access_token)


@_probe("file, HEAD")
def head(visit: Visit) -> requests.Response:
    access = visit.access_token
    return visit.send("HEAD", visit.file_url, token=access, timeout=_HEAD_TIMEOUT_S)


@_probe("file, Range")
def ranged(visit: Visit) -> tuple[requests.Response, Facts]:
    asked = {"Range": f"bytes={_FIRST}-{_LAST}"}
    answer = visit.get(visit.file_url, token=visit.access_token, headers=asked)
    return answer, _range_facts(answer, visit.file.content)


@_probe("logout")
def logout(visit: Visit) -> requests.Response:
    return visit.logout


@_probe("token, session ended", (*_LOGIN_AGAIN, *_SUCCESS))
def session_ended(visit: Visit) -> requests.Response:
    visit.logout.close()
    return _refresh(visit)


def _search(visit: Visit, **options: str) -> requests.Response:
    return visit.get(visit.url("catalogue", "Products"), params=options)


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


def _without_filter(link: str) -> str:
    """Return a link with its options sorted, and without the question they ask."""
    address, _, query = link.partition("?")
    options = sorted(one for one in query.split("&") if one)
    shown = [f"{one.split('=')[0]}=…" if "filter=" in one else one for one in options]
    return f"{address}?{'&'.join(shown)}" if shown else address


def _length_facts(answer: requests.Response) -> Facts:
    announced = answer.headers.get("Content-Length")
    if not answer.ok or announced is None:
        return {}
    equal = int(announced) == len(answer.content)
    return {"body": "as long as announced" if equal else "not as long as announced"}


def _range_facts(answer: requests.Response, whole: bytes) -> Facts:
    if not answer.ok:
        return {}
    kinds = {whole: "the whole file", whole[_FIRST : _LAST + 1]: "the part asked for"}
    facts: Facts = {"body": kinds.get(answer.content, "something else")}
    if "Content-Range" in answer.headers:
        size = answer.headers["Content-Range"].rpartition("/")[2]
        right = answer.headers["Content-Range"] == f"bytes {_FIRST}-{_LAST}/{len(whole)}"
        facts["Content-Range"] = "as asked for" if right else f"wrong, of {size}"
    return facts
