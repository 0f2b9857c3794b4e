"""The parameters of a synthetic product: they determine its name, catalogue row and files."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from copernicus_dataspace_emulator.products.ground import is_polygon
from copernicus_dataspace_emulator.products.scene import FULL_SIDE
from copernicus_dataspace_emulator.products.tile import Tile, tile

FIRST_MODERN_CHECKSUM: Final = "03.01"
_FIRST_WITH_OFFSET: Final = "04.00"
_OF_THE_PLATFORM: Final = "99.99"
_PUBLISHED_AFTER: Final = timedelta(hours=4)
_GENERATED_AFTER: Final = timedelta(hours=3)
_TO_DATASTRIP: Final = timedelta(minutes=5, seconds=4)
_CYCLE_ORBITS: Final = 143
_ORBIT: Final = timedelta(days=10) / _CYCLE_ORBITS
# A reference orbit of each platform, its time, and the offset to the relative number.
_ORBITS: Final = {
    "A": (48639, "2024-10-14T10:10:21.024Z", 2),
    "B": (20270, "2021-01-22T13:32:29.024Z", 116),
    "C": (8996, "2026-05-27T01:46:51.024Z", 0),
}
CHECKSUMS: Final = frozenset({"full", "md5", "none", "N/A", "zeros", "wrong", "late", "corrected"})
FOREVER: Final = "9999-12-31T23:59:59.999999Z"
STAC: Final = frozenset({"listed", "absent", "late", "wrong", "wrong_size", "other_id"})


def instant(text: str) -> datetime:
    """The UTC instant of an ISO text; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def compact(moment: datetime) -> str:
    """A time as names hold it."""
    return moment.strftime("%Y%m%dT%H%M%S")


def milliseconds(moment: datetime) -> str:
    """A time as the documents write it, with three digits after the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A synthetic product.

    Times are ISO texts in UTC; ``published`` and ``generation`` follow the sensing time
    where they are None. ``cloud_cover`` is in percent, None omits the attribute.
    ``scale`` multiplies real file sizes and the area of the imagery, which then starts at
    the tile's upper left corner, or lies round ``around`` (longitude, latitude).
    ``checksum`` is what the catalogue lists: MD5 and BLAKE3 ("full"), only MD5 ("md5"), none
    ("none"), "N/A", "zeros", a "wrong" one, none in the first minute ("late"), or a wrong one in
    the first minute ("corrected"). ``online`` None omits the field, which means online.
    ``eviction`` is listed unchanged; "" and null were observed. ``processor_version`` is the
    baseline as listed, possibly without its leading zero. ``footprint`` is listed unchanged,
    GeoJSON or not; an empty one as null. Without ``content`` the product is listed without files.
    ``sizes`` gives images a size in bytes in place of the scaled one, by what their file name
    ends in ("SCL_20m"); a smaller image is padded, a larger one stays as it is.
    ``stac`` is what STAC lists: the item ("listed"), nothing ("absent"), an item without sizes
    and digests ("late"), with "wrong" digests, with "wrong_size" for all files, or the item of a
    product with the same name but "other_id" and other content.
    """

    tile: str = "36TXL"
    sensed: str = "2024-08-01T08:36:01.024Z"
    level: str = "L2A"
    platform: str = "A"
    baseline: str = "05.11"
    cloud_cover: float | None = 12.5
    published: str | None = None
    generation: str | None = None
    footprint: Any = None
    scale: float = 0.01
    around: tuple[float, float] | None = None
    online: bool | None = True
    eviction: str | None = FOREVER
    processor_version: str | None = None
    checksum: str = "full"
    content: bool = True
    seed: int = 0
    sizes: Mapping[str, int] | None = None
    stac: str = "listed"

    def __post_init__(self) -> None:
        if self.level not in {"L1C", "L2A"} or self.platform not in _ORBITS:
            raise ValueError(f"No such product: level {self.level!r}, platform {self.platform!r}")
        if self.checksum not in CHECKSUMS:
            raise ValueError(f"Unknown checksum {self.checksum!r}: {sorted(CHECKSUMS)}")
        if self.stac not in STAC:
            raise ValueError(f"Unknown stac {self.stac!r}: {sorted(STAC)}")

    @property
    def place(self) -> Tile:
        """The tile."""
        return tile(self.tile)

    @property
    def sensed_at(self) -> datetime:
        """Sensing start of the datatake."""
        return instant(self.sensed)

    @property
    def datastrip_at(self) -> datetime:
        """Sensing start of the datastrip, which is in the granule's name."""
        return self.sensed_at + _TO_DATASTRIP

    @property
    def published_at(self) -> datetime:
        """Publication time in the catalogue."""
        return instant(self.published) if self.published else self.sensed_at + _PUBLISHED_AFTER

    @property
    def generated_at(self) -> datetime:
        """Generation time; never after the publication."""
        if self.generation:
            return instant(self.generation)
        return min(self.sensed_at + _GENERATED_AFTER, self.published_at).replace(microsecond=0)

    @property
    def orbit(self) -> int:
        """Absolute orbit at the sensing time."""
        number, at, _ = _ORBITS[self.platform]
        return number + round((self.sensed_at - instant(at)) / _ORBIT)

    @property
    def relative_orbit(self) -> int:
        """Orbit within the ten days' cycle."""
        return (self.orbit + _ORBITS[self.platform][2]) % _CYCLE_ORBITS + 1

    @property
    def product_type(self) -> str:
        """The catalogue's product type."""
        return f"S2MSI{self.level[1:]}"

    @property
    def name(self) -> str:
        """The product's name with ``.SAFE``."""
        return (
            f"S2{self.platform}_MSI{self.level}_{compact(self.sensed_at)}"
            f"_N{self.baseline.replace('.', '')}_R{self.relative_orbit:03d}"
            f"_T{self.place.name}_{compact(self.generated_at)}.SAFE"
        )

    @property
    def id(self) -> str:
        """The product's id, made of its name and seed."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}#{self.seed}"))

    @property
    def algorithm(self) -> str:
        """The manifest's checksum algorithm."""
        return "SHA3-256" if self.baseline >= FIRST_MODERN_CHECKSUM else "MD5"

    @property
    def has_offset(self) -> bool:
        """Whether reflectance has an offset; products of the platform itself (99.99) have none."""
        return _FIRST_WITH_OFFSET <= self.baseline != _OF_THE_PLATFORM

    @property
    def side(self) -> int:
        """Pixels of 20 m across the imagery, a multiple of three."""
        return max(30, round(FULL_SIDE * math.sqrt(min(self.scale, 1.0)) / 3) * 3)

    @property
    def corner(self) -> tuple[int, int]:
        """Upper left corner of the imagery in the tile's metres, on its 60 m grid."""
        place, room = self.place, (FULL_SIDE - self.side) * 20
        if self.around is None:
            return place.left, place.top
        x, y = place.to_metres(*self.around)
        right = min(max(x - place.left - self.side * 10, 0), room) // 60 * 60
        down = min(max(place.top - y - self.side * 10, 0), room) // 60 * 60
        return place.left + int(right), place.top - int(down)

    @property
    def outline(self) -> dict[str, Any]:
        """The footprint as GeoJSON; the tile's where the listed one is no polygon."""
        return self.listed if is_polygon(self.listed) else self.place.footprint()

    @property
    def listed(self) -> Any:
        """The footprint as listed, valid or not."""
        return self.place.footprint() if self.footprint is None else self.footprint

    def size_bytes(self, megabytes: float) -> int:
        """A real size in megabytes, scaled, in bytes."""
        return int(megabytes * 1_000_000 * self.scale)


make_product = Recipe
