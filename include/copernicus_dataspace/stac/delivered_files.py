"""Knows what stands of a delivered product, and which of it a band means."""

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
    """One verified file of a product.

    Attributes:
        path: Inside the product's SAFE folder.
        name: Below the product's delivery folder.
        checksum: The one ESA gave, which the file was verified against.
        source_url: Where it came from, without a token.
        raster: How it lies on the ground, once delivered; None where that is not known.
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
            ValueError, KeyError, TypeError, AttributeError, UnsafeContentError: It did not.
        """
        return cls(**{**record, "checksum": Checksum.from_json(record["checksum"])})

    def to_json(self) -> dict[str, Any]:
        """Return all that is known before the delivery, as JSON values."""
        checksum = {"algorithm": self.checksum.algorithm, "value": self.checksum.value}
        return {
            "path": self.path,
            "name": self.name,
            "size_bytes": self.size_bytes,
            "checksum": checksum,
            "source_url": self.source_url,
        }


def selection_of(record: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return for each band or pattern the paths it stands for, as a record writes them.

    Raises:
        TypeError, AttributeError: It is damaged.
    """
    return {text_of(band): texts_of(paths) for band, paths in record.items()}


def texts_of(values: object) -> tuple[str, ...]:
    """Return a record's list of texts.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(values, list):
        message = f"{str(values)[:60]!r} is no list."
        raise TypeError(message)
    return tuple(map(text_of, values))


def text_of(value: object) -> str:
    """Return a record's text.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str):
        message = f"{str(value)[:60]!r} is no text."
        raise TypeError(message)
    return value


def number_of(value: object) -> int:
    """Return a record's number of things or of bytes.

    Raises:
        TypeError: It is none.
    """
    if type(value) is not int or not 0 <= value <= _MOST_BYTES:
        message = f"{str(value)[:60]!r} is no number of anything."
        raise TypeError(message)
    return value


@dataclass(frozen=True, slots=True)
class Delivery:
    """What stands in a product's delivery folder.

    Attributes:
        selection: For each wanted band or pattern the paths it stood for, so that a later run
            knows without asking the service whether all of them are there.
        files: By path inside the product.
        dag_id: Who delivered last.
        run_id: Who delivered last.
        stamp: Of the search that asked for it last.
        ingests: Ids of the DAGs that want the product.
        scheduled: Ids of those whose schedule or backfill asked for the product's day; none in
            items of older versions.
        created: When the product was first delivered; None where an older item does not say.
    """

    selection: Mapping[str, tuple[str, ...]]
    files: Mapping[str, DeliveredFile]
    dag_id: str
    run_id: str
    stamp: str
    ingests: tuple[str, ...] = ()
    created: datetime | None = None
    scheduled: tuple[str, ...] = ()

    def missing(self, bands: tuple[str, ...], standing: Collection[str]) -> bool:
        """Tell whether anything the bands stand for is unknown or not among what stands."""
        if any(band not in self.selection for band in bands):
            return True
        return not {path for band in bands for path in self.selection[band]} <= set(standing)

    def chosen(self, bands: tuple[str, ...]) -> tuple[DeliveredFile, ...]:
        """Return the files the bands stand for, each once."""
        paths = dict.fromkeys(path for band in bands for path in self.selection[band])
        return tuple(self.files[path] for path in paths)

    def merged(self, newer: Delivery) -> Delivery:
        """Return this delivery with a newer one's files added or in place of its own."""
        return Delivery(
            selection={**self.selection, **newer.selection},
            files={**self.files, **newer.files},
            dag_id=newer.dag_id,
            run_id=newer.run_id,
            stamp=newer.stamp,
            ingests=_joined(self.ingests, newer.ingests),
            created=self.created,
            scheduled=_joined(self.scheduled, newer.scheduled),
        )

    def wanted_by(self, ingests: tuple[str, ...], scheduled: tuple[str, ...]) -> Delivery:
        """Return this delivery with more DAGs that want it; none is taken out."""
        return replace(
            self,
            ingests=_joined(self.ingests, ingests),
            scheduled=_joined(self.scheduled, scheduled),
        )

    def without(self, names: Collection[str]) -> Delivery:
        """Return this delivery with some of its files disowned, by name: they will be fetched."""
        kept = {path: file for path, file in self.files.items() if file.name not in names}
        return replace(self, files=kept)


def _joined(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))
