"""Checksums: the algorithms ESA uses, and their notation in STAC (multihash)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
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

    def __post_init__(self) -> None:
        if self.algorithm not in _ALGORITHMS or not _is_digest(self.value, self.algorithm):
            message = f"{self.algorithm[:20]!r} {self.value[:80]!r} is not a checksum."
            raise ValueError(message)

    @classmethod
    def parse(cls, algorithm: str, value: str) -> Self | None:
        """Return the checksum, or None if it is unusable.

        The catalogue writes ``N/A``, blanks or zeros for "not available yet"; manifests mix
        upper and lower case, and several spellings of the algorithms.
        """
        name = algorithm.strip().upper().replace("_", "-")
        name = {"SHA256": "SHA-256", "SHA3256": "SHA3-256", "MD-5": "MD5"}.get(name, name)
        try:
            return cls(name, value.strip().lower())
        except ValueError:
            return None

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

    def multihash(self) -> str:
        """Return the value of STAC's ``file:checksum``."""
        return _MULTIHASH[self.algorithm] + self.value

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


def new_hash(algorithm: str) -> _Hash:
    """Return a fresh hash object of an algorithm, named as in `Checksum`."""
    return hashlib.new(_ALGORITHMS[algorithm], usedforsecurity=False)


def _is_digest(digest: str, algorithm: str) -> bool:
    expected_length = 2 * new_hash(algorithm).digest_size
    return (
        len(digest) == expected_length
        and set(digest) <= set("0123456789abcdef")
        and set(digest) != {"0"}
    )
