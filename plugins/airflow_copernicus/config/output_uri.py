"""Knows what place a URI means: a folder on a disk or in object storage."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, Self

from copernicus_dataspace.errors import ConfigurationError

_URI: Final = re.compile(
    r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://((?P<conn_id>[^@/]*)@)?(?P<path>[^@/]*(/.*)?)"
    r"|(?P<bare>/.*)"
)
_UNCLEAR: Final = re.compile(r"[\\\x00-\x1f\x7f]|::|\?versionId=|^\s|\s$")
_LOCAL: Final = ("", "file", "local")
_SAME: Final = {"": "file", "local": "file", "s3a": "s3", "gcs": "gs"}
HOW: Final = "write for example file:///data/sentinel2 or s3://connection_id@bucket/sentinel2"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on a disk or in object storage, as far as its URI tells.

    Attributes:
        protocol: Kind of storage.
        conn_id: Airflow Connection whose account reaches it; None for what the worker has itself.
        parts: Of its path; of a local one once all links are followed.
    """

    protocol: str
    conn_id: str | None
    parts: tuple[str, ...]

    @classmethod
    def of(cls, uri: str) -> Self:
        """Return the place of a URI; percent signs stand for themselves, as for fsspec.

        Raises:
            ConfigurationError: It is relative, has ``..``, or is written so that it may be read in
                more than one way.
        """
        match = _URI.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or _UNCLEAR.search(uri):
            raise _unusable(uri, "is no absolute path and no URI that has one meaning")
        protocol, path = (match["protocol"] or "").lower(), match["bare"] or match["path"]
        is_local = protocol in _LOCAL
        if is_local and (match["conn_id"] or not re.match(r"/(?!/)", path)):
            raise _unusable(uri, "is no absolute path: a local one begins with file:///")
        parts = path.rstrip("/").split("/")
        if not is_local and not all(parts):
            raise _unusable(uri, "names no folder of object storage")
        if {".", "..", "~"} & set(parts):
            raise _unusable(uri, "has a part ., .. or ~")
        if is_local:
            parts = os.path.realpath(path).strip("/").split("/")
        known = _SAME.get(protocol, protocol)
        return cls(known, match["conn_id"] or None, tuple(filter(None, parts)))

    def is_within(self, other: Place) -> bool:
        """Tell whether it is another place or lies below it, by whole parts of the path."""
        same_storage = (self.protocol, self.conn_id) == (other.protocol, other.conn_id)
        return same_storage and self.parts[: len(other.parts)] == other.parts


def _unusable(uri: str, fault: str) -> ConfigurationError:
    return ConfigurationError(f"{uri!r} {fault}; {HOW}.")
