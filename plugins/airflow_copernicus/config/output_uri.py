"""Output URIs: folders on a disk or in object storage, compared by location."""

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
_AMBIGUOUS: Final = re.compile(r"[\\\x00-\x1f\x7f]|::|\?versionId=|^\s|\s$")
_LOCAL: Final = ("", "file", "local")
_ALIASES: Final = {"": "file", "local": "file", "s3a": "s3", "gcs": "gs"}
HINT: Final = "write, for example, file:///data/sentinel2 or s3://connection_id@bucket/sentinel2"


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a folder on a disk or in object storage.

    Attributes:
        protocol: Storage protocol, such as ``file`` or ``s3``.
        conn_id: Airflow Connection with the credentials; None for those of the worker.
        parts: Parts of the path, with symbolic links of local paths resolved.
    """

    protocol: str
    conn_id: str | None
    parts: tuple[str, ...]

    @classmethod
    def of(cls, uri: str) -> Self:
        """Parse a URI; percent encoding is not decoded, as in fsspec.

        Raises:
            ConfigurationError: It is relative, has ``..``, or is ambiguous.
        """
        match = _URI.fullmatch(uri) if isinstance(uri, str) else None
        if match is None or _AMBIGUOUS.search(uri):
            raise _invalid(uri, "is not an absolute path or an unambiguous URI")
        protocol, path = (match["protocol"] or "").lower(), match["bare"] or match["path"]
        is_local = protocol in _LOCAL
        if is_local and (match["conn_id"] or not re.match(r"/(?!/)", path)):
            raise _invalid(uri, "is not an absolute path: a local URI begins with file:///")
        parts = path.rstrip("/").split("/")
        if not is_local and not all(parts):
            raise _invalid(uri, "names no bucket or has an empty part")
        if {".", "..", "~"} & set(parts):
            raise _invalid(uri, "has a part ., .. or ~")
        if is_local:
            parts = os.path.realpath(path).strip("/").split("/")
        known = _ALIASES.get(protocol, protocol)
        return cls(known, match["conn_id"] or None, tuple(filter(None, parts)))

    def is_within(self, other: Place) -> bool:
        """Return whether this is the other folder or lies below it."""
        same_storage = (self.protocol, self.conn_id) == (other.protocol, other.conn_id)
        return same_storage and self.parts[: len(other.parts)] == other.parts


def _invalid(uri: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{uri!r} {reason}; {HINT}.")
