"""Maps unsuccessful HTTP responses to errors.

By the service's error code, then by status, and by whether the service itself responded: a body
that is neither JSON nor the object store's XML comes from a proxy or gateway and says nothing about
the account. Never by the text of an explanation.
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
    TokenRefusedError,
    TransientError,
)
from copernicus_dataspace.http.connection_errors import proxy_hint, proxy_login_required
from copernicus_dataspace.http.endpoints import public_url

_XML: Final = re.compile(r"<(Code|Message)>([^<]*)</")
"""Error body of the object store."""
_TITLE: Final = re.compile(r"<title>\s*(?:[0-9]{3}\s)?([^<]*)</title>", re.I)
_BODY_BYTES: Final = 4096
_SHOWN_CHARS: Final = 300
_QUOTA_S: Final = 3600.0
"""Minimum wait before a used-up quota is tried again."""
_BLOCKED_S: Final = 600.0
"""Firewalls block a machine for minutes at least, and longer if it keeps sending requests."""


class BlockedError(ServiceUnavailableError):
    """A proxy, gateway or firewall refused the request; the account may be right."""


class ErrorRule(NamedTuple):
    """Error class, advice, and minimum seconds until a retry."""

    kind: type[DataSpaceError]
    advice: str
    wait_s: float | None = None


_AGAIN: Final = ErrorRule(ServiceUnavailableError, "try again.")
_BUSY: Final = ErrorRule(RateLimitedError, "too many requests, or transfers, at once.")
_USED_UP: Final = ErrorRule(RateLimitedError, "the account's quota is used up.", _QUOTA_S)
_GONE: Final = ErrorRule(ProductUnavailableError, "it may be offline, moved or withdrawn.")
_NOT_NOW: Final = ErrorRule(ProductUnavailableError, "it is not available now.")
_FORM: Final = ErrorRule(QueryError, "the request's form was refused.")
_NO_RIGHT: Final = ErrorRule(AccessDeniedError, "this account has no right to it.")
_REFUSED: Final = ErrorRule(RefusedRequestError, "the service refused the request.")
_TOKEN: Final = ErrorRule(TokenRefusedError, "the token was refused.")
_FOREIGN_LOGIN: Final = ErrorRule(
    CredentialsError,
    "the host, or a proxy on the way, requires a login that is not the Data Space's.",
)
_KEYS: Final = ErrorRule(CredentialsError, "correct s3_access_key and s3_secret_key.")
_BLOCKED: Final = ErrorRule(
    BlockedError,
    "a firewall or proxy on the way, or the service's rate limiter, refuses this machine for now; "
    "the account may be right.",
    _BLOCKED_S,
)

_BY_CODE: Final[dict[str, ErrorRule]] = {
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), _KEYS),
    **dict.fromkeys(("InvalidToken", "ExpiredToken", "UserSuspended"), _KEYS),
    **dict.fromkeys(("SlowDown", "TooManyRequests", "RequestLimitExceeded"), _BUSY),
    **dict.fromkeys(("Throttling", "ThrottlingException", "DAT-ZIP-100"), _BUSY),
    **dict.fromkeys(("QuotaExceeded", "BandwidthLimitExceeded"), _USED_UP),
    **dict.fromkeys(("InternalError", "ServiceUnavailable", "RequestTimeout"), _AGAIN),
    **dict.fromkeys(("OperationAborted", "server_error", "temporarily_unavailable"), _AGAIN),
    **dict.fromkeys(("DAT-ZIP-104", "DAT-ZIP-111"), _FORM),
    "NoSuchBucket": ErrorRule(
        ConfigurationError, "this is another object store; check s3_endpoint_url."
    ),
    "DAT-ZIP-609": ErrorRule(
        CredentialsError, "the download service requires the token of an account with a password."
    ),
}
"""By error code, whatever the status.

DAT-ZIP-604 (no token found) is not included: it may also mean that the token has expired.
"""
_SKEWED: Final = ("RequestTimeTooSkewed", "RequestExpired")

_BY_STATUS: Final[dict[int, ErrorRule]] = {
    202: _NOT_NOW,
    206: ErrorRule(
        ServiceUnavailableError, "only a part was sent although the whole was requested; try again."
    ),
    **dict.fromkeys((400, 422), _FORM),
    **dict.fromkeys((402, 403, 451), _NO_RIGHT),
    **dict.fromkeys((404, 409, 410), _GONE),
    **dict.fromkeys((408, 413, 421, 424, 425), _AGAIN),
    423: _NOT_NOW,
    429: _BUSY,
    511: ErrorRule(BlockedError, "this network requires a login (captive portal).", _BLOCKED_S),
}
_FIREWALL_STATUS: Final = (400, 402, 403, 405, 406, 418, 422, 451)
"""Status codes that firewalls and gateways use too."""
_OF_ACCOUNTS: Final = (402, 403)
_OAUTH: Final = re.compile(r"[a-z_]{1,60}")


class _Said(NamedTuple):
    """Error code and explanation of a response, and whether it has the service's own form."""

    code: str
    reason: str
    is_own: bool


def error_of(response: requests.Response, what: str, within_s: float) -> DataSpaceError:
    """Return the error for an unsuccessful response.

    Args:
        response: The beginning of its body is read.
        what: Name of the requested resource.
        within_s: Seconds in which the body is read.
    """
    said = _said(_beginning(response, within_s).decode("utf-8", "replace"))
    rule = _rule(response, said)
    message = f"{what}: HTTP {response.status_code} {said.code} {said.reason}"
    way = "" if said.is_own else proxy_hint(response.url)
    error = rule.kind(f"{' '.join(message.split()).rstrip('.')}; {rule.advice}{way}")
    error.status, error.code, error.reason = response.status_code, said.code, said.reason
    error.is_own, error.url = said.is_own, public_url(response.url)
    if isinstance(error, TransientError):
        waits_s = [_retry_after_s(response), rule.wait_s]
        error.retry_after_s = max((one for one in waits_s if one is not None), default=None)
    return error


def _rule(response: requests.Response, said: _Said) -> ErrorRule:
    if said.code in _SKEWED:
        return ErrorRule(ConfigurationError, f"{_clocks(response)}; set the clock.")
    if said.code in _BY_CODE:
        return _BY_CODE[said.code]
    status = response.status_code
    if status == requests.codes.proxy_authentication_required:
        return ErrorRule(ConfigurationError, f"{proxy_login_required(response.url)}.")
    return _by_firewall(response, said) or _BY_STATUS.get(status) or _of_class(status)


def _by_firewall(response: requests.Response, said: _Said) -> ErrorRule | None:
    """Return the rule for a response that a firewall may have sent; None if the status decides."""
    status, sent = response.status_code, response.request.headers.get("Authorization", "")
    is_transfer = sent.startswith("Bearer")
    is_silent = is_transfer and not (said.code or said.reason)  # the service itself explains
    if status in _FIREWALL_STATUS and (is_silent or not said.is_own):
        return _BLOCKED
    if status == requests.codes.unprocessable and is_transfer:
        return _GONE  # how offline products are refused is not documented
    if status == requests.codes.unauthorized:  # in any form: a gateway may check tokens
        return _TOKEN if is_transfer else _KEYS if sent else _FOREIGN_LOGIN
    return _BLOCKED if status in _OF_ACCOUNTS and not sent else None


def _of_class(status: int) -> ErrorRule:
    is_final = requests.codes.bad_request <= status < requests.codes.server_error
    return _REFUSED if is_final else _AGAIN


def _said(text: str) -> _Said:
    """Parse any of the service's error bodies; other forms are not its own."""
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
    """Return the time of this machine and, if known, of the service."""
    here = f"this machine's clock says {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    there = _moment(response.headers.get("Date", ""))
    return f"{here}, the service's {there:%Y-%m-%d %H:%M:%S}" if there else here


def _words(text: str) -> str:
    """Return the title of an HTML page without the status, or else the whole text."""
    title = _TITLE.search(text)
    return " ".join((title[1] if title else text).split())


def _beginning(response: requests.Response, within_s: float) -> bytes:
    """Return the beginning of a body: limited bytes and seconds."""
    body, until = bytearray(), time.monotonic() + within_s
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        while len(body) < _BODY_BYTES and time.monotonic() < until:
            piece = response.raw.read1(_BODY_BYTES, decode_content=True)
            if not piece:
                break
            body += piece
    return bytes(body)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the seconds of a Retry-After header, in either of its forms."""
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
