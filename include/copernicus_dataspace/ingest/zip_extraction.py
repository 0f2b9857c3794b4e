"""Takes the wanted files out of a product's zip while it arrives, and keeps the zip if asked to.

One pass over the bytes; nothing but the wanted files, and the zip to be kept, is written.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.product_zip import check_members, open_archive
from copernicus_dataspace.download.zip_files.stream import stream_members
from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CorruptProductError,
    UnsafeContentError,
)
from copernicus_dataspace.models.bands import is_meant
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
    from contextlib import AbstractContextManager

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
    told: Callable[[int], None],
) -> dict[str, SavedFile]:
    """Stage files out of the product's zip, each verified; return what was saved, by path.

    Where the zip is not to be kept, nothing is read behind the last wanted file. What was saved
    before the connection broke is not written again. A file that is not as listed is compared with
    the manifest inside the zip, which must be what the catalogue says.

    Args:
        job: The product's places.
        files: Wanted, by path. None where no list could be had: the manifest inside serves as one,
            and all of the zip is read and compared with the catalogue.
        listing: Told what the manifest inside says, where that serves.
        downloads: Where the zip comes from.
        told: Called with the bytes of each piece of the zip.

    Raises:
        CorruptProductError: The zip is what the catalogue says, and files in it are not what the
            product's list of files says, all of which are named; or it holds no list.
        BandError: By the manifest inside, the product holds nothing of a wanted band or pattern.
        CorruptDownloadError: The zip arrived wrong several times, or is another than is listed.
        DataSpaceError: It cannot be had.
    """
    taking = _Taking(job, files, listing, downloads)
    if files is None or files or taking.keeps_zip:
        with taking.room():
            downloads.archive(job.product, lambda chunks: taking.read(chunks, told))
    return taking.saved


class _Taking:
    """Takes files out of one product's zip, over as many passes as it needs."""

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
        self._standing = set() if self._is_listed else job.standing()
        self._listing = listing
        self._what = f"{product.stem}.zip"
        self._manifest = b""
        self._doubtful: set[str] = set()
        self._lies: dict[str, str] = {}
        self._seemed_unsafe = False
        self._downloads = downloads
        self._has_asked = False

    def room(self) -> AbstractContextManager[None]:
        """Keep room for what will be written, as far as known."""
        sizes = [self._job.room_bytes(file.size_bytes) for file in self._files.values()]
        kept_bytes = self._job.product.size_bytes or 0 if self.keeps_zip else 0
        store, folder = self._job.store, self._job.run.product_dir(self._job.product)
        return store.room(folder, kept_bytes, sizes)

    def read(self, chunks: Iterable[bytes], told: Callable[[int], None]) -> None:
        """Make one pass."""
        self._manifest, self._doubtful, self._lies = b"", set(), {}
        with self._zip() as zipped:
            passing = _tee(chunks, zipped, told)
            try:
                for member in stream_members(passing, self._what):
                    self._meet(member)
                    if self._has_all() and not self.keeps_zip:
                        return
            except (CorruptDownloadError, UnsafeContentError) as error:
                for _ in passing:
                    pass
                self._read_standing(zipped, error)
            self._judge(zipped.saved())
            if isinstance(zipped, PartialFile):
                if self._expected.checksum is None:
                    check_members(zipped.path, self._what)
                zipped.commit(self._listed_by_now)

    def _has_all(self) -> bool:
        return self._is_listed and len(self.saved) == len(self._files)

    def _meet(self, member: StreamedMember) -> None:
        if member.path == MANIFEST:
            self._manifest = manifest_content(member.chunks())
        elif self._is_wanted(member.path):
            self._take(member.path, member.chunks())

    def _is_wanted(self, path: str) -> bool:
        if path in self.saved or path in self._standing:
            return False
        if self._is_listed:
            return path in self._files
        return is_meant(path, self._job.wanted.bands, self._job.product.product_type)

    def _read_standing(
        self, zipped: PartialFile | Digest, error: CorruptDownloadError | UnsafeContentError
    ) -> None:
        """Read a zip that is right, and yet cannot be read while it passes, from the disk.

        Raises:
            CorruptDownloadError: It is not right, or not on the disk; it will be after the next
                pass.
            UnsafeContentError: It is right, or looks the same a second time.
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
            with open_archive(zipped.path) as archive:
                self._manifest = manifest_content(archive.chunks(MANIFEST))
                paths = self._files or [file.path for file in archive.files]
                for path in filter(self._is_wanted, paths):
                    self._take(path, archive.chunks(path))
        except CorruptProductError as found:
            if listed:
                raise
            raise CorruptDownloadError(f"{found} It may have arrived wrong; try again.") from found

    def _unsafe(self, error: UnsafeContentError, *, is_right: bool) -> Exception:
        """Return what to raise: a name may leave its folder because a bit of it was lost."""
        if is_right or self._seemed_unsafe:
            return error
        self._seemed_unsafe = True
        return CorruptDownloadError(f"{error} It may have arrived wrong; it is fetched again.")

    @contextlib.contextmanager
    def _zip(self) -> Iterator[PartialFile | Digest]:
        """Give what takes the bytes of the zip: a file where it is to be kept."""
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
        """Stage a member; one that is not as listed, or of which no list is known, is doubtful."""
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
        """Decide, now that all of the zip has passed, who is wrong where something is."""
        if self._doubtful or not self._is_listed:
            if not self._is_right(zipped):
                verify(zipped, self._expected, self._what)
            self._settle(zipped)
        absent = [path for path in self._files if path not in {*self.saved, *self._lies}]
        lines = (*self._lies.values(), *(f"{path}: missing from the zip" for path in absent))
        if lines:
            about = f"{len(lines)} of {len(self._files)} files are wrong: {'; '.join(lines)}"
            raise self._refused(zipped, about, lines)

    def _settle(self, zipped: SavedFile) -> None:
        """Compare what is doubtful with the manifest inside."""
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
        """Return what the manifest inside lists; nothing where it is unusable and not needed."""
        try:
            return parse_manifest(self._manifest)
        except CorruptDownloadError as error:
            if self._is_listed:
                return ()
            line = f"{MANIFEST}: {error}"
            raise self._refused(
                zipped, f"it holds no usable list of files: {line}", (line,)
            ) from error
        except UnsafeContentError as error:
            message = f"{self._what}: {error}"
            raise UnsafeContentError(message) from error

    def _refused(self, zipped: SavedFile, about: str, lines: tuple[str, ...]) -> Exception:
        if self._is_right(zipped):
            message = f"{self._what} is what the catalogue says, yet {about}"
            return CorruptProductError(message, lines)
        return CorruptDownloadError(f"{self._what}: {about}; try again.")

    def _is_right(self, zipped: SavedFile) -> bool:
        """Tell whether a zip is what the catalogue says, or says by now."""
        if self._expected.checksum and zipped.checksum != self._expected.checksum:
            self._listed_by_now()
        return zipped.checksum == self._expected.checksum

    def _listed_by_now(self) -> Expected:
        """Return what the catalogue says of the zip, asked again but once: a digest may change."""
        if not self._has_asked:
            self._has_asked = True
            found = self._downloads.listed_again(self._job.product)
            if found and found.checksum:
                self._expected = Expected(found.size_bytes, found.checksum, "the catalogue")
        return self._expected

    def _name(self, path: str) -> str:
        return f"{self._job.product.stem} {path}"


def _tee(
    chunks: Iterable[bytes], sink: PartialFile | Digest, told: Callable[[int], None]
) -> Iterator[bytes]:
    for chunk in chunks:
        sink.write(chunk)
        told(len(chunk))
        yield chunk
