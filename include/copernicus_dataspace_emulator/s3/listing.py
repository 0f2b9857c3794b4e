"""Bucket listings as XML, in version 2 or version 1 (used by eodag)."""

import base64
import binascii
import itertools
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from copernicus_dataspace_emulator.s3.bucket import NAME, Bucket, Object

_MOST: Final = 1000


class BadListingError(Exception):
    """Raised when an option of a listing has a wrong value."""


def listing(bucket: Bucket, options: Mapping[str, str]) -> str:
    """The elements of one page, in version 2 if ``list-type`` says so, else in version 1.

    Raises:
        BadListingError: An option has a wrong value.
    """
    prefix, delimiter = options.get("prefix", ""), options.get("delimiter", "")
    is_new = "list-type" in options
    most = _number(options.get("max-keys", str(_MOST)))
    encoded = options.get("encoding-type") == "url"
    after = _after(options, is_new=is_new)
    entries = (one for one in bucket.below(prefix, delimiter) if _key(one) > after)
    found = list(itertools.islice(entries, most + 1)) if most else []
    page, is_cut = found[:most], len(found) > most
    facts = {
        "Name": NAME,
        "Prefix": _text(prefix, encoded=encoded),
        "MaxKeys": str(most),
        "IsTruncated": str(is_cut).lower(),
    }
    if delimiter:
        facts["Delimiter"] = _text(delimiter, encoded=encoded)
    if encoded:
        facts["EncodingType"] = "url"
    last = _key(page[-1]) if is_cut else ""
    facts |= _place(options, last, len(page)) if is_new else _old_place(options, last)
    texts = [f"<{name}>{value}</{name}>" for name, value in facts.items()]
    return "".join([*texts, *(_entry(one, encoded=encoded) for one in page)])


def _after(options: Mapping[str, str], *, is_new: bool) -> str:
    """The key after which a page starts."""
    if not is_new:
        return options.get("marker", "")
    token = options.get("continuation-token")
    return options.get("start-after", "") if token is None else _key_of(token)


def _place(options: Mapping[str, str], last: str, count: int) -> dict[str, str]:
    """Position of a page of version 2, and of the next one if any."""
    facts = {"KeyCount": str(count)}
    if "continuation-token" in options:
        facts["ContinuationToken"] = escape(options["continuation-token"])
    if last:
        facts["NextContinuationToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    return facts


def _old_place(options: Mapping[str, str], last: str) -> dict[str, str]:
    """The same in version 1, which has a next marker only with a delimiter."""
    encoded = options.get("encoding-type") == "url"
    facts = {"Marker": _text(options.get("marker", ""), encoded=encoded)}
    if last and options.get("delimiter"):
        facts["NextMarker"] = _text(last, encoded=encoded)
    return facts


def _key(entry: Object | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def _entry(entry: Object | str, *, encoded: bool) -> str:
    key = _text(_key(entry), encoded=encoded)
    if isinstance(entry, str):
        return f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
    when = f"{entry.modified:%Y-%m-%dT%H:%M:%S}.000Z"
    return (
        f"<Contents><Key>{key}</Key><LastModified>{when}</LastModified>"
        f"<ETag>{escape(entry.etag)}</ETag><Size>{entry.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _text(text: str, *, encoded: bool) -> str:
    return quote(text, safe="/-_.~*") if encoded else escape(text)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadListingError("Provided max-keys not an integer or within integer range")
    return min(int(text), _MOST)


def _key_of(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise BadListingError("The continuation token provided is incorrect") from error
