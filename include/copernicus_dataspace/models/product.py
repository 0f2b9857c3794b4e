"""A Sentinel-2 product: its name and its properties in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from copernicus_dataspace.errors import QueryError, UnsafeContentError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.time_range import parse_instant

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
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "size_bytes": (int,),
    "online": (bool,),
    "cloud_cover": (int, float),
    "footprint": (Mapping,),
    "s3_path": (str,),
}
_MOST: Final[Mapping[str, float]] = {"size_bytes": 10**15, "cloud_cover": 100}
"""Maximum of numeric fields; larger values and NaN would break sums."""
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
    sensed: datetime
    published: datetime | None = None
    size_bytes: int | None = None
    checksum: Checksum | None = None
    online: bool = True
    cloud_cover: float | None = None
    footprint: Mapping[str, Any] | None = None
    s3_path: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that are unsafe in a path or a URL."""
        if not isinstance(self.name, str) or not _STEM.fullmatch(self.stem):
            shown = str(self.name)[:100]
            message = f"product name {shown!r} is not usable as a folder name; it is refused."
            raise UnsafeContentError(message)
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            message = f"{self.name}: id {str(self.id)[:100]!r} is not a product id; it is refused."
            raise UnsafeContentError(message)
        if self.product_type not in PRODUCT_TYPES.values():
            known = " or ".join(sorted(PRODUCT_TYPES.values()))
            shown = str(self.product_type)[:100]
            message = f"{self.name}: productType is {shown!r}, expected {known}; it is refused."
            raise UnsafeContentError(message)

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

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the product that `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, UnsafeContentError: It did not.
        """
        checksum = record["checksum"]
        published = record["published"]
        return cls(
            **{
                **record,
                "sensed": parse_instant(record["sensed"]),
                "published": parse_instant(published) if published else None,
                "checksum": Checksum.from_json(checksum) if checksum else None,
            }
        ).checked()

    def checked(self) -> Self:
        """Return the product itself if its fields have valid types and values.

        Raises:
            TypeError, ValueError: They have not; the record was not written by us.
        """
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kinds):
                message = f"{self.name}: {name} is {str(value)[:60]!r}."
                raise TypeError(message)
        for name, most in _MOST.items():
            number = getattr(self, name)
            if number is not None and not 0 <= number <= most:
                message = f"{self.name}: {name} is {str(number)[:60]}, expected 0 to {most}."
                raise ValueError(message)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        checksum = self.checksum
        return {
            "id": self.id,
            "name": self.name,
            "product_type": self.product_type,
            "sensed": self.sensed.isoformat(),
            "published": self.published.isoformat() if self.published else None,
            "size_bytes": self.size_bytes,
            "checksum": checksum and {"algorithm": checksum.algorithm, "value": checksum.value},
            "online": self.online,
            "cloud_cover": self.cloud_cover,
            "footprint": self.footprint,
            "s3_path": self.s3_path,
        }


def normalise_tile(text: str) -> str:
    """Return an MGRS tile as the catalogue writes it, ``36TXL`` for ``T36TXL`` or ``36txl``.

    Raises:
        QueryError: The text is not an MGRS tile.
    """
    match = _TILE.fullmatch(text.strip().upper())
    if match is None or not 1 <= int(match["zone"]) <= 60:  # noqa: PLR2004
        message = f"tile {text!r} is not an MGRS tile; write it as T36TXL."
        raise QueryError(message)
    return f"{int(match['zone']):02}{match['square']}"
