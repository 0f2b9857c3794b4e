"""Parses rows of the catalogue: each is a product, or unusable with an explanation.

Name, id, product type, sensing time and size must be valid, and the cloud cover if it is limited.
Other invalid values count as unknown.
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
"""Names of both conventions; Zarr and other formats have another suffix."""
_PATH: Final = re.compile(r"/?([ -.0-~]+/)*[ -.0-~]+")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_MOST_BYTES: Final = 10**12
"""Products have about 1e9, the largest of 2015 about 1e10."""
_ALL_PERCENT: Final = 100
_DECIMALS: Final = 6  # percentages may exceed their bounds by rounding errors
_LEVELS: Final = 12  # of a geometry; a collection of MultiPolygons has 8
_SHOWN_CHARS: Final = 120
_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class UnusableRow:
    """A row that cannot be used as a product.

    Attributes:
        name: Product name as listed, in printable ASCII; may be empty.
        id: Product id, likewise.
        day: Sensing day, ``YYYY-MM-DD``; None if unknown.
        why: The invalid values, observed and expected.
    """

    name: str
    id: str
    day: str | None
    why: str

    @property
    def label(self) -> str:
        """Short name of the row."""
        return self.name or (f"id {self.id}" if self.id else "a row without name and id")

    def __str__(self) -> str:
        return f"{self.label}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        """Return all fields and the label as JSON values."""
        return {**asdict(self), "label": self.label}


class Row(NamedTuple):
    """A parsed row.

    Attributes:
        product: The product, as far as it can be parsed; None if it cannot.
        unusable: Why the product cannot be used; None if it can.
        unknown: Invalid values that count as unknown, as text.
    """

    product: Product | None
    unusable: UnusableRow | None
    unknown: tuple[str, ...] = ()


class _OddError(Exception):
    """A value is invalid; the message says what was expected."""


class _Reader:
    """Parses fields, and collects the invalid ones."""

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
            notes.append(f"its {name} is {shortened(value)}, {error}")
            return None


def read_row(row: object, *, limits_cloud_cover: bool = False) -> Row:
    """Parse a row; never raises.

    Args:
        row: An entity of the catalogue, as parsed JSON.
        limits_cloud_cover: Whether the cloud cover must be known.
    """
    if not isinstance(row, dict):
        return Row(None, UnusableRow("", "", None, f"it is {shortened(row)}, not an object"))
    reader = _Reader()
    product, sensed = _product(row, reader, limits_cloud_cover=limits_cloud_cover)
    if not reader.flaws:
        return Row(product, None, tuple(reader.unknown))
    name, identifier = (_plain(row.get(field)) for field in ("Name", "Id"))
    day = sensed.date().isoformat() if sensed else None
    return Row(product, UnusableRow(name, identifier, day, "; ".join(reader.flaws)))


def shortened(value: object) -> str:
    """Return a value for messages: shortened, and in printable ASCII."""
    try:
        text = ascii(value)
    except RecursionError:
        text = "too deep to show"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def whole_number(value: object) -> int | None:
    """Parse a non-negative integer; None for anything else."""
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
    """Return the product as far as it can be parsed, and its sensing time even if it cannot."""
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
    """Return the listed type, or else that of the name; they must not contradict each other."""
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
        message = "not a date within the mission"
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
    return min(max(percent, 0.0), float(_ALL_PERCENT))


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
    """Tell whether lists and objects are nested deeper than a number of levels."""
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
    """Return a string in printable ASCII; an empty one for other values."""
    text = ascii(value)[1:-1] if isinstance(value, str) else ""
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
