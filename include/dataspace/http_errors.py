"""Knows which error an HTTP answer of the service stands for; sends nothing."""

from __future__ import annotations

import contextlib
import email.utils
import json
import re
import time
from datetime import UTC
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3

from dataspace.errors import (
    AccessDeniedError,
    CredentialsError,
    DataSpaceError,
    ProductUnavailableError,
    QueryError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    TransientError,
)

_XML: Final = re.compile(r"<(Code|Message)>([^<]*)</")
"""The object store's envelope."""
_TITLE: Final = re.compile(r"<title>\s*(?:[0-9]{3}\s)?([^<]*)</title>", re.I)
_BUSY: Final = "SlowDown"
"""The object store's word for too many requests, whatever the status."""
_BAD_KEYS: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
_BODY_BYTES: Final = 4096
_BODY_S: Final = 5.0
_SHOWN_CHARS: Final = 300
_WRONG_AUDIENCE: Final = "DAT-ZIP-609"
"""A token of a kind of account that may not download: a new one cannot help.

DAT-ZIP-604, no token found, may also be said of one the service no longer knows.
"""


class TokenRefusedError(CredentialsError):
    """The token was refused; a newer one may be accepted."""


class LoginLimitedError(RateLimitedError):
    """The identity service answers 429; that says nothing about transfers."""


_GONE: Final = (ProductUnavailableError, "it may be offline, moved or withdrawn.")
_FORM: Final = (QueryError, "the request's form was refused.")
_AGAIN: Final = (ServiceUnavailableError, "try again.")
_KINDS: Final[dict[int, tuple[type[DataSpaceError], str]]] = {
    400: _FORM,
    403: (AccessDeniedError, "this account has no right to it."),
    404: _GONE,
    408: _AGAIN,
    409: _GONE,
    410: _GONE,
    413: _AGAIN,
    206: (ServiceUnavailableError, "only a part came, though all was asked for; try again."),
    422: _FORM,
}
"""Error and advice by status, for those that need no more than the status."""


def error_of(response: requests.Response, what: str) -> DataSpaceError:
    """Return the error an unsuccessful answer stands for; reads the beginning of its body."""
    status = response.status_code
    code, reason = _body(response)
    message = " ".join(f"{what}: HTTP {status} {code} {reason}".split()).rstrip(".")
    if status == requests.codes.unauthorized:
        return _unauthorized(message, code)
    if code in _BAD_KEYS:
        advice = "correct s3_access_key and s3_secret_key in the connection."
        return CredentialsError(f"{message}; {advice}")
    if status == requests.codes.too_many_requests or code == _BUSY:
        text = f"{message}; too many requests, or transfers, at once."
        return RateLimitedError(text, _retry_after_s(response))
    if status in _KINDS or status >= requests.codes.server_error:
        kind, advice = _KINDS.get(status, _AGAIN)
        error = kind(f"{message}; {advice}")
        if isinstance(error, TransientError):
            error.retry_after_s = _retry_after_s(response)
        return error
    return RefusedRequestError(f"{message}; the service refused the request.")


def shown(url: str) -> str:
    """Return a URL without account and query, fit for a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _unauthorized(message: str, code: str) -> CredentialsError:
    if code == _WRONG_AUDIENCE:
        return CredentialsError(
            f"{message}; the download service wants the token of an account with password."
        )
    return TokenRefusedError(f"{message}; the token was refused.")


def _body(response: requests.Response) -> tuple[str, str]:
    """Return code and text of any of the service's error envelopes."""
    text = _beginning(response).decode("utf-8", "replace")
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        named = dict(_XML.findall(text))
        return named.get("Code", ""), named.get("Message", _words(text))[:_SHOWN_CHARS]
    if not isinstance(body, dict):
        return "", str(body)[:_SHOWN_CHARS]
    detail = body.get("detail")
    if isinstance(detail, dict):
        body = {**detail, **body}
    reason = body.get("message") or body.get("error_description") or detail or body.get("error")
    trace = f" (trace-id {body['trace-id']})" if body.get("trace-id") else ""
    return str(body.get("code") or ""), f"{str(reason or '')[:_SHOWN_CHARS]}{trace}"


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
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:  # written as -0000
        until = until.replace(tzinfo=UTC)
    return max(0.0, until.timestamp() - time.time())
