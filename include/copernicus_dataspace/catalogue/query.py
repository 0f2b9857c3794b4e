"""Queries of the OData catalogue as ``$filter`` texts.

Grammar: https://documentation.dataspace.copernicus.eu/APIs/OData.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.models.product import PRODUCT_TYPES, Product, normalise_tile
from copernicus_dataspace.models.time_range import Window, format_instant, parse_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from copernicus_dataspace.geometry.area import Area

COLLECTION: Final = "SENTINEL-2"

ORDER_BY: Final = "ContentDate/Start asc"
"""Without an order, pages overlap and rows are missing."""

MISSION: Final = Window(datetime(2015, 6, 23, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""The Sentinel-2 mission, from the launch of Sentinel-2A.
https://sentiwiki.copernicus.eu/web/s2-mission
"""

_TILES_PER_REQUEST: Final = 8
_NAMES_PER_REQUEST: Final = 10
_IDS_PER_REQUEST: Final = 50
"""These keep the URL below about 4 kB, which is known to work; a name takes two terms."""

_AREA_CHARS: Final = 2400
_AREA_CHARS_BESIDE_TILES: Final = 1000
"""Maximum URL-encoded length of an area, alone and together with tiles."""

_ENDING: Final = re.compile(r"(\.SAFE)?(\.zip)?/?\Z", re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Query:
    """A catalogue query; all conditions must hold.

    Attributes:
        sensed: Start of sensing.
        product_type: ``S2MSI2A`` or ``S2MSI1C``; None for both.
        area: Products whose footprint intersects it.
        tiles: MGRS tiles; empty for all.
        max_cloud_cover: Percent, inclusive; products without the attribute pass only if None.
        published: Publication date.
        online: Whether the product can be downloaded; None for both.
        product_ids: Ids or names of products; empty for all.
    """

    sensed: Window
    product_type: str | None = None
    area: Area | None = None
    tiles: tuple[str, ...] = ()
    max_cloud_cover: float | None = None
    published: Window | None = None
    online: bool | None = None
    product_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.product_type is not None and self.product_type not in PRODUCT_TYPES.values():
            known = " or ".join(PRODUCT_TYPES.values())
            message = f"product_type {self.product_type!r} is unknown; write {known}."
            raise QueryError(message)
        cloud_cover = self.max_cloud_cover
        if cloud_cover is not None and not _is_percentage(cloud_cover):
            message = (
                f"max_cloud_cover {cloud_cover!r} is not a percentage; write 0 to 100 or omit it."
            )
            raise QueryError(message)
        object.__setattr__(self, "tiles", tuple(dict.fromkeys(map(normalise_tile, self.tiles))))
        object.__setattr__(self, "product_ids", tuple(map(_identifier, self.product_ids)))

    def filters(self, sensed: Window) -> tuple[str, ...]:
        """Return the ``$filter`` texts that together match all products of a window.

        There are several if tiles or products are too many for one URL. The area is simplified and
        slightly larger: check the results with `accepts`.
        """
        are_ids = all(map(is_id, self.product_ids))
        at_once = _IDS_PER_REQUEST if are_ids else _NAMES_PER_REQUEST
        chosen = (*_chunks(self.product_ids, at_once),) or ((),)
        tiles = (*_chunks(self.tiles, _TILES_PER_REQUEST),) or ((),)
        return tuple(
            " and ".join(self._terms(sensed, identifiers, some_tiles))
            for identifiers in chosen
            for some_tiles in tiles
        )

    def accepts(self, product: Product) -> bool:
        """Tell whether a result matches the query, by the exact area and values."""
        if product.sensed not in self.sensed:
            return False
        if self.tiles and product.tile is not None and product.tile not in self.tiles:
            return False
        if self.max_cloud_cover is not None and (
            product.cloud_cover is None or product.cloud_cover > self.max_cloud_cover
        ):
            return False
        return self.area is None or self.area.touches(product.footprint)

    def _terms(
        self, sensed: Window, identifiers: Sequence[str], tiles: Sequence[str]
    ) -> Iterable[str]:
        yield f"Collection/Name eq {quote(COLLECTION)}"
        yield from _between("ContentDate/Start", sensed)
        yield from self._others()
        if identifiers:
            yield _any(_identity(identifier) for identifier in identifiers)
        if tiles:
            yield _any(_attribute("String", "tileId", "eq", quote(tile)) for tile in tiles)
        if self.area:
            budget = _AREA_CHARS_BESIDE_TILES if tiles or identifiers else _AREA_CHARS
            yield _any(_intersects(wkt) for wkt in self.area.search_wkts(max_chars=budget))

    def _others(self) -> Iterable[str]:
        """Yield the terms that are the same in every request."""
        if self.product_type:
            yield _attribute("String", "productType", "eq", quote(self.product_type))
        if self.max_cloud_cover is not None:
            percent = format(Decimal(str(float(self.max_cloud_cover))), "f")
            yield _attribute("Double", "cloudCover", "le", percent)
        if self.online is not None:
            yield f"Online eq {str(self.online).lower()}"
        if self.published:
            yield from _between("PublicationDate", self.published)


def of_mission(sensed: Window) -> Window:
    """Return a window of sensing days unchanged if it does not start before the mission.

    Raises:
        QueryError: It does, for example because of a mistyped year.
    """
    if sensed.start < MISSION.start:
        message = (
            f"the day {sensed.start.date()} lies before the mission: Sentinel-2A was launched on "
            f"{MISSION.start:%Y-%m-%d}. Choose later days."
        )
        raise QueryError(message)
    return sensed


def sensing_day(text: str) -> date:
    """Parse a sensing day ``YYYY-MM-DD`` of a record.

    Raises:
        QueryError: It is not a day, or not within the mission.
    """
    day = parse_day(text)
    if of_mission(Window.of_days(day, day)).end > MISSION.end:
        message = f"the day {day} lies too far in the future."
        raise QueryError(message)
    return day


def is_id(text: str) -> bool:
    """Tell whether a text is a product id in the catalogue's form."""
    return bool(_UUID.fullmatch(text))


def _is_percentage(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 100  # noqa: PLR2004


def quote(text: str) -> str:
    """Return the text as an OData string literal."""
    return "'" + text.replace("'", "''") + "'"


def _between(field: str, window: Window) -> Iterable[str]:
    yield f"{field} ge {format_instant(window.start)}"
    yield f"{field} lt {format_instant(window.end)}"


def _attribute(kind: str, name: str, operator: str, literal: str) -> str:
    attribute = f"OData.CSC.{kind}Attribute"
    return (
        f"Attributes/{attribute}/any(att:att/Name eq {quote(name)}"
        f" and att/{attribute}/Value {operator} {literal})"
    )


def _intersects(wkt: str) -> str:
    return f"OData.CSC.Intersects(area=geography'SRID=4326;{wkt}')"


def _identity(identifier: str) -> str:
    if is_id(identifier):
        return f"Id eq {identifier}"
    names = (identifier, identifier.removesuffix(".SAFE"))
    return " or ".join(f"Name eq {quote(name)}" for name in names)


def _any(terms: Iterable[str]) -> str:
    alternatives = tuple(terms)
    return alternatives[0] if len(alternatives) == 1 else f"({' or '.join(alternatives)})"


def _identifier(text: str) -> str:
    """Return an id in lower case, or a name with ``.SAFE``; also for names of folders and zips."""
    text = text.strip()
    if is_id(text.lower()):
        return text.lower()
    name = _ENDING.sub("", text)
    name = name.upper() if name.startswith("s2") else name
    if not name.startswith("S2"):
        message = f"product_ids: {text!r} is neither a product id (UUID) nor a Sentinel-2 name."
        raise QueryError(message)
    return f"{name}.SAFE"


def _chunks(values: tuple[str, ...], size: int) -> Iterable[tuple[str, ...]]:
    return (values[start : start + size] for start in range(0, len(values), size))
