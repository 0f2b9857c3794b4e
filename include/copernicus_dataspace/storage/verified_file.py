"""Writes a stream of bytes to a file atomically, after verifying size and checksum."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from copernicus_dataspace.errors import CorruptDownloadError
from copernicus_dataspace.models.checksum import Checksum, new_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from copernicus_dataspace.models.manifest import SafeFile

logger = logging.getLogger(__name__)

_QUEUED_CHUNKS: Final = 8
"""Chunks waiting for the hashing thread; limits memory if hashing is slower than the transfer."""
_CHUNK_BYTES: Final = 1 << 20
PARTIAL_SUFFIX: Final = ".part"


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected size and checksum of a body.

    Attributes:
        size_bytes: None if unknown.
        checksum: None if unknown.
        source: Where they come from, for messages: ``the manifest``.
        trust_digest: Whether to accept a correct checksum with another size, with a warning: some
            real manifests list wrong sizes.
    """

    size_bytes: int | None
    checksum: Checksum | None
    source: str
    trust_digest: bool = False

    @classmethod
    def of(cls, file: SafeFile, what: str) -> Self:
        """Return the expectation of a listed file.

        Raises:
            CorruptDownloadError: There is no checksum, so the file cannot be verified.
        """
        if file.checksum is None:
            message = f"{what}: the product's list of files has no usable checksum for it."
            raise CorruptDownloadError(message)
        return cls(file.size_bytes, file.checksum, "its listing", trust_digest=True)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """Size and checksum of a written file.

    Attributes:
        checksum: In the expected algorithm, or MD5 if none was expected.
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
    second_opinion: Callable[[], Expected | None] | None = None,
) -> SavedFile:
    """Write chunks to a partial file, verify them, and rename; return size and checksum.

    The target's folder must exist. Safe to kill: the target is written by a rename only, and
    every call has its own partial file.

    Args:
        chunks: Chunks of the body in order.
        target: Final path; an existing file is replaced.
        expected: Expected size and checksum.
        what: Name of the file for messages.
        progress: Called with the length of each written chunk in bytes.
        second_opinion: Called if the body is not as expected; returns a new expectation or None.

    Raises:
        CorruptDownloadError: Size or checksum differ; the partial file was removed.
    """
    with PartialFile(target, expected, what) as partial:
        for chunk in chunks:
            partial.write(chunk)
            if progress:
                progress(len(chunk))
        return partial.commit(second_opinion)


class PartialFile:
    """A file that gets its final name in `commit`, once it is verified; for ``with``."""

    def __init__(self, target: Path, expected: Expected, what: str) -> None:
        """Create the partial file in the target's folder, which must exist; see `save`."""
        self.path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}{PARTIAL_SUFFIX}")
        self._target = target
        self._expected = expected
        self._what = what
        self._file = self.path.open("wb", buffering=0)
        self._digest = Digest(expected.checksum.algorithm if expected.checksum else "MD5")

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        written = self._file.write(chunk)
        while written < len(chunk):  # on a full disk, writes may be partial
            written += self._file.write(memoryview(chunk)[written:])
        self._digest.write(chunk)

    def saved(self) -> SavedFile:
        """Close the file; return its size and checksum."""
        self._file.close()
        return self._digest.saved()

    def commit(self, second_opinion: Callable[[], Expected | None] | None = None) -> SavedFile:
        """Verify and rename; see `save`."""
        saved = self.saved()
        fault = difference(saved, self._expected)
        opinion = second_opinion() if fault and second_opinion else None
        if opinion is not None:
            if opinion.checksum and opinion.checksum.algorithm != saved.checksum.algorithm:
                with self.path.open("rb") as file:
                    saved = saved_of(file, opinion.checksum)
            fault = difference(saved, opinion)
        if fault:
            message = f"{self._what}: {fault}; the partial file was removed, try again."
            raise CorruptDownloadError(message)
        _warn_of_wrong_size(saved, opinion or self._expected, self._what)
        self.path.replace(self._target)
        return saved

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._digest.close()
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def verify(saved: SavedFile, expected: Expected, what: str) -> None:
    """Compare size and checksum of a file with the expected ones.

    Args:
        saved: In the expected algorithm.
        expected: Expected size and checksum.
        what: Name of the file for messages.

    Raises:
        CorruptDownloadError: Size or checksum differ.
    """
    fault = difference(saved, expected)
    if fault:
        message = f"{what}: {fault}; try again."
        raise CorruptDownloadError(message)
    _warn_of_wrong_size(saved, expected, what)


def difference(saved: SavedFile, expected: Expected) -> str | None:
    """Return how a file differs from what is expected, as text; None if it does not."""
    wanted = expected.checksum
    if wanted is not None and saved.checksum != wanted:
        return (
            f"{saved.size_bytes} bytes with {saved.checksum}, {expected.source} says "
            f"{expected.size_bytes} bytes with {wanted}"
        )
    is_proven = wanted is not None and expected.trust_digest
    if expected.size_bytes in (None, saved.size_bytes) or is_proven:
        return None
    return f"received {saved.size_bytes} bytes, {expected.source} says {expected.size_bytes}"


def saved_of(stream: BinaryIO, like: Checksum) -> SavedFile:
    """Read a stream; return its size and checksum, in the algorithm of another checksum."""
    hasher, size_bytes = new_hash(like.algorithm), 0
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
        size_bytes += len(chunk)
    return SavedFile(size_bytes, Checksum(like.algorithm, hasher.hexdigest()))


def _warn_of_wrong_size(saved: SavedFile, expected: Expected, what: str) -> None:
    if expected.size_bytes not in (None, saved.size_bytes):
        logger.warning(
            "%s has %d bytes, %s says %d; the checksum is correct, so the listed size is wrong.",
            *(what, saved.size_bytes, expected.source, expected.size_bytes),
        )


class Digest:
    """Computes a checksum (default MD5) in a separate thread; for ``with``."""

    def __init__(self, algorithm: str = "MD5") -> None:
        """Start the thread."""
        self._algorithm = algorithm
        self._hash = new_hash(algorithm)
        self._size_bytes = 0
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_QUEUED_CHUNKS)
        self._thread: threading.Thread | None = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, chunk: bytes) -> None:
        """Add bytes; returns before they are hashed."""
        self._chunks.put(chunk)
        self._size_bytes += len(chunk)

    def saved(self) -> SavedFile:
        """End the thread; return size and checksum."""
        self.close()
        return SavedFile(self._size_bytes, Checksum(self._algorithm, self._hash.hexdigest()))

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hash.update(chunk)
