"""Extracts the wanted files from a product's zip while it arrives; optionally keeps the zip.

One pass over the bytes; only the wanted files, and the zip if it is kept, are written.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.product_zip import check_members, open_zip
from copernicus_dataspace.download.zip_files.stream import stream_members
from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CorruptProductError,
    UnsafeContentError,
)
from copernicus_dataspace.models.bands import is_selected
from copernicus_dataspace.models.manifest import MANIFEST, manifest_content, parse_manifest
from copernicus_dataspace.storage.verified_file import (
    Digest,
    Expected,
    PartialFile,
    SavedFile,
    save,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from copernicus_dataspace.download.downloader import Downloads
    from copernicus_dataspace.download.file_list import Listing
    from copernicus_dataspace.download.zip_files.stream import StreamedMember
    from copernicus_dataspace.ingest.product_job import ProductJob
    from copernicus_dataspace.models.manifest import SafeFile

_ANYTHING: Final = Expected(None, None, "nothing yet")


def fetch_members(
    job: ProductJob,
    files: Mapping[str, SafeFile] | None,
    listing: Listing,
    downloads: Downloads,
    on_bytes: Callable[[int], None],
) -> dict[str, SavedFile]:
    """Stage files from the product's zip, each verified; return the saved files by path.

    If the zip is not kept, reading stops after the last wanted file. Files saved before a
    connection was lost are not written again. A file that is not as listed is compared with the
    manifest inside the zip; the zip itself must then match the catalogue.

    Args:
        job: The product.
        files: Wanted files by path. None if they could not be listed: the manifest inside is used,
            and the whole zip is read and compared with the catalogue.
        listing: Updated from the manifest inside, if that is used.
        downloads: Downloads the zip.
        on_bytes: Called with the number of bytes of each chunk of the zip.

    Raises:
        CorruptProductError: The zip matches the catalogue, but files in it do not match the
            product's list of files (all are named), or there is no list.
        BandError: The product has no file for a wanted band or pattern.
        CorruptDownloadError: The zip was corrupt several times, or does not match the catalogue.
        DataSpaceError: The zip is not available.
    """
    extraction = _Extraction(job, files, listing, downloads)
    if files is None or files or extraction.keeps_zip:
        extraction.check_space()
        downloads.zip(job.product, lambda chunks: extraction.read(chunks, on_bytes))
    return extraction.saved


class _Extraction:
    """Extracts files from one product's zip, in one or more passes."""

    def __init__(
        self,
        job: ProductJob,
        files: Mapping[str, SafeFile] | None,
        listing: Listing,
        downloads: Downloads,
    ) -> None:
        self.saved: dict[str, SavedFile] = {}
        product, zip_path = job.product, job.run.zip_path(job.product)
        self.keeps_zip = job.wanted.keep_archive and job.store.size(zip_path) is None
        self._zip_path = zip_path
        self._expected = Expected(product.size_bytes, product.checksum, "the catalogue")
        self._job = job
        self._files = dict(files or {})
        self._is_listed = files is not None
        self._existing = set() if self._is_listed else job.existing()
        self._listing = listing
        self._what = f"{product.stem}.zip"
        self._manifest = b""
        self._doubtful: set[str] = set()
        self._lies: dict[str, str] = {}
        self._seemed_unsafe = False
        self._downloads = downloads
        self._has_asked = False

    def check_space(self) -> None:
        """Refuse files that the disk has no space for, as far as their sizes are known."""
        sizes = [self._job.room_bytes(file.size_bytes) for file in self._files.values()]
        kept_bytes = self._job.product.size_bytes or 0 if self.keeps_zip else 0
        store, folder = self._job.store, self._job.run.product_dir(self._job.product)
        store.check_space(folder, kept_bytes, sizes)

    def read(self, chunks: Iterable[bytes], on_bytes: Callable[[int], None]) -> None:
        """Make one pass."""
        self._manifest, self._doubtful, self._lies = b"", set(), {}
        with self._zip() as zipped:
            passing = _tee(chunks, zipped, on_bytes)
            try:
                for member in stream_members(passing, self._what):
                    self._meet(member)
                    if self._has_all() and not self.keeps_zip:
                        return
            except (CorruptDownloadError, UnsafeContentError) as error:
                for _ in passing:
                    pass
                self._read_saved_zip(zipped, error)
            self._judge(zipped.saved())
            if isinstance(zipped, PartialFile):
                if self._expected.checksum is None:
                    check_members(zipped.path, self._what)
                zipped.commit(self._current_expectation)

    def _has_all(self) -> bool:
        return self._is_listed and len(self.saved) == len(self._files)

    def _meet(self, member: StreamedMember) -> None:
        if member.path == MANIFEST:
            self._manifest = manifest_content(member.chunks())
        elif self._is_wanted(member.path):
            self._take(member.path, member.chunks())

    def _is_wanted(self, path: str) -> bool:
        if path in self.saved or path in self._existing:
            return False
        if self._is_listed:
            return path in self._files
        return is_selected(path, self._job.wanted.bands, self._job.product.product_type)

    def _read_saved_zip(
        self, zipped: PartialFile | Digest, error: CorruptDownloadError | UnsafeContentError
    ) -> None:
        """Read a correct zip that cannot be streamed from the disk.

        Raises:
            CorruptDownloadError: It is corrupt, or not on the disk; the next pass will save it.
            UnsafeContentError: It is correct, or unsafe for the second time.
        """
        is_right, listed = self._is_right(zipped.saved()), self._expected.checksum
        if isinstance(error, UnsafeContentError):
            raise self._unsafe(error, is_right=is_right) from error
        if not is_right and listed:
            raise error
        self.keeps_zip = True
        if not isinstance(zipped, PartialFile):
            raise error
        self._doubtful, self._lies = set(), {}
        try:
            with open_zip(zipped.path) as opened:
                self._manifest = manifest_content(opened.chunks(MANIFEST))
                paths = self._files or [file.path for file in opened.files]
                for path in filter(self._is_wanted, paths):
                    self._take(path, opened.chunks(path))
        except CorruptProductError as found:
            if listed:
                raise
            raise CorruptDownloadError(
                f"{found} The transfer may have been corrupt; try again."
            ) from found

    def _unsafe(self, error: UnsafeContentError, *, is_right: bool) -> Exception:
        """Return what to raise: an unsafe name may also be caused by a corrupt transfer."""
        if is_right or self._seemed_unsafe:
            return error
        self._seemed_unsafe = True
        return CorruptDownloadError(
            f"{error} The transfer may have been corrupt; it is downloaded again."
        )

    @contextlib.contextmanager
    def _zip(self) -> Iterator[PartialFile | Digest]:
        """Yield the destination of the zip's bytes: a file if it is kept, else a digest."""
        if not self.keeps_zip:
            with Digest() as digest:
                yield digest
            return
        with (
            self._job.store.incoming(self._zip_path) as local,
            PartialFile(local, self._expected, self._what) as partial,
        ):
            yield partial

    def _take(self, path: str, chunks: Iterator[bytes]) -> None:
        """Stage a member; if it is not as listed, or nothing is listed, it is doubtful."""
        file, what = self._files.get(path), self._name(path)
        expected = Expected.of(file, what) if file and file.checksum else _ANYTHING
        try:
            with self._job.incoming(path) as local:
                saved = save(chunks, local, expected, what=what, second_opinion=lambda: _ANYTHING)
        except CorruptDownloadError as error:
            self._lies[path] = str(error)
            return
        if file and saved.checksum == file.checksum:
            self.saved[path] = saved
        else:
            self._doubtful.add(path)

    def _judge(self, zipped: SavedFile) -> None:
        """After the whole zip was read, decide whether zip, list or files are wrong."""
        if self._doubtful or not self._is_listed:
            if not self._is_right(zipped):
                verify(zipped, self._expected, self._what)
            self._settle(zipped)
        absent = [path for path in self._files if path not in {*self.saved, *self._lies}]
        lines = (*self._lies.values(), *(f"{path}: missing in the zip" for path in absent))
        if lines:
            about = f"{len(lines)} of {len(self._files)} files are corrupt: {'; '.join(lines)}"
            raise self._refused(zipped, about, lines)

    def _settle(self, zipped: SavedFile) -> None:
        """Compare doubtful files with the manifest inside."""
        inside = self._inside(zipped)
        if not self._is_listed:
            self._listing.learn(inside)
            selection = self._listing.select(self._job.wanted.bands)
            self._files, self._is_listed = self._job.missing(selection), True
        opinions = {file.path: file for file in inside if file.checksum}
        for path in sorted(self._doubtful & self._files.keys()):
            self._compare(opinions.get(path, self._files[path]))
        for path in self._doubtful - self.saved.keys():
            self._job.unstage(path)

    def _compare(self, file: SafeFile) -> None:
        what = self._name(file.path)
        try:
            expected, saved = Expected.of(file, what), self._job.staged(file)
            if saved:
                verify(saved, expected, what)
                self.saved[file.path] = saved
        except CorruptDownloadError as error:
            self._lies[file.path] = str(error)

    def _inside(self, zipped: SavedFile) -> tuple[SafeFile, ...]:
        """Return the files that the manifest inside lists; empty if unusable and not needed."""
        try:
            return parse_manifest(self._manifest)
        except CorruptDownloadError as error:
            if self._is_listed:
                return ()
            line = f"{MANIFEST}: {error}"
            raise self._refused(
                zipped, f"it has no usable list of files: {line}", (line,)
            ) from error
        except UnsafeContentError as error:
            message = f"{self._what}: {error}"
            raise UnsafeContentError(message) from error

    def _refused(self, zipped: SavedFile, about: str, lines: tuple[str, ...]) -> Exception:
        if self._is_right(zipped):
            message = f"{self._what} matches the catalogue, but {about}"
            return CorruptProductError(message, lines)
        return CorruptDownloadError(f"{self._what}: {about}; try again.")

    def _is_right(self, zipped: SavedFile) -> bool:
        """Tell whether a zip matches the catalogue, queried again if it does not."""
        if self._expected.checksum and zipped.checksum != self._expected.checksum:
            self._current_expectation()
        return zipped.checksum == self._expected.checksum

    def _current_expectation(self) -> Expected:
        """Return the catalogue's current size and checksum of the zip; queried again only once."""
        if not self._has_asked:
            self._has_asked = True
            found = self._downloads.look_up(self._job.product)
            if found and found.checksum:
                self._expected = Expected(found.size_bytes, found.checksum, "the catalogue")
        return self._expected

    def _name(self, path: str) -> str:
        return f"{self._job.product.stem} {path}"


def _tee(
    chunks: Iterable[bytes], sink: PartialFile | Digest, on_bytes: Callable[[int], None]
) -> Iterator[bytes]:
    for chunk in chunks:
        sink.write(chunk)
        on_bytes(len(chunk))
        yield chunk
