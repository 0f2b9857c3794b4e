"""Takes the wanted files out of a product's zip while it arrives, and keeps the zip if asked to.

One pass over the bytes; nothing but the wanted files, and the zip to be kept, is written.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from dataspace.archive import open_archive
from dataspace.errors import CorruptDownloadError, CorruptProductError, UnsafeContentError
from dataspace.transfer import Digest, Expected, PartialFile, Saved, save
from dataspace.zip_stream import stream_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dataspace.downloads import Downloads
    from dataspace.listing import Listing
    from dataspace.manifest import SafeFile
    from dataspace.shelf import Shelf
    from dataspace.zip_stream import StreamedMember

_SHOWN: Final = 20


def fetch_members(
    shelf: Shelf,
    files: Mapping[str, SafeFile],
    listing: Listing,
    downloads: Downloads,
    told: Callable[[int], None],
) -> dict[str, Saved]:
    """Stage files out of the product's zip, each verified; return what was saved, by path.

    Where the zip is not to be kept, nothing is read behind the last wanted file. What was saved
    before the connection broke is not written again.

    Args:
        shelf: The product's places.
        files: Wanted, by path.
        listing: Asked again about files that are not as expected.
        downloads: Where the zip comes from.
        told: Called with the bytes of each piece of the zip.

    Raises:
        CorruptProductError: The zip is what the catalogue says, and files in it are not what the
            product's list of files says; all of them are named.
        CorruptDownloadError: The zip arrived wrong, several times.
        DataSpaceError: It cannot be had.
    """
    taking = _Taking(shelf, files, listing, downloads)
    if files or taking.keeps_zip:
        with taking.room():
            downloads.archive(shelf.product, lambda chunks: taking.read(chunks, told))
    return taking.saved


class _Taking:
    """Takes files out of one product's zip, over as many passes as it needs."""

    def __init__(
        self,
        shelf: Shelf,
        files: Mapping[str, SafeFile],
        listing: Listing,
        downloads: Downloads,
    ) -> None:
        self.saved: dict[str, Saved] = {}
        zip_path = shelf.run.zip_path(shelf.product)
        self.keeps_zip = shelf.wanted.keep_archive and shelf.store.size(zip_path) is None
        self._zip_path = zip_path
        self._shelf = shelf
        self._files = dict(files)
        self._listing = listing
        self._what = f"{shelf.product.stem}.zip"
        self._lies: dict[str, str] = {}
        self._seemed_unsafe = False
        product = shelf.product
        self._expected = Expected(product.size_bytes, product.checksum, "the catalogue")
        self._downloads = downloads
        self._has_asked = False

    def room(self) -> AbstractContextManager[None]:
        """Keep room for what will be written, as far as known."""
        sizes = [self._shelf.room_bytes(file.size_bytes) for file in self._files.values()]
        kept_bytes = self._shelf.product.size_bytes or 0 if self.keeps_zip else 0
        store, folder = self._shelf.store, self._shelf.run.product_dir(self._shelf.product)
        return store.room(folder, kept_bytes, sizes)

    def read(self, chunks: Iterable[bytes], told: Callable[[int], None]) -> None:
        """Make one pass."""
        self._lies = {}
        with self._zip() as zipped:
            passing = _tee(chunks, zipped, told)
            try:
                for member in stream_members(passing, self._what):
                    self._meet(member)
                    if len(self.saved) == len(self._files) and not self.keeps_zip:
                        return
            except (CorruptDownloadError, UnsafeContentError) as error:
                for _ in passing:
                    pass
                self._read_standing(zipped, error)
            self._judge(zipped.saved())
            if isinstance(zipped, PartialFile):
                self._check_unknown(zipped.path)
                zipped.commit(self._listed_by_now)

    def _meet(self, member: StreamedMember) -> None:
        if member.path in self._files and member.path not in self.saved:
            self._take(member.path, member.chunks())

    def _read_standing(
        self, zipped: PartialFile | Digest, error: CorruptDownloadError | UnsafeContentError
    ) -> None:
        """Read a zip that is right, and yet cannot be read while it passes, from the disk.

        Raises:
            CorruptDownloadError: It is not right, or not on the disk; it will be after the next
                pass.
            UnsafeContentError: It is right, or looks the same a second time.
        """
        is_right, listed = self._is_listed(zipped.saved()), self._expected.checksum
        if isinstance(error, UnsafeContentError):
            raise self._unsafe(error, is_right=is_right) from error
        if not is_right and listed:
            raise error
        self.keeps_zip = True
        if not isinstance(zipped, PartialFile):
            raise error
        self._lies = {}
        try:
            with open_archive(zipped.path) as archive:
                for path in self._files.keys() - self.saved.keys():
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
            self._shelf.store.incoming(self._zip_path) as local,
            PartialFile(local, self._expected, self._what) as partial,
        ):
            yield partial

    def _take(self, path: str, chunks: Iterator[bytes]) -> None:
        file, what = self._files[path], f"{self._shelf.product.stem} {path}"
        try:
            expected = Expected.of(file, what)
            with self._shelf.incoming(path) as local:
                self.saved[path] = save(chunks, local, expected, what=what)
        except CorruptDownloadError as error:
            self._lies[path] = str(error)

    def _judge(self, zipped: Saved) -> None:
        """Decide, now that all of the zip has passed, who is wrong where something is."""
        absent = [path for path in self._files if path not in {*self.saved, *self._lies}]
        lines = (*self._lies.values(), *(f"{path}: missing from the zip" for path in absent))
        if not lines:
            return
        if self._learns_better():
            message = f"{self._what}: the list of its files was wrong; it is read again."
            raise CorruptDownloadError(message)
        about = f"{len(lines)} of {len(self._files)} files are wrong: {'; '.join(lines)}"
        if self._is_listed(zipped):
            message = f"{self._what} is what the catalogue says, yet {about}"
            raise CorruptProductError(message, lines)
        message = f"{self._what}: {about}; try again."
        raise CorruptDownloadError(message)

    def _is_listed(self, zipped: Saved) -> bool:
        """Tell whether a zip is what the catalogue says, or says by now."""
        if self._expected.checksum and zipped.checksum != self._expected.checksum:
            self._listed_by_now()
        return zipped.checksum == self._expected.checksum

    def _listed_by_now(self) -> Expected:
        """Return what the catalogue says of the zip, asked again but once: a digest may change."""
        if not self._has_asked:
            self._has_asked = True
            found = self._downloads.listed_again(self._shelf.product)
            if found and found.checksum:
                self._expected = Expected(found.size_bytes, found.checksum, "the catalogue")
        return self._expected

    def _learns_better(self) -> bool:
        """Ask again what the files that are not as expected should be; tell if that differs."""
        opinions = {path: self._listing.second_opinion(path) for path in self._lies}
        better = {
            path: opinion
            for path, opinion in opinions.items()
            if opinion and opinion.checksum != self._files[path].checksum
        }
        self._files |= better
        return bool(better)

    def _check_unknown(self, path: Path) -> None:
        """Check a zip of which the catalogue tells no checksum against the manifest inside."""
        if self._expected.checksum is not None:
            return
        try:
            with open_archive(path) as archive:
                failures = archive.failures()
        except CorruptProductError as error:
            failures = error.members
        if failures:
            message = (
                f"{self._what}: the catalogue gives no checksum, and {len(failures)} members "
                f"contradict the manifest: {'; '.join(failures[:_SHOWN])}; try again."
            )
            raise CorruptDownloadError(message)


def _tee(
    chunks: Iterable[bytes], sink: PartialFile | Digest, told: Callable[[int], None]
) -> Iterator[bytes]:
    for chunk in chunks:
        sink.write(chunk)
        told(len(chunk))
        yield chunk
