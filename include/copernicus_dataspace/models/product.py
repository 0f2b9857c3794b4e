"""A Sentinel-2 product: its name and its properties in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from msgspec import Meta

from copernicus_dataspace.errors import QueryError, UnsafeContentError
from copernicus_dataspace.json_records import Count, Instant  # noqa: TC001
from copernicus_dataspace.models.checksum import Checksum  # noqa: TC001

PRODUCT_TYPES: Final = {"L1C": "S2MSI1C", "L2A": "S2MSI2A"}
"""The catalogue's ``productType`` by the level in a product's name."""

_NAME: Final = re.compile(
    r"S2(?P<platform>[A-Z])_MSI(?P<level>L1C|L2A)_(?P<datatake>\d{8}T\d{6})_N(?P<baseline>\d{4})"
    r"_R(?P<orbit>\d{3})_T(?P<tile>\d{2}[A-Z]{3})_(?P<discriminator>\d{8}T\d{6})"
)
"""https://sentiwiki.copernicus.eu/web/s2-products, compact naming convention (since 2016-12)."""

_TILE: Final = re.compile(r"T?(?P<zone>\d{1,2})(?P<square>[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])")
_STEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_ID: Final = re.compile(r"[A-Za-z0-9_. -]{1,100}")
_STAMP: Final = "%Y%m%dT%H%M%S"
_UNOFFICIAL: Final = "99."
"""Prefix of baselines of the commissioning phase and of the platform's own processing."""


@dataclass(frozen=True, slots=True)
class ProductName:
    """The parts of a product name.

    Attributes:
        platform: One letter, A for Sentinel-2A.
        level: L1C or L2A.
        datatake: Sensing start of the datatake.
        baseline: Processing baseline as in the attribute processorVersion, ``05.11``.
        relative_orbit: 1 to 143.
        tile: MGRS tile without the leading T.
        discriminator: Distinguishes products of one datatake and tile; often the generation time.
    """

    platform: str
    level: str
    datatake: datetime
    baseline: str
    relative_orbit: int
    tile: str
    discriminator: datetime

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return the parts of a name with or without ``.SAFE``; None for any other name."""
        match = _NAME.fullmatch(name.removesuffix(".SAFE"))
        if match is None:
            return None
        try:
            datatake, discriminator = (
                datetime.strptime(match[group], _STAMP).replace(tzinfo=UTC)
                for group in ("datatake", "discriminator")
            )
        except ValueError:
            return None
        return cls(
            platform=match["platform"],
            level=match["level"],
            datatake=datatake,
            baseline=f"{match['baseline'][:2]}.{match['baseline'][2:]}",
            relative_orbit=int(match["orbit"]),
            tile=match["tile"],
            discriminator=discriminator,
        )

    @property
    def is_regular(self) -> bool:
        """Whether the baseline is not 99.xx."""
        return not self.baseline.startswith(_UNOFFICIAL)

    @property
    def version(self) -> tuple[bool, int, datetime]:
        """Sort key for the names of one acquisition, the newest last; 99.xx comes first."""
        return self.is_regular, int(self.baseline.replace(".", "")), self.discriminator

    def __str__(self) -> str:
        return (
            f"S2{self.platform}_MSI{self.level}_{self.datatake:{_STAMP}}"
            f"_N{self.baseline.replace('.', '')}_R{self.relative_orbit:03}_T{self.tile}"
            f"_{self.discriminator:{_STAMP}}"
        )


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the catalogue lists it.

    Attributes:
        id: UUID in the catalogue.
        name: Product name as listed, usually with ``.SAFE``.
        product_type: ``S2MSI2A`` or ``S2MSI1C``.
        sensed: Start of sensing; its UTC date is the product's day.
        published: Publication date in the catalogue.
        size_bytes: Size of the product's zip; None if unknown.
        checksum: Of the product's zip; None if the catalogue has none (yet).
        online: Whether it can be downloaded.
        cloud_cover: Percent; None if unknown.
        footprint: GeoJSON geometry in degrees; None if unknown.
        s3_path: Bucket and key of its folder in the service's object store, as the catalogue writes
            it; None if unknown.
    """

    id: str
    name: str
    product_type: str
    sensed: Instant
    published: Instant | None = None
    size_bytes: Count | None = None
    checksum: Checksum | None = None
    online: bool = True
    cloud_cover: Annotated[float, Meta(ge=0, le=100)] | None = None
    footprint: Mapping[str, Any] | None = None
    s3_path: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that are unsafe in a path or a URL; the day of sensing is that of UTC."""
        if not _STEM.fullmatch(self.stem):
            shown = str(self.name)[:100]
            message = f"product name {shown!r} is not usable as a folder name; it is refused."
            raise UnsafeContentError(message)
        if not _ID.fullmatch(self.id):
            message = f"{self.name}: id {str(self.id)[:100]!r} is not a product id; it is refused."
            raise UnsafeContentError(message)
        if self.product_type not in PRODUCT_TYPES.values():
            known = " or ".join(sorted(PRODUCT_TYPES.values()))
            shown = str(self.product_type)[:100]
            message = f"{self.name}: productType is {shown!r}, expected {known}; it is refused."
            raise UnsafeContentError(message)
        object.__setattr__(self, "sensed", self.sensed.astimezone(UTC))

    @property
    def stem(self) -> str:
        """The name without ``.SAFE``."""
        return self.name.removesuffix(".SAFE")

    @property
    def parsed_name(self) -> ProductName | None:
        """The parts of the name; None if it follows an older convention."""
        return ProductName.parse(self.name)

    @property
    def tile(self) -> str | None:
        """MGRS tile without the leading T."""
        parsed = self.parsed_name
        return parsed.tile if parsed else None

    @property
    def tile_label(self) -> str:
        """MGRS tile with the leading T, for reports; ``-`` if unknown."""
        return f"T{self.tile}" if self.tile else "-"

    @property
    def day(self) -> str:
        """UTC day of sensing, ``YYYY-MM-DD``."""
        return self.sensed.date().isoformat()


def normalise_tile(text: str) -> str:
    """Return an MGRS tile as the catalogue writes it, ``36TXL`` for ``T36TXL`` or ``36txl``.

    Raises:
        QueryError: The text is not an MGRS tile.
    """
    match = _TILE.fullmatch(text.strip().upper())
    if match is None or not 1 <= int(match["zone"]) <= 60:  # noqa: PLR2004
        message = f"tiles: {text!r} is not an MGRS tile; write it as T36TXL."
        raise QueryError(message)
    return f"{int(match['zone']):02}{match['square']}"
