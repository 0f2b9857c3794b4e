"""Fetches files and zips of products, over whichever transport serves, until they are right.

Does not know which files are wanted, nor where they belong.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from copernicus_dataspace.download.resume import read_body
from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CorruptDownloadError,
    CredentialsError,
    DataSpaceError,
    ProductUnavailableError,
    QueryError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    UnsafeContentError,
)
from copernicus_dataspace.limits.retry import LONGEST_WAIT_S
from copernicus_dataspace.limits.transfer_slots import FEW_TRIES, TRIES
from copernicus_dataspace.models.manifest import MANIFEST, manifest_content, parse_manifest
from copernicus_dataspace.storage.verified_file import Expected, SavedFile, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from copernicus_dataspace.download.transports import Https, Transport
    from copernicus_dataspace.http.response import StreamedResponse
    from copernicus_dataspace.limits.retry import Retries
    from copernicus_dataspace.limits.transfer_slots import TransferSlots
    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OF_THIS_FILE: Final = (ProductUnavailableError, CorruptDownloadError)
"""Errors of one transport that say nothing about its other files."""
_GIVING_WAY: Final = (
    *_OF_THIS_FILE,
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    QueryError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
)
"""Errors of one transport that another may not have."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """One file of a product, or with no path its zip; of what size, if that is known."""

    product: Product
    path: str | None
    what: str
    size_bytes: int | None = None


class Downloads:
    """Fetches whole products and single files of them; may be used by several threads.

    A body is verified before it gets its name; one that is wrong is fetched again a few times. One
    that breaks off is continued where it broke if the server proves that it is still the same.
    Nothing is asked for with HEAD, which the service does not support.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        https: Https,
        slots: TransferSlots,
        retries: Retries,
        check: Callable[[], None] = lambda: None,
        listed_again: Callable[[Product], Product | None] = lambda _: None,
    ) -> None:
        """Use these transports.

        Args:
            transports: For single files, the preferred one first; the next one takes over where one
                fails.
            https: For zips, which no other transport has.
            slots: Says when the next transfer may begin.
            retries: What to do about errors that may pass.
            check: Called before each transfer; what it raises ends the transfer.
            listed_again: Asks the catalogue what it says of a product by now; None where it does
                not say.
        """
        self._check = check
        self.listed_again = listed_again
        self._transports = list(transports)
        self._lock = threading.Lock()
        self._closed: dict[str, RateLimitedError] = {}
        self._https = https
        self._slots = slots
        self._retries = retries

    def manifest(self, product: Product) -> tuple[SafeFile, ...]:
        """Return the files that the product's ``manifest.safe`` lists.

        Raises:
            DataSpaceError: It cannot be had, or is none.
        """
        what = f"{product.stem} {MANIFEST}"

        def read(chunks: Iterator[bytes]) -> tuple[SafeFile, ...]:
            try:
                return parse_manifest(manifest_content(chunks))
            except (CorruptDownloadError, UnsafeContentError) as error:
                raise type(error)(f"{what}: {error}") from error

        return self._through(_Wish(product, MANIFEST, what), read)

    def file(
        self,
        product: Product,
        file: SafeFile,
        target: Path,
        progress: Callable[[int], None],
        second_opinion: Callable[[], SafeFile | None],
    ) -> SavedFile:
        """Fetch one file of a product to the target, verified; return what was verified.

        Args:
            product: Whose file.
            file: What is expected of it.
            target: Final path.
            progress: Called with the bytes of each piece.
            second_opinion: Asked what to expect where the file turns out otherwise; None where the
                first opinion stands.

        Raises:
            CorruptDownloadError: It arrived wrong, several times.
            DataSpaceError: It cannot be had.
        """
        what = f"{product.stem} {file.path}"
        expected = Expected.of(file if file.checksum else second_opinion() or file, what)

        def other() -> Expected | None:
            opinion = second_opinion()
            return Expected.of(opinion, what) if opinion else None

        return self._through(
            _Wish(product, file.path, what, file.size_bytes),
            lambda chunks: save(
                chunks, target, expected, what=what, progress=progress, second_opinion=other
            ),
        )

    def archive(self, product: Product, consume: Callable[[Iterator[bytes]], T]) -> T:
        """Return what `consume` makes of the bytes of the product's zip, in one pass over them.

        It is called again, with all bytes from the first on, where it raises an error that may
        pass. It need not read to the end.

        Raises:
            DataSpaceError: The zip cannot be had, or `consume` raised it.
        """
        wish = _Wish(product, None, f"{product.stem}.zip", product.size_bytes)
        return self._read(self._https, wish, consume)

    def archive_url(self, product: Product) -> str:
        """Return the address of a product's zip; it needs a token and holds none."""
        return self._https.archive_url(product)

    def file_url(self, product: Product, path: str) -> str:
        """Return the address of one file of a product; it needs a token and holds none."""
        return self._https.file_url(product, path)

    def _through(self, wish: _Wish, consume: Callable[[Iterator[bytes]], T]) -> T:
        able = [one for one in self._transports if one.has(wish.product)]
        if not able:
            message = f"{wish.what}: the catalogue names no place of it in the object store."
            raise ProductUnavailableError(message)
        for transport in able[:-1]:
            try:
                return self._read(transport, wish, consume, FEW_TRIES)
            except _GIVING_WAY as error:
                self._give_way(transport, error)
        return self._read(able[-1], wish, consume)

    def _give_way(self, transport: Transport, error: DataSpaceError) -> None:
        if isinstance(error, _OF_THIS_FILE):
            logger.warning("%s Trying another way than %s.", error, transport.name)
            return
        with self._lock:
            is_first = transport in self._transports
            self._transports = [one for one in self._transports if one is not transport]
        if is_first:
            logger.warning("%s is not used any more by this task: %s", transport.name, error)

    def _read(
        self,
        transport: Transport,
        wish: _Wish,
        consume: Callable[[Iterator[bytes]], T],
        tries: int = TRIES,
    ) -> T:
        slot = functools.partial(self._slots.slot, wish.size_bytes, tries)

        def ask(headers: Mapping[str, str]) -> StreamedResponse:
            if "Range" not in headers:
                self._check()
            if transport.name in self._closed:
                raise self._closed[transport.name]
            try:
                return transport.open(wish.product, wish.path, wish.what, headers)
            except RateLimitedError as error:
                if (error.retry_after_s or 0.0) > LONGEST_WAIT_S:  # which holds for all threads
                    self._closed[transport.name] = error
                raise

        def attempt() -> T:
            body = read_body(ask, slot, wish.what, self._retries.on_retry)
            with contextlib.closing(body) as chunks:
                return consume(chunks)

        return self._retries.call(attempt)
