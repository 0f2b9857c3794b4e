"""A page of a bucket's listing, version 2, as XML."""

import base64
import binascii
import itertools
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from dataspace_emulator.s3_bucket import NAME, Bucket, Object

_MOST: Final = 1000


class BadListingError(Exception):
    """Raised when an option of a listing has a wrong value."""


def listing(bucket: Bucket, options: Mapping[str, str]) -> str:
    """The elements of one page.

    Raises:
        BadListingError: An option has a wrong value.
    """
    prefix, delimiter = options.get("prefix", ""), options.get("delimiter", "")
    token = options.get("continuation-token")
    after = options.get("start-after", "") if token is None else _key_of(token)
    most = _number(options.get("max-keys", str(_MOST)))
    encoded = options.get("encoding-type") == "url"
    entries = (one for one in bucket.below(prefix, delimiter) if _key(one) > after)
    found = list(itertools.islice(entries, most + 1)) if most else []
    page = found[:most]
    facts = {
        "Name": NAME,
        "Prefix": _text(prefix, encoded=encoded),
        "KeyCount": str(len(page)),
        "MaxKeys": str(most),
        "IsTruncated": str(len(found) > most).lower(),
    }
    if delimiter:
        facts["Delimiter"] = _text(delimiter, encoded=encoded)
    if encoded:
        facts["EncodingType"] = "url"
    if token is not None:
        facts["ContinuationToken"] = escape(token)
    if len(found) > most:
        facts["NextContinuationToken"] = base64.urlsafe_b64encode(_key(page[-1]).encode()).decode()
    texts = [f"<{name}>{value}</{name}>" for name, value in facts.items()]
    return "".join([*texts, *(_entry(one, encoded=encoded) for one in page)])


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
