"""The delivered files of a product, and their bands, as stored in its item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import check_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from copernicus_dataspace.stac.image_header import Raster

_MOST_BYTES: Final = 10**15


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
    size_bytes: int
    checksum: Checksum
    source_url: str
    raster: Raster | None = None

    def __post_init__(self) -> None:
        check_path(self.path, "A record")
        check_path(self.name, "A record")
        if type(self.size_bytes) is not int or not 0 <= self.size_bytes <= _MOST_BYTES:
            shown = f"{self.size_bytes!r}"[:60]
            message = f"file {self.path!r} has {shown} bytes; expected a whole number."
            raise ValueError(message)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the file that `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, UnsafeContentError: It is damaged.
        """
        return cls(**{**record, "checksum": Checksum.from_json(record["checksum"])})

    def to_json(self) -> dict[str, Any]:
        """Return the fields known before the delivery as JSON values."""
        checksum = {"algorithm": self.checksum.algorithm, "value": self.checksum.value}
        return {
            "path": self.path,
            "name": self.name,
            "size_bytes": self.size_bytes,
            "checksum": checksum,
            "source_url": self.source_url,
        }


def selection_of(record: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Parse the paths of each band or pattern of a record.

    Raises:
        TypeError, AttributeError: It is damaged.
    """
    return {text_of(band): texts_of(paths) for band, paths in record.items()}


def texts_of(values: object) -> tuple[str, ...]:
    """Parse a list of strings.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(values, list):
        message = f"{str(values)[:60]!r} is not a list."
        raise TypeError(message)
    return tuple(map(text_of, values))


def text_of(value: object) -> str:
    """Parse a string.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, str):
        message = f"{str(value)[:60]!r} is not a string."
        raise TypeError(message)
    return value


def number_of(value: object) -> int:
    """Parse a count or a number of bytes.

    Raises:
        TypeError: It is something else.
    """
    if type(value) is not int or not 0 <= value <= _MOST_BYTES:
        message = f"{str(value)[:60]!r} is not a count."
        raise TypeError(message)
    return value


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
    created: datetime | None = None
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
