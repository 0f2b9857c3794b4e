"""Reads the bodies of successful responses, and aborts those that are too slow."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import requests
import urllib3

from copernicus_dataspace.errors import ServiceUnavailableError, StoppedError
from copernicus_dataspace.http.connection_errors import failure_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from copernicus_dataspace.transfer_statistics import TransferStatistics

_SMALL_BYTES: Final = 1 << 26
"""A full page of the catalogue has some 6 MB, a manifest 0.1 MB."""

_MOST_DIGITS: Final = 30


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of time and speed for every request.

    Attributes:
        connect_s: Timeout in seconds of a connection.
        answer_s: Timeout in seconds until the response begins, and between two chunks; catalogue
            queries may take long.
        error_body_s: Seconds in which the explanation of an error is read.
        least_bytes_per_s: Minimum speed of a body. An account beyond its monthly quota is throttled
            to a hundred times that.
        speed_over_s: Seconds over which the speed is averaged.
        chunk_bytes: Maximum size of a chunk.
    """

    connect_s: float = 10.0
    answer_s: float = 120.0
    error_body_s: float = 5.0
    least_bytes_per_s: float = 10_000
    speed_over_s: float = 30.0
    chunk_bytes: int = 1 << 20


class TooSlowError(ServiceUnavailableError):
    """A body arrives too slowly, or has stalled."""


class StreamedResponse:
    """A successful response whose body is not read yet; close it, or use it with ``with``."""

    def __init__(
        self,
        response: requests.Response,
        what: str,
        statistics: TransferStatistics,
        stopped: threading.Event,
        limits: HttpLimits,
    ) -> None:
        self._response = response
        self._what = what
        self._statistics = statistics
        self._stopped = stopped
        self._limits = limits

    @property
    def is_partial(self) -> bool:
        """Whether this is the requested part of a body (HTTP 206)."""
        return bool(self._response.status_code == requests.codes.partial_content)

    @property
    def validator(self) -> str | None:
        """ETag or Last-Modified, which identify this version of the body; None without either."""
        tag: str = self._response.headers.get("ETag", "")
        if tag and not tag.startswith("W/"):
            return tag
        modified: str | None = self._response.headers.get("Last-Modified")
        return modified

    @property
    def content_range(self) -> str | None:
        """Content-Range header: ``bytes 100-199/200``."""
        header: str | None = self._response.headers.get("Content-Range")
        return header

    @property
    def size_bytes(self) -> int | None:
        """Content-Length of the body; None if missing, or if the body is compressed."""
        text = self._response.headers.get("Content-Length", "")
        compressed = self._response.headers.get("Content-Encoding", "identity") != "identity"
        return int(text) if text.isdigit() and not compressed else None

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in chunks as they arrive.

        Raises:
            ServiceUnavailableError: The connection broke before the announced length.
            TooSlowError: The body is too slow or has stalled.
            StoppedError: The client was stopped.
        """
        window_s, window_bytes = 0.0, 0
        while True:
            began = time.monotonic()
            chunk = self._piece()
            seconds = time.monotonic() - began
            self._statistics.received(len(chunk), seconds)
            if not chunk:
                return
            yield chunk
            window_s, window_bytes = window_s + seconds, window_bytes + len(chunk)
            if window_s >= self._limits.speed_over_s:
                if window_bytes < self._limits.least_bytes_per_s * window_s:
                    raise self._too_slow(window_bytes, window_s)
                window_s, window_bytes = 0.0, 0

    def content(self) -> bytes:
        """Return the whole body; only for responses that should be small.

        Raises:
            ServiceUnavailableError: It is too large, or as in `chunks`.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > _SMALL_BYTES:
                message = f"{self._what}: the response has more than {_SMALL_BYTES} bytes."
                raise ServiceUnavailableError(message)
        return bytes(body)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            ServiceUnavailableError: It is not, for example because it was truncated.
        """
        body = self.content()
        try:
            value = json.loads(body, parse_int=_integer)
        except (ValueError, RecursionError) as error:
            message = f"{self._what}: the response is not JSON, it begins with {body[:80]!r}."
            raise ServiceUnavailableError(message) from error
        if not isinstance(value, dict):
            message = f"{self._what}: the response is JSON but not an object."
            raise ServiceUnavailableError(message)
        return value

    def close(self) -> None:
        """Return the connection to the pool, or close it if the body was not read to the end."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _piece(self) -> bytes:
        if self._stopped.is_set():
            raise StoppedError
        try:
            piece: bytes = self._response.raw.read1(self._limits.chunk_bytes, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if self._stopped.is_set():
                raise StoppedError from None
            if isinstance(error, urllib3.exceptions.ReadTimeoutError):
                message = f"{self._what}: the transfer has stalled; try again."
                raise TooSlowError(message) from None
            raise failure_of(error, self._what, self._response.url) from None
        return piece

    def _too_slow(self, size_bytes: int, seconds: float) -> TooSlowError:
        return TooSlowError(
            f"{self._what}: only {size_bytes} bytes received in {seconds:.0f} s, expected at least "
            f"{self._limits.least_bytes_per_s:.0f} per second; the transfer was aborted, try again."
        )


def _integer(text: str) -> float:
    """Return an integer, or a float if it has so many digits that Python may refuse it."""
    return int(text) if len(text) <= _MOST_DIGITS else float(text)
