"""Knows what of an answer is worth comparing; leaves out what depends on account or product."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

import requests
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

Facts = dict[str, str | frozenset[str]]
"""One line of the comparison a key; a set is compared member by member."""

Clean = Callable[[str], str]

_HEADERS: Final = (
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Range",
    "Content-Type",
    "Location",
    "Retry-After",
    "Transfer-Encoding",
    "WWW-Authenticate",
    "X-Amz-Bucket-Region",
)
_GIVEN_OR_NOT: Final = ("Content-Length", "ETag", "Last-Modified")
"""Their values are the product's own."""

_PATTERNS: Final = (
    (re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*"), "<token>"),
    (re.compile(r"[\w.+-]+(?:@|%40)[\w-]+\.[\w.-]+"), "<e-mail>"),
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "<id>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
)


def cleaned(text: str, replacements: Mapping[str, str]) -> str:
    """Return a text with the given pieces replaced, and without tokens, e-mails and ids.

    Args:
        text: Anything that may be shown.
        replacements: What stands for what, written plainly or percent-encoded.
    """
    for piece in sorted(filter(None, replacements), key=len, reverse=True):
        for form in (piece, quote(piece, safe=""), quote_plus(piece)):
            text = text.replace(form, replacements[piece])
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def answer_facts(response: requests.Response, clean: Clean) -> Facts:
    """Return status, interesting headers, and the body's shape and words."""
    facts: Facts = {"status": str(response.status_code)}
    for name in _GIVEN_OR_NOT:
        if name in response.headers:
            facts[name] = "given"
    for name in _HEADERS:
        if name in response.headers:
            facts[name] = clean(response.headers[name])
    limits = frozenset(name.lower() for name in response.headers if "ratelimit" in name.lower())
    return {**facts, **({"rate headers": limits} if limits else {}), **_body(response, clean)}


def document(response: requests.Response) -> Any:
    """Return the JSON of a body, None where it is none."""
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _body(response: requests.Response, clean: Clean) -> Facts:
    body = document(response)
    if isinstance(body, dict | list):
        kind = "JSON object" if isinstance(body, dict) else "JSON list"
        facts: Facts = {"body": kind, "keys": frozenset(_keys(body))}
        words = zip(("context", "code", "message"), _words(body), strict=True)
        return facts | {name: clean(text) for name, text in words if text}
    beginning = response.content[:200].lstrip().lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        return {"body": "HTML page"}
    if "xml" in response.headers.get("Content-Type", ""):
        return _xml(response, clean)
    return {"body": "other" if beginning else "empty"}


def _xml(response: requests.Response, clean: Clean) -> Facts:
    """Return the names in an answer of the object store, and what its error says."""
    try:
        root = ElementTree.fromstring(response.content)
    except (ElementTree.ParseError, DefusedXmlException):
        return {"body": "XML that cannot be read"}
    tags = {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in root.iter()}
    facts: Facts = {"body": "XML", "keys": frozenset(tags)}
    words = {"code": tags.get("Code"), "message": tags.get("Message")}
    return facts | {name: clean(text) for name, text in words.items() if text}


def _keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every key, lists written as ``name[]``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from _keys(inner, below)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, f"{path}[]")


def _words(body: Any) -> tuple[str, str, str]:
    """Return a list's context, and code and message of any error envelope; empty if missing."""
    if not isinstance(body, dict):
        return "", "", ""
    detail = body.get("detail")
    if isinstance(detail, list):
        complaints = (
            f"{one.get('type')} at {'/'.join(map(str, one.get('loc', ())))}: {one.get('msg')}"
            for one in detail
            if isinstance(one, dict)
        )
        return "", "", "; ".join(complaints)
    inner = detail if isinstance(detail, dict) else {"message": detail}
    code = body.get("code") or inner.get("code") or body.get("error")
    message = body.get("message") or body.get("error_description") or inner.get("message")
    return str(body.get("@odata.context", "")), str(code or ""), str(message or "")
