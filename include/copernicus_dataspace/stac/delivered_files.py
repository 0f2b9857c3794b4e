"""The delivered files of a product, and their bands, as stored in its item."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copernicus_dataspace.json_records import Count, Instant  # noqa: TC001
from copernicus_dataspace.models.checksum import Checksum  # noqa: TC001
from copernicus_dataspace.models.manifest import check_path
from copernicus_dataspace.stac.image_header import Raster  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A verified file of a product.

    Attributes:
        path: Path inside the product's SAFE folder.
        name: Path relative to the product's delivery folder.
        checksum: ESA's checksum, which the file was verified against.
        source_url: URL it was downloaded from, without a token.
        raster: Grid of the image, once delivered; None if unknown.
    """

    path: str
    name: str
    size_bytes: Count
    checksum: Checksum
    source_url: str
    raster: Raster | None = None

    def __post_init__(self) -> None:
        check_path(self.path, "A record")
        check_path(self.name, "A record")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of a product's delivery folder.

    Attributes:
        selection: Paths of each wanted band or pattern, so that a later run can check them without
            a request.
        files: Files by path inside the product.
        owner: Owner of the last delivery.
        run_id: Run of the last delivery.
        stamp: Search of the last delivery.
        ingests: Names of the ingests that want the product.
        scheduled: Those whose schedule or backfill covers the product's day; empty in items of
            older versions.
        created: When the product was first delivered; None in older items.
    """

    selection: Mapping[str, tuple[str, ...]]
    files: Mapping[str, DeliveredFile]
    owner: str
    run_id: str
    stamp: str
    ingests: tuple[str, ...] = ()
    created: Instant | None = None
    scheduled: tuple[str, ...] = ()

    def missing(self, bands: tuple[str, ...], existing: Collection[str]) -> bool:
        """Tell whether any file of the bands is unknown or not among the existing paths."""
        if any(band not in self.selection for band in bands):
            return True
        return not {path for band in bands for path in self.selection[band]} <= set(existing)

    def chosen(self, bands: tuple[str, ...]) -> tuple[DeliveredFile, ...]:
        """Return the files of the bands, each once."""
        paths = dict.fromkeys(path for band in bands for path in self.selection[band])
        return tuple(self.files[path] for path in paths)

    def merged(self, newer: Delivery) -> Delivery:
        """Return this delivery updated with a newer one."""
        return Delivery(
            selection={**self.selection, **newer.selection},
            files={**self.files, **newer.files},
            owner=newer.owner,
            run_id=newer.run_id,
            stamp=newer.stamp,
            ingests=_joined(self.ingests, newer.ingests),
            created=self.created,
            scheduled=_joined(self.scheduled, newer.scheduled),
        )

    def wanted_by(self, ingests: tuple[str, ...], scheduled: tuple[str, ...]) -> Delivery:
        """Return this delivery with more ingests that want it."""
        return replace(
            self,
            ingests=_joined(self.ingests, ingests),
            scheduled=_joined(self.scheduled, scheduled),
        )

    def without(self, names: Collection[str]) -> Delivery:
        """Return this delivery without some files, by name, so that they are downloaded again."""
        kept = {path: file for path, file in self.files.items() if file.name not in names}
        return replace(self, files=kept)


def _joined(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))
