"""Byte ranges of an answer: one range, a validator, and what does not fit.

Several ranges at once, other units and malformed ones are ignored, as HTTP allows.
"""

import re
from typing import Final

from copernicus_dataspace_emulator.http.messages import Request, Response, cut, size_of

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


class UnsatisfiableError(Exception):
    """Raised when a range starts behind the end; ``size`` is that of the whole."""

    def __init__(self, size: int) -> None:
        super().__init__(f"no such range in {size} bytes")
        self.size = size


def asked(request: Request, size: int) -> tuple[int, int] | None:
    """Start and end, excluded, of the range asked for; None if the whole is to be sent.

    Raises:
        UnsatisfiableError: The range lies behind the end.
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
    """Turn a whole answer with an ETag into the part asked for, if one is.

    Raises:
        UnsatisfiableError: The range lies behind the end.
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
