"""Reads the bodies of successful answers, and gives up on those that come too slowly."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, Self

import requests
import urllib3

from copernicus_dataspace.errors import ServiceUnavailableError, StoppedError
from copernicus_dataspace.http.connection_errors import failure_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from copernicus_dataspace.http.statistics import TransferStatistics

_CHUNK_BYTES: Final = 1 << 20
_SMALL_BYTES: Final = 1 << 26
"""A full page of the catalogue has some 6 MB, a manifest 0.1 MB."""

_MOST_DIGITS: Final = 30

_LEAST_BYTES_PER_S: Final = 10_000
"""An account beyond its monthly quota still gets a hundred times that."""
_SPEED_OVER_S: Final = 30.0
"""Seconds over which the speed is averaged before a body is given up as too slow."""


class TooSlowError(ServiceUnavailableError):
    """A body came too slowly, or not at all any more."""


class StreamedResponse:
    """A successful answer whose body is still to be read; close it, or use it with ``with``."""

    def __init__(
        self,
        response: requests.Response,
        what: str,
        statistics: TransferStatistics,
        stopped: threading.Event,
    ) -> None:
        self._response = response
        self._what = what
        self._statistics = statistics
        self._stopped = stopped

    @property
    def is_partial(self) -> bool:
        """Whether this is only the part of a body that was asked for (HTTP 206)."""
        return bool(self._response.status_code == requests.codes.partial_content)

    @property
    def validator(self) -> str | None:
        """What tells this body from a later one at the same address; None where nothing does."""
        tag: str = self._response.headers.get("ETag", "")
        if tag and not tag.startswith("W/"):
            return tag
        modified: str | None = self._response.headers.get("Last-Modified")
        return modified

    @property
    def content_range(self) -> str | None:
        """The header of a part: ``bytes 100-199/200``."""
        header: str | None = self._response.headers.get("Content-Range")
        return header

    @property
    def size_bytes(self) -> int | None:
        """Announced length of the body; None where it is not, or the body travels compressed."""
        text = self._response.headers.get("Content-Length", "")
        compressed = self._response.headers.get("Content-Encoding", "identity") != "identity"
        return int(text) if text.isdigit() and not compressed else None

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces, each as soon as it is there.

        Raises:
            ServiceUnavailableError: The connection broke before the announced length.
            TooSlowError: Nothing came for a while, or too little.
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
            if window_s >= _SPEED_OVER_S:
                if window_bytes < _LEAST_BYTES_PER_S * window_s:
                    raise self._too_slow(window_bytes, window_s)
                window_s, window_bytes = 0.0, 0

    def content(self) -> bytes:
        """Return the whole body; only for answers that should be small.

        Raises:
            ServiceUnavailableError: It is not small, or as of `chunks`.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > _SMALL_BYTES:
                message = f"{self._what}: the answer has more than {_SMALL_BYTES} bytes."
                raise ServiceUnavailableError(message)
        return bytes(body)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            ServiceUnavailableError: It is none, for example because it was cut.
        """
        body = self.content()
        try:
            value = json.loads(body, parse_int=_integer)
        except (ValueError, RecursionError) as error:
            message = f"{self._what}: the answer is not JSON, it begins {body[:80]!r}."
            raise ServiceUnavailableError(message) from error
        if not isinstance(value, dict):
            message = f"{self._what}: the answer is JSON but no object."
            raise ServiceUnavailableError(message)
        return value

    def close(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _piece(self) -> bytes:
        if self._stopped.is_set():
            raise StoppedError
        try:
            piece: bytes = self._response.raw.read1(_CHUNK_BYTES, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if self._stopped.is_set():
                raise StoppedError from None
            if isinstance(error, urllib3.exceptions.ReadTimeoutError):
                message = f"{self._what}: nothing came for a while; try again."
                raise TooSlowError(message) from None
            raise failure_of(error, self._what, self._response.url) from None
        return piece

    def _too_slow(self, size_bytes: int, seconds: float) -> TooSlowError:
        return TooSlowError(
            f"{self._what}: only {size_bytes} bytes came in {seconds:.0f} s, expected at least "
            f"{_LEAST_BYTES_PER_S} a second; the transfer was given up, try again."
        )


def _integer(text: str) -> float:
    """Return an integer, or a float of one so long that Python may refuse it."""
    return int(text) if len(text) <= _MOST_DIGITS else float(text)
