"""Streams a body, resumed after an interruption if the server confirms that it is unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import (
    PermanentError,
    ProductUnavailableError,
    ServiceUnavailableError,
)
from copernicus_dataspace.http.response import TooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager

    from copernicus_dataspace.http.response import StreamedResponse
    from copernicus_dataspace.limits.retry import Attempts
    from copernicus_dataspace.limits.transfer_slots import Slot

_WORTH_BYTES: Final = 1 << 20
"""A part that stalled before this is not resumed: the rest would be as slow."""


def read_body(
    ask: Callable[[Mapping[str, str]], StreamedResponse],
    slot: Callable[[], AbstractContextManager[Slot]],
    what: str,
    attempts: Attempts,
) -> Generator[bytes]:
    """Yield a body from its first byte to its last.

    Args:
        ask: Sends the request with additional headers.
        slot: Provides a transfer slot for each part.
        what: Name of the body, for messages.
        attempts: Decides whether the body is resumed; told of received bytes.

    Raises:
        ServiceUnavailableError: It was interrupted and cannot be resumed.
        DataSpaceError: It is not available.
    """
    body = _Body(ask, what, attempts)
    while True:
        try:
            yield from body.part(slot)
        except ServiceUnavailableError as error:
            is_stuck = isinstance(error, TooSlowError) and body.part_bytes < _WORTH_BYTES
            if is_stuck or not body.may_be_continued:
                raise
            attempts.resume(error, body.done_bytes)
        else:
            return


class _Body:
    """State of a body.

    Attributes:
        done_bytes: Received bytes.
        part_bytes: Received bytes of the last part.
        may_be_continued: Whether it can be resumed: the last part had bytes, and size and
            validator are known.
    """

    def __init__(
        self,
        ask: Callable[[Mapping[str, str]], StreamedResponse],
        what: str,
        attempts: Attempts,
    ) -> None:
        self.done_bytes = self.part_bytes = 0
        self.may_be_continued = False
        self._ask = ask
        self._what = what
        self._attempts = attempts
        self._size_bytes: int | None = None
        self._validator: str | None = None

    def part(self, take: Callable[[], AbstractContextManager[Slot]]) -> Generator[bytes]:
        """Yield the next part."""
        self.may_be_continued, self.part_bytes = False, 0
        with take() as slot, slot.begin(self._open, self._attempts) as answer:
            if self.done_bytes == 0:
                self._size_bytes, self._validator = answer.size_bytes, answer.validator
            elif not self._continues(answer):
                raise self._begin_again()
            for chunk in answer.chunks():
                self.done_bytes += len(chunk)
                self.part_bytes += len(chunk)
                self._attempts.progressed()
                self.may_be_continued = None not in (self._size_bytes, self._validator)
                yield chunk
            if self._size_bytes is not None and self.done_bytes < self._size_bytes:
                message = f"{self._what}: received {self.done_bytes} of {self._size_bytes} bytes."
                raise ServiceUnavailableError(message)

    def _open(self) -> StreamedResponse:
        if self.done_bytes == 0 or self._validator is None:
            return self._ask({})
        try:
            return self._ask({"Range": f"bytes={self.done_bytes}-", "If-Range": self._validator})
        except (PermanentError, ProductUnavailableError) as error:
            raise self._begin_again() from error

    def _continues(self, answer: StreamedResponse) -> bool:
        wanted = f"bytes {self.done_bytes}-{(self._size_bytes or 0) - 1}/{self._size_bytes}"
        return (
            answer.is_partial
            and answer.content_range == wanted
            and answer.validator == self._validator
        )

    def _begin_again(self) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"{self._what}: the connection was lost, and the transfer cannot be resumed; try again."
        )
