"""Knows which error an HTTP answer of the service stands for; sends nothing.

Decided by the service's own code, then by status, and by whether the answer is the service's at
all: what comes neither as JSON nor as the object store's XML was written by something in between,
and says nothing about the account. Never by the words of an explanation.
"""

from __future__ import annotations

import contextlib
import email.utils
import html
import json
import re
import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import requests
import urllib3

from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    ProductUnavailableError,
    QueryError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    TransientError,
)
from copernicus_dataspace.http.connection_errors import login_wanted, way_of
from copernicus_dataspace.http.endpoints import public_url

_XML: Final = re.compile(r"<(Code|Message)>([^<]*)</")
"""The object store's envelope."""
_TITLE: Final = re.compile(r"<title>\s*(?:[0-9]{3}\s)?([^<]*)</title>", re.I)
_BODY_BYTES: Final = 4096
_BODY_S: Final = 5.0
_SHOWN_CHARS: Final = 300
_QUOTA_S: Final = 3600.0
"""After so long a quota that was used up is looked at again."""
_BLOCKED_S: Final = 600.0
"""What blocks a machine does so for minutes at least, and longer where that goes on asking."""


class TokenRefusedError(CredentialsError):
    """The token was refused; a newer one may be accepted."""


class BlockedError(ServiceUnavailableError):
    """Something in between refused the request; that says nothing about the account."""


class Verdict(NamedTuple):
    """The kind of error, what to do about it, and the least seconds until it is asked again."""

    kind: type[DataSpaceError]
    advice: str
    wait_s: float | None = None


_AGAIN: Final = Verdict(ServiceUnavailableError, "try again.")
_BUSY: Final = Verdict(RateLimitedError, "too many requests, or transfers, at once.")
_USED_UP: Final = Verdict(RateLimitedError, "the account's quota there is used up.", _QUOTA_S)
_GONE: Final = Verdict(ProductUnavailableError, "it may be offline, moved or withdrawn.")
_NOT_NOW: Final = Verdict(ProductUnavailableError, "it cannot be had now.")
_FORM: Final = Verdict(QueryError, "the request's form was refused.")
_NO_RIGHT: Final = Verdict(AccessDeniedError, "this account has no right to it.")
_REFUSED: Final = Verdict(RefusedRequestError, "the service refused the request.")
_TOKEN: Final = Verdict(TokenRefusedError, "the token was refused.")
_STRANGER: Final = Verdict(
    CredentialsError,
    "something there, or on the way, wants a login that is not the Data Space's.",
)
_KEYS: Final = Verdict(CredentialsError, "correct s3_access_key and s3_secret_key.")
_BLOCKED: Final = Verdict(
    BlockedError,
    "a firewall or proxy on the way, or the service's guard against too many requests, refuses "
    "this machine for now; that says nothing about the account.",
    _BLOCKED_S,
)

_BY_CODE: Final[dict[str, Verdict]] = {
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), _KEYS),
    **dict.fromkeys(("InvalidToken", "ExpiredToken", "UserSuspended"), _KEYS),
    **dict.fromkeys(("SlowDown", "TooManyRequests", "RequestLimitExceeded"), _BUSY),
    **dict.fromkeys(("Throttling", "ThrottlingException", "DAT-ZIP-100"), _BUSY),
    **dict.fromkeys(("QuotaExceeded", "BandwidthLimitExceeded"), _USED_UP),
    **dict.fromkeys(("InternalError", "ServiceUnavailable", "RequestTimeout"), _AGAIN),
    **dict.fromkeys(("OperationAborted", "server_error", "temporarily_unavailable"), _AGAIN),
    **dict.fromkeys(("DAT-ZIP-104", "DAT-ZIP-111"), _FORM),
    "NoSuchBucket": Verdict(ConfigurationError, "another object store; check s3_endpoint_url."),
    "DAT-ZIP-609": Verdict(
        CredentialsError, "the download service wants the token of an account with password."
    ),
}
"""By the service's own code, whatever the status.

DAT-ZIP-604, no token found, is left out: it may also be said of a token the service has forgotten.
"""
_SKEWED: Final = ("RequestTimeTooSkewed", "RequestExpired")

_BY_STATUS: Final[dict[int, Verdict]] = {
    202: _NOT_NOW,
    206: Verdict(ServiceUnavailableError, "only a part came, though all was asked for; try again."),
    **dict.fromkeys((400, 422), _FORM),
    **dict.fromkeys((402, 403, 451), _NO_RIGHT),
    **dict.fromkeys((404, 409, 410), _GONE),
    **dict.fromkeys((408, 413, 421, 424, 425), _AGAIN),
    423: _NOT_NOW,
    429: _BUSY,
    511: Verdict(BlockedError, "this network wants somebody to log in to it.", _BLOCKED_S),
}
_GUARDS: Final = (400, 402, 403, 405, 406, 418, 422, 451)
"""What firewalls and gateways answer, too."""
_OF_ACCOUNTS: Final = (402, 403)
_OAUTH: Final = re.compile(r"[a-z_]{1,60}")


class _Said(NamedTuple):
    """What an answer says: the service's code, an explanation; whether the service wrote it."""

    code: str
    reason: str
    is_own: bool


def error_of(response: requests.Response, what: str) -> DataSpaceError:
    """Return the error an unsuccessful answer stands for; reads the beginning of its body."""
    said = _said(_beginning(response).decode("utf-8", "replace"))
    verdict = _verdict(response, said)
    message = f"{what}: HTTP {response.status_code} {said.code} {said.reason}"
    way = "" if said.is_own else way_of(response.url)
    error = verdict.kind(f"{' '.join(message.split()).rstrip('.')}; {verdict.advice}{way}")
    error.status, error.code, error.reason = response.status_code, said.code, said.reason
    error.is_own, error.url = said.is_own, public_url(response.url)
    if isinstance(error, TransientError):
        waits_s = [_retry_after_s(response), verdict.wait_s]
        error.retry_after_s = max((one for one in waits_s if one is not None), default=None)
    return error


def _verdict(response: requests.Response, said: _Said) -> Verdict:
    if said.code in _SKEWED:
        return Verdict(ConfigurationError, f"{_clocks(response)}; set the clock.")
    if said.code in _BY_CODE:
        return _BY_CODE[said.code]
    status = response.status_code
    if status == requests.codes.proxy_authentication_required:
        return Verdict(ConfigurationError, f"{login_wanted(response.url)}.")
    return _guarded(response, said) or _BY_STATUS.get(status) or _of_class(status)


def _guarded(response: requests.Response, said: _Said) -> Verdict | None:
    """Return the verdict on an answer that a guard may have given; None where the status tells."""
    status, sent = response.status_code, response.request.headers.get("Authorization", "")
    is_transfer = sent.startswith("Bearer")
    is_silent = is_transfer and not (said.code or said.reason)  # the service itself says why
    if status in _GUARDS and (is_silent or not said.is_own):
        return _BLOCKED
    if status == requests.codes.unprocessable and is_transfer:
        return _GONE  # no source tells how offline products are refused
    if status == requests.codes.unauthorized:  # of whatever form: a gateway may look at tokens
        return _TOKEN if is_transfer else _KEYS if sent else _STRANGER
    return _BLOCKED if status in _OF_ACCOUNTS and not sent else None


def _of_class(status: int) -> Verdict:
    is_final = requests.codes.bad_request <= status < requests.codes.server_error
    return _REFUSED if is_final else _AGAIN


def _said(text: str) -> _Said:
    """Read any of the service's error envelopes; what is none of them was written by others."""
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        named = {name: html.unescape(value) for name, value in _XML.findall(text)}
        reason = named.get("Message", _words(text))[:_SHOWN_CHARS]
        return _Said(named.get("Code", ""), reason, is_own="Code" in named or not text.strip())
    if not isinstance(body, dict):
        return _Said("", str(body)[:_SHOWN_CHARS], is_own=True)
    for part in (body.get("detail"), body.get("error")):
        body = {**part, **body} if isinstance(part, dict) else body
    code, error = body.get("code"), body.get("error")
    if not code and isinstance(error, str) and _OAUTH.fullmatch(error):
        code, error = error, ""
    reason = body.get("message") or body.get("error_description") or body.get("detail") or error
    trace = f" (trace-id {body['trace-id']})" if body.get("trace-id") else ""
    return _Said(str(code or ""), f"{str(reason or '')[:_SHOWN_CHARS]}{trace}", is_own=True)


def _clocks(response: requests.Response) -> str:
    """Return what the clocks of both sides say, as far as the answer tells."""
    here = f"this machine's clock says {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    there = _moment(response.headers.get("Date", ""))
    return f"{here}, the service's {there:%Y-%m-%d %H:%M:%S}" if there else here


def _words(text: str) -> str:
    """Return the title of a gateway's page, without the status; of anything else all words."""
    title = _TITLE.search(text)
    return " ".join((title[1] if title else text).split())


def _beginning(response: requests.Response) -> bytes:
    """Return what comes of a body within some seconds, and of a long one the beginning."""
    body, until = bytearray(), time.monotonic() + _BODY_S
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        while len(body) < _BODY_BYTES and time.monotonic() < until:
            piece = response.raw.read1(_BODY_BYTES, decode_content=True)
            if not piece:
                break
            body += piece
    return bytes(body)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the seconds a Retry-After header asks for, in either of its forms."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    until = _moment(value)
    return max(0.0, until.timestamp() - time.time()) if until else None


def _moment(date: str) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # written as -0000
