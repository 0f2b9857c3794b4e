"""Reads files of a product from its zip, verified against the manifest inside."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from copernicus_dataspace.download.zip_files.members import ZipMembers
from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CorruptProductError,
    UnsafeContentError,
)
from copernicus_dataspace.models.manifest import MANIFEST, manifest_content, parse_manifest
from copernicus_dataspace.storage import verified_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from copernicus_dataspace.models.manifest import SafeFile

_SHOWN: Final = 20


@contextlib.contextmanager
def open_zip(file: Path | BinaryIO) -> Iterator[ProductZip]:
    """Open a product zip; a file object must be seekable, and stays open.

    Raises:
        CorruptDownloadError: Not a zip, or truncated.
        UnsafeContentError: A path leaves its folder, a link, duplicate or overlapping members,
            several top folders, or too many or too large members.
        CorruptProductError: There is no usable manifest inside.
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(file.open("rb")) if isinstance(file, Path) else file
        what = file.name if isinstance(file, Path) else "The zip"
        yield ProductZip(ZipMembers(stream, what))


class ProductZip:
    """A product in a zip; members that the manifest does not list are ignored.

    Attributes:
        root: The single top folder, ``NAME.SAFE``.
        files: Files listed by the manifest inside.
    """

    root: str
    files: tuple[SafeFile, ...]

    def __init__(self, members: ZipMembers) -> None:
        self._members = members
        self.root = members.root
        self.files = self._manifest()

    def save(self, file: SafeFile, target: Path) -> verified_file.SavedFile:
        """Write one member to the target, verified.

        The target's folder must exist. A correct checksum outweighs a wrong size in the manifest.

        Raises:
            CorruptProductError: The member is missing, unreadable, or contradicts the manifest; the
                target is unchanged.
        """
        expected = _expected(file)
        try:
            return verified_file.save(self.chunks(file.path), target, expected, what=file.path)
        except CorruptDownloadError as error:
            raise self._corrupt(self._failure(file) or str(error)) from error

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the data of one member, unverified.

        Raises:
            CorruptDownloadError: It is missing or unreadable.
        """
        return self._members.chunks(path)

    def failures(self) -> tuple[str, ...]:
        """Return a line for each file that is missing, unreadable, or contradicts the manifest.

        Reads every file of the manifest.
        """
        lines = (self._failure(file) for file in self.files)
        return tuple(line for line in lines if line)

    def _manifest(self) -> tuple[SafeFile, ...]:
        try:
            return parse_manifest(manifest_content(self.chunks(MANIFEST)))
        except CorruptDownloadError as error:
            raise self._corrupt(str(error)) from error
        except UnsafeContentError as error:
            message = f"{self.root}: {error}"
            raise UnsafeContentError(message) from error

    def _corrupt(self, line: str) -> CorruptProductError:
        message = (
            f"{self.root} contradicts its manifest: {line}. "
            "If the zip's own checksum is correct, the product is corrupt at its source."
        )
        return CorruptProductError(message, (line,))

    def _failure(self, file: SafeFile) -> str | None:
        with verified_file.Digest(file.checksum.algorithm if file.checksum else "MD5") as digest:
            try:
                for chunk in self.chunks(file.path):
                    digest.write(chunk)
            except CorruptDownloadError as error:
                return str(error)
            difference = verified_file.difference(digest.saved(), _expected(file))
        return difference and f"{file.path}: {difference}"


def _expected(file: SafeFile) -> verified_file.Expected:
    return verified_file.Expected(file.size_bytes, file.checksum, "the manifest", trust_digest=True)


def check_members(path: Path, what: str) -> None:
    """Compare all members of a product zip with the manifest inside.

    Args:
        path: A zip for which the catalogue has no checksum.
        what: Its name in messages.

    Raises:
        CorruptDownloadError: Members contradict the manifest; names the first of them.
    """
    try:
        with open_zip(path) as zipped:
            failures = zipped.failures()
    except CorruptProductError as error:
        failures = error.members
    if failures:
        message = (
            f"{what}: the catalogue has no checksum, and {len(failures)} members "
            f"contradict the manifest: {'; '.join(failures[:_SHOWN])}; try again."
        )
        raise CorruptDownloadError(message)
