"""Reads and writes records as JSON; what is read is validated by its type."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
D = TypeVar("D")

Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""A number of things or bytes; larger ones would break sums."""
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""A measure; never NaN."""
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def read_json(content: bytes | None, kind: type[T]) -> T:
    """Return a record that `write_json` wrote; unknown fields are ignored.

    Args:
        content: JSON; None if there is no file.
        kind: Type of the record, such as a dataclass.

    Raises:
        ValueError: It is missing or damaged: not JSON, nested too deeply, or a field is missing or
            has an invalid value; the message names the field.
    """
    try:
        return read_strict_json(content, kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # it refuses NaN, Infinity and half characters, which `json` writes
        with _one_error():
            return msgspec.convert(json.loads(content or b""), kind)


def read_strict_json(content: bytes | None, kind: type[T]) -> T:
    """Return a record, as `read_json`; NaN, Infinity and half characters are errors.

    Raises:
        ValueError: It is missing or damaged.
    """
    with _one_error():
        return msgspec.json.decode(content or b"", type=kind)


def from_json(value: object, kind: type[T]) -> T:
    """Return a record of parsed JSON, as `read_json`.

    Raises:
        ValueError: It is damaged.
    """
    with _one_error():
        return msgspec.convert(value, kind)


def read_json_or(content: bytes | None, kind: type[T], default: D) -> T | D:
    """Return a record as `read_json`, or the default if it is missing or damaged."""
    try:
        return read_json(content, kind)
    except ValueError:
        return default


def from_json_or(value: object, kind: type[T], default: D) -> T | D:
    """Return a record as `from_json`, or the default if it is damaged."""
    try:
        return from_json(value, kind)
    except ValueError:
        return default


def to_json(record: object) -> Any:
    """Return a record as JSON values, and instants as `write_json` takes them."""
    return msgspec.to_builtins(record, builtin_types=(datetime,))


def write_json(record: object, *, indent: int | None = None) -> bytes:
    """Return a record as JSON in ASCII: texts of file systems may hold half characters."""
    return json.dumps(to_json(record), indent=indent, default=datetime.isoformat).encode()


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
    except (RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
