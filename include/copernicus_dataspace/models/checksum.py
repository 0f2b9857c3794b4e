"""Checksums: the algorithms ESA uses, and their notation in STAC (multihash)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from hashlib import _Hash

_ALGORITHMS: Final = {"MD5": "md5", "SHA3-256": "sha3_256", "SHA-256": "sha256"}
_MULTIHASH: Final = {"MD5": "d50110", "SHA3-256": "1620", "SHA-256": "1220"}
"""Prefix of code and length, https://github.com/multiformats/multicodec."""

_MULTIHASH_PREFIXES: Final = {
    **{prefix: algorithm for algorithm, prefix in _MULTIHASH.items()},
    "d50120": "SHA3-256",
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest in lower-case hex and its algorithm: MD5, SHA3-256 or SHA-256."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, algorithm: str, value: str) -> Self | None:
        """Return the checksum, or None if it is unusable.

        The catalogue writes ``N/A``, blanks or zeros for "not available yet"; manifests mix
        upper and lower case, and several spellings of the algorithms.
        """
        name = algorithm.strip().upper().replace("_", "-")
        name = {"SHA256": "SHA-256", "SHA3256": "SHA3-256", "MD-5": "MD5"}.get(name, name)
        digest = value.strip().lower()
        if name not in _ALGORITHMS or not _is_digest(digest, name):
            return None
        return cls(name, digest)

    @classmethod
    def from_json(cls, record: Mapping[str, str]) -> Self:
        """Return the checksum of a stored record.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: It is damaged.
        """
        checksum = cls.parse(record["algorithm"], record["value"])
        if checksum is None:
            message = f"{record['algorithm'][:20]!r} {record['value'][:80]!r} is not a checksum."
            raise ValueError(message)
        return checksum

    @classmethod
    def from_multihash(cls, value: object) -> Self | None:
        """Return the checksum of STAC's ``file:checksum``, or None if it is unusable.

        The service labels 32-byte digests of SHA3-256 as MD5 (``d50120``): the length decides.
        """
        text = value.strip().lower() if isinstance(value, str) else ""
        for prefix, algorithm in _MULTIHASH_PREFIXES.items():
            if text.startswith(prefix):
                return cls.parse(algorithm, text.removeprefix(prefix))
        return None

    def hasher(self) -> _Hash:
        """Return a fresh hash object of this algorithm."""
        return _new(self.algorithm)

    def multihash(self) -> str:
        """Return the value of STAC's ``file:checksum``."""
        return _MULTIHASH[self.algorithm] + self.value

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


def _new(algorithm: str) -> _Hash:
    return hashlib.new(_ALGORITHMS[algorithm], usedforsecurity=False)


def _is_digest(digest: str, algorithm: str) -> bool:
    expected_length = 2 * _new(algorithm).digest_size
    return (
        len(digest) == expected_length
        and set(digest) <= set("0123456789abcdef")
        and set(digest) != {"0"}
    )
