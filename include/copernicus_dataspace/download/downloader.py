"""Downloads files and zips of products, with retries and fallback between transports."""

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
from copernicus_dataspace.limits.retry import LONGEST_WAIT_S, REPLACEABLE
from copernicus_dataspace.models.manifest import MANIFEST, manifest_content, parse_manifest
from copernicus_dataspace.storage.verified_file import Expected, SavedFile, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from copernicus_dataspace.download.transports import Https, Transport
    from copernicus_dataspace.http.response import StreamedResponse
    from copernicus_dataspace.limits.retry import Attempts, RetryLimits, RetryPolicy
    from copernicus_dataspace.limits.transfer_slots import TransferSlots
    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OF_THIS_FILE: Final = (ProductUnavailableError, CorruptDownloadError)
"""Errors that concern a single file, not the whole transport."""
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
"""Errors after which another transport is tried."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A file of a product, or without a path its zip, and its size, if known."""

    product: Product
    path: str | None
    what: str
    size_bytes: int | None = None


class Downloads:
    """Downloads whole products and single files; thread-safe.

    A corrupt body is downloaded again a few times. An interrupted body is resumed if the server
    confirms that it has not changed. HEAD is not used, as the service does not support it.

    Attributes:
        before_transfer: Called before each transfer; its exceptions end the transfer.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        https: Https,
        slots: TransferSlots,
        retries: RetryPolicy,
        *,
        replaceable: RetryLimits = REPLACEABLE,
        look_up: Callable[[Product], Product | None] = lambda _: None,
    ) -> None:
        """Use some transports.

        Args:
            transports: For single files, in order of preference; the others are fallbacks.
            https: For zips, which no other transport has.
            slots: Limits concurrent transfers.
            retries: Retry policy.
            replaceable: Retry limits of a transport that has a fallback.
            look_up: Looks a product up in the catalogue again; returns None on failure.
        """
        self.before_transfer: Callable[[], None] = lambda: None
        self.look_up = look_up
        self._transports = list(transports)
        self._lock = threading.Lock()
        self._closed: dict[str, RateLimitedError] = {}
        self._https = https
        self._slots = slots
        self._retries = retries
        self._replaceable = replaceable

    def manifest(self, product: Product) -> tuple[SafeFile, ...]:
        """Return the files that the product's ``manifest.safe`` lists.

        Raises:
            DataSpaceError: It is not available or invalid.
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
        """Download and verify one file of a product; return its size and checksum.

        Args:
            product: The product.
            file: The listed file.
            target: Final path.
            progress: Called with the number of bytes of each chunk.
            second_opinion: Called if the file is not as listed; returns another listing, or None
                to keep the first.

        Raises:
            CorruptDownloadError: It was corrupt several times.
            DataSpaceError: It is not available.
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

    def zip(self, product: Product, consume: Callable[[Iterator[bytes]], T]) -> T:
        """Stream the product's zip to `consume`; return its result.

        If `consume` raises a temporary error, it is called again with all bytes from the start. It
        need not read to the end.

        Raises:
            DataSpaceError: The zip is not available, or `consume` raised it.
        """
        wish = _Wish(product, None, f"{product.stem}.zip", product.size_bytes)
        return self._read(self._https, wish, consume, self._retries.attempts())

    def zip_url(self, product: Product) -> str:
        """Return the URL of a product's zip; it requires a token and contains none."""
        return self._https.zip_url(product)

    def file_url(self, product: Product, path: str) -> str:
        """Return the URL of a file of a product; it requires a token and contains none."""
        return self._https.file_url(product, path)

    def _through(self, wish: _Wish, consume: Callable[[Iterator[bytes]], T]) -> T:
        able = [one for one in self._transports if one.has(wish.product)]
        if not able:
            message = f"{wish.what}: the catalogue has no S3 path for it."
            raise ProductUnavailableError(message)
        attempts = self._retries.attempts()
        for transport in able[:-1]:
            attempts.limits = self._replaceable
            try:
                return self._read(transport, wish, consume, attempts)
            except _GIVING_WAY as error:
                self._give_way(transport, error)
        attempts.limits = self._retries.limits
        return self._read(able[-1], wish, consume, attempts)

    def _give_way(self, transport: Transport, error: DataSpaceError) -> None:
        if isinstance(error, _OF_THIS_FILE):
            logger.warning("%s Trying another transport than %s.", error, transport.name)
            return
        with self._lock:
            is_first = transport in self._transports
            self._transports = [one for one in self._transports if one is not transport]
        if is_first:
            logger.warning("%s is no longer used by this process: %s", transport.name, error)

    def _read(
        self,
        transport: Transport,
        wish: _Wish,
        consume: Callable[[Iterator[bytes]], T],
        attempts: Attempts,
    ) -> T:
        slot = functools.partial(self._slots.slot, wish.size_bytes)

        def ask(headers: Mapping[str, str]) -> StreamedResponse:
            if "Range" not in headers:
                self.before_transfer()
            if transport.name in self._closed:
                raise self._closed[transport.name]
            try:
                return transport.open(wish.product, wish.path, wish.what, headers, attempts)
            except RateLimitedError as error:
                if (error.retry_after_s or 0.0) > LONGEST_WAIT_S:  # applies to all threads
                    self._closed[transport.name] = error
                raise

        def read() -> T:
            body = read_body(ask, slot, wish.what, attempts)
            with contextlib.closing(body) as chunks:
                return consume(chunks)

        return attempts.call(read)
