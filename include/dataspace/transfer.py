"""Writes a stream of bytes to its place, verified; knows nothing of where the bytes come from."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dataspace.checksum import Checksum
from dataspace.errors import CorruptDownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

_QUEUED_CHUNKS: Final = 8
"""Chunks waiting for the hashing thread; bounds memory when hashing is slower than the wire."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a body must be.

    Attributes:
        size_bytes: None where the source does not say.
        checksum: None where the source holds no usable one.
        source: Who says so, for messages: ``the manifest``.
        trust_digest: A right digest with another size is accepted with a warning, because some
            genuine manifests list wrong sizes.
    """

    size_bytes: int | None
    checksum: Checksum | None
    source: str
    trust_digest: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written.

    Attributes:
        checksum: Of the written bytes, in the expected algorithm, MD5 where none was expected.
    """

    size_bytes: int
    checksum: Checksum


def save(
    chunks: Iterable[bytes],
    target: Path,
    expected: Expected,
    *,
    what: str,
    progress: Callable[[int], None] | None = None,
) -> Saved:
    """Write chunks beside the target, verify them, and rename; return what was written.

    The target's folder must exist. Safe to kill: the target is written by a rename only, and
    every call writes to a partial file of its own.

    Args:
        chunks: Pieces of the body in order.
        target: Final path; an existing file is replaced.
        expected: What the body must be.
        what: Name of the thing for messages.
        progress: Called with the length of each chunk in bytes, once it is written.

    Raises:
        CorruptDownloadError: Size or checksum differ; nothing stays behind.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        saved = _write(chunks, partial, expected, progress)
        _verify(saved, expected, what)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return saved


def _write(
    chunks: Iterable[bytes],
    partial: Path,
    expected: Expected,
    progress: Callable[[int], None] | None,
) -> Saved:
    algorithm = expected.checksum.algorithm if expected.checksum else "MD5"
    size_bytes = 0
    with partial.open("wb", buffering=0) as file, _hashing(algorithm) as hashing:
        for chunk in chunks:
            hashing.feed(chunk)
            file.write(chunk)
            size_bytes += len(chunk)
            if progress:
                progress(len(chunk))
    return Saved(size_bytes, Checksum(algorithm, hashing.hexdigest()))


def _verify(saved: Saved, expected: Expected, what: str) -> None:
    wanted = expected.checksum
    digest_is_right = wanted is not None and saved.checksum == wanted
    if expected.size_bytes is not None and saved.size_bytes != expected.size_bytes:
        sizes = f"{saved.size_bytes} bytes, {expected.source} says {expected.size_bytes}"
        if not (digest_is_right and expected.trust_digest):
            message = f"{what}: received {sizes}; the partial file was removed, try again."
            raise CorruptDownloadError(message)
        logger.warning("%s: %s; its checksum is right, so the size given is wrong.", what, sizes)
    if wanted is not None and not digest_is_right:
        message = (
            f"{what}: {saved.checksum.algorithm} is {saved.checksum.value}, {expected.source} "
            f"says {wanted.value}; the partial file was removed, try again."
        )
        raise CorruptDownloadError(message)


class _Hashing:
    """Hashes chunks in a thread of its own, so that hashing and writing overlap."""

    def __init__(self, algorithm: str) -> None:
        self._hash = Checksum(algorithm, "").hasher()
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_QUEUED_CHUNKS)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        self._chunks.put(chunk)

    def close(self) -> None:
        self._chunks.put(None)
        self._thread.join()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hash.update(chunk)


@contextlib.contextmanager
def _hashing(algorithm: str) -> Iterator[_Hashing]:
    hashing = _Hashing(algorithm)
    try:
        yield hashing
    finally:
        hashing.close()
