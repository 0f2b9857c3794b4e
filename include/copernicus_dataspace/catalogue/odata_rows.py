"""Reads rows of the catalogue's answer one by one: a product, or in words why it cannot be used.

What a product is called, what it is, when it was sensed and how large it is must be readable, and
its cloud cover where a limit is set. What else cannot be read counts as unknown.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.errors import DataSpaceError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product import PRODUCT_TYPES, Product, ProductName
from copernicus_dataspace.models.time_range import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

T = TypeVar("T")

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME: Final = re.compile(r"S2[A-Z]_[A-Za-z0-9_-]{1,200}(\.SAFE)?")
"""Of either convention; Zarr and other formats have an ending of their own."""
_PATH: Final = re.compile(r"/?([ -.0-~]+/)*[ -.0-~]+")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_MOST_BYTES: Final = 10**12
"""A product has some 1e9, the largest of 2015 some 1e10."""
_ALL_PERCENT: Final = 100
_DECIMALS: Final = 6  # a percentage may exceed its bounds by noise of the service's arithmetic
_LEVELS: Final = 12  # of a geometry; a collection of MultiPolygons has 8
_SHOWN_CHARS: Final = 120
_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class UnusableRow:
    """A row of which no product can be made.

    Attributes:
        name: The product's name as listed, in printable ASCII; empty where there is none.
        id: Its id, likewise.
        day: Its sensing day, ``YYYY-MM-DD``; None where it cannot be told.
        why: What cannot be used, observed and expected.
    """

    name: str
    id: str
    day: str | None
    why: str

    @property
    def label(self) -> str:
        """What the row is called where there is room for little."""
        return self.name or (f"id {self.id}" if self.id else "a row without name and id")

    def __str__(self) -> str:
        return f"{self.label}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        """Return all facts, and the label, as JSON values."""
        return {**asdict(self), "label": self.label}


class Row(NamedTuple):
    """What one row says.

    Attributes:
        product: What can be read of it; None where that is no product.
        unusable: Why the product cannot be used; None where it can.
        unknown: What cannot be read and counts as unknown, in words.
    """

    product: Product | None
    unusable: UnusableRow | None
    unknown: tuple[str, ...] = ()


class _OddError(Exception):
    """A value is not what it should be; the message says what was expected."""


class _Reader:
    """Reads fields, and notes which of them cannot be read."""

    def __init__(self) -> None:
        self.flaws: list[str] = []
        self.unknown: list[str] = []

    def needed(self, name: str, value: object, read: Callable[[Any], T]) -> T | None:
        return self._read(name, value, read, self.flaws)

    def optional(self, name: str, value: object, read: Callable[[Any], T]) -> T | None:
        return None if value is None else self._read(name, value, read, self.unknown)

    def _read(
        self, name: str, value: object, read: Callable[[Any], T], notes: list[str]
    ) -> T | None:
        try:
            return read(value)
        except _OddError as error:
            notes.append(f"its {name} is {shown(value)}, {error}")
            return None


def read_row(row: object, *, limits_cloud_cover: bool = False) -> Row:
    """Return what a row says; never raises, whatever it holds.

    Args:
        row: An entity of the catalogue, as JSON gave it.
        limits_cloud_cover: Whether a product can be used only if its cloud cover is known.
    """
    if not isinstance(row, dict):
        return Row(None, UnusableRow("", "", None, f"it is {shown(row)}, not an object"))
    reader = _Reader()
    product, sensed = _product(row, reader, limits_cloud_cover=limits_cloud_cover)
    if not reader.flaws:
        return Row(product, None, tuple(reader.unknown))
    name, identifier = (_plain(row.get(field)) for field in ("Name", "Id"))
    day = sensed.date().isoformat() if sensed else None
    return Row(product, UnusableRow(name, identifier, day, "; ".join(reader.flaws)))


def shown(value: object) -> str:
    """Return a value as a message may show it: short, and in printable ASCII."""
    try:
        text = ascii(value)
    except RecursionError:
        text = "too deep to show"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def whole_number(value: object) -> int | None:
    """Return a number that is not negative and has no fraction; None for all else."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    return None


def _product(
    row: Mapping[str, Any], reader: _Reader, *, limits_cloud_cover: bool
) -> tuple[Product | None, datetime | None]:
    """Return what can be read of a product, and when it was sensed though it be none."""
    attributes = reader.optional("Attributes", row.get("Attributes"), _attributes) or {}
    identifier = reader.needed("Id", row.get("Id"), _id)
    name = reader.needed("Name", row.get("Name"), _name)
    kind = name and reader.needed(
        "productType", attributes.get("productType"), lambda value: _product_type(value, name)
    )
    dates = row.get("ContentDate")
    start = dates.get("Start") if isinstance(dates, Mapping) else dates
    sensed = reader.needed("ContentDate/Start", start, _sensed)
    size_bytes = reader.needed("ContentLength", row.get("ContentLength"), _size)
    cover = attributes.get("cloudCover")
    read_cover = reader.needed if limits_cloud_cover else reader.optional
    facts: dict[str, Any] = {
        "size_bytes": size_bytes or None,
        "cloud_cover": read_cover("cloudCover", cover, _percent),
        "checksum": reader.optional("Checksum", row.get("Checksum") or None, _md5),
        "published": reader.optional("PublicationDate", row.get("PublicationDate"), _instant),
        "online": reader.optional("Online", row.get("Online"), _flag) is not False,
        "footprint": reader.optional("GeoFootprint", row.get("GeoFootprint") or None, _geometry),
        "s3_path": reader.optional("S3Path", row.get("S3Path") or None, _path),
    }
    if not (identifier and name and kind and sensed):
        return None, sensed
    try:
        return Product(identifier, name, kind, sensed, **facts), sensed
    except DataSpaceError as error:
        reader.flaws.append(str(error))
        return None, sensed


def _attributes(value: object) -> dict[str, Any]:
    if not isinstance(value, list):
        message = "not a list"
        raise _OddError(message)
    entries = [one for one in value if isinstance(one, dict) and isinstance(one.get("Name"), str)]
    return {one["Name"]: one.get("Value") for one in entries}


def _id(value: object) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        message = "not a UUID"
        raise _OddError(message)
    return value.lower()


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        message = "not the name of a Sentinel-2 product in the format SAFE"
        raise _OddError(message)
    return value


def _product_type(value: object, name: str) -> str:
    """Return the type that is listed, else that of the name, which must not say otherwise."""
    levels = [kind for level, kind in PRODUCT_TYPES.items() if f"MSI{level}" in name]
    kind = levels[0] if value is None and levels else value
    known = levels if ProductName.parse(name) else list(PRODUCT_TYPES.values())
    if not isinstance(kind, str) or kind not in known:
        message = f"not {' or '.join(known)}"
        raise _OddError(message)
    return kind


def _instant(value: object) -> datetime:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return parse_instant(value)
    message = "not a date"
    raise _OddError(message)


def _sensed(value: object) -> datetime:
    instant = _instant(value)
    if instant not in MISSION:
        message = "not a date of the mission"
        raise _OddError(message)
    return instant


def _size(value: object) -> int:
    size_bytes = 0 if value is None else whole_number(value)
    if size_bytes is None or size_bytes > _MOST_BYTES:
        message = "not a number of bytes"
        raise _OddError(message)
    return size_bytes


def _percent(value: object) -> float:
    try:
        percent = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        percent = math.nan
    if not 0 <= round(percent, _DECIMALS) <= _ALL_PERCENT:
        message = "not a percentage"
        raise _OddError(message)
    return percent


def _md5(value: object) -> Checksum | None:
    entries = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if not entries:
        message = "not a list of checksums"
        raise _OddError(message)
    read = (Checksum.parse(str(one.get("Algorithm")), str(one.get("Value"))) for one in entries)
    return next((one for one in read if one and one.algorithm == "MD5"), None)


def _flag(value: object) -> bool:
    flag = _FLAGS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        message = "neither true nor false"
        raise _OddError(message)
    return flag


def _geometry(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or _is_deeper(value, _LEVELS):
        message = "not a geometry"
        raise _OddError(message)
    return value


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether lists and objects lie in each other more often than some levels."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return not levels or any(_is_deeper(one, levels - 1) for one in inner)


def _path(value: object) -> str:
    if (
        not isinstance(value, str)
        or not _PATH.fullmatch(value)
        or {".", ".."} & {*value.split("/")}
    ):
        message = "not a path"
        raise _OddError(message)
    return value


def _plain(value: object) -> str:
    """Return a text in printable ASCII; an empty one for what is no text."""
    text = ascii(value)[1:-1] if isinstance(value, str) else ""
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
