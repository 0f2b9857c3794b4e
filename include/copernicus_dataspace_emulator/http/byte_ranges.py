"""Byte ranges of a response: a single range, a validator, and unsatisfiable ranges.

Several ranges at once, other units and malformed ones are ignored, as HTTP allows.
"""

import re
from typing import Final

from copernicus_dataspace_emulator.http.messages import Request, Response, cut, size_of

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


class UnsatisfiableError(Exception):
    """Raised when a range starts after the end; ``size`` is the full size."""

    def __init__(self, size: int) -> None:
        super().__init__(f"no such range in {size} bytes")
        self.size = size


def asked(request: Request, size: int) -> tuple[int, int] | None:
    """Return start and exclusive end of the requested range; None for the whole.

    Raises:
        UnsatisfiableError: The range starts after the end.
    """
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or not any(match.groups()) or request.flaw == "whole":
        return None
    first, last = match.groups()
    if not first:
        if not int(last):
            raise UnsatisfiableError(size)
        return max(0, size - int(last)), size
    start, stop = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError(size)
    return start, stop


def partial(request: Request, response: Response) -> None:
    """Reduce a response with an ETag to the requested range, if any.

    Raises:
        UnsatisfiableError: The range starts after the end.
    """
    validator = request.headers.get("If-Range")
    if validator is not None and validator != response.headers["ETag"]:
        return
    size = size_of(response.payload)
    part = asked(request, size)
    if part is None:
        return
    start, stop = part
    response.status = 206
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response.payload = cut(response.payload, start, stop)
