"""Findings of an inspection, and the wanted and held products it compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.catalogue.versions import LATEST
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.stac.delivered_files import text_of, texts_of
from copernicus_dataspace.stac.inventory import ABSENT, DAMAGED, MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copernicus_dataspace.stac.inventory import Entry

PRESENT: Final = "present"
LATE: Final = "late"
OFFLINE: Final = "offline"
SUPERSEDED: Final = "superseded"
WITHDRAWN: Final = "withdrawn"
ORPHANED: Final = "orphaned"

FETCHED: Final = (MISSING, LATE, ABSENT, DAMAGED)
"""States that a download repairs."""
EXPECTED: Final = (PRESENT, *FETCHED, OFFLINE)
"""States of products that should be held; the others are held and should not be."""

_STATES: Final = (*EXPECTED, SUPERSEDED, WITHDRAWN, ORPHANED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an ingest wants.

    Attributes:
        ingest: Name of the ingest.
        product_type: ``S2MSI2A`` or ``S2MSI1C``.
        bands: Band names and patterns.
        versions: ``latest`` or ``all``, see `versions.choose`.
        keep_archive: Whether each product's zip is kept too.
        delay: Time from the end of a sensing day to its scheduled run.
        known: Names of all existing ingests; others in an item were removed.
    """

    ingest: str
    product_type: str
    bands: tuple[str, ...]
    versions: str = LATEST
    keep_archive: bool = False
    delay: timedelta = timedelta(0)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding for one product.

    Attributes:
        product: As listed in the catalogue, or as in its item if it is not listed.
        state: One of this module's states.
        why: Explanation; empty if the product is present.
        successors: The listed products that should be held instead.
        bands: Bands to download, if more than the ingest's own; for a product with successors, the
            bands these must have before it may be removed.
    """

    product: Product
    state: str
    why: str = ""
    successors: tuple[Product, ...] = ()
    bands: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_json` wrote.

        Raises:
            `errors.UNREADABLE`: It is damaged.
        """
        return cls(
            product=Product.from_json(record["product"]),
            state=_STATES[_STATES.index(record["state"])],
            why=text_of(record["why"]),
            successors=tuple(map(Product.from_json, record["successors"])),
            bands=texts_of(record["bands"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "product": self.product.to_json(),
            "state": self.state,
            "why": self.why,
            "successors": [product.to_json() for product in self.successors],
            "bands": list(self.bands),
        }


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held of some days.

    Attributes:
        entries: All entries, for any ingest.
        zips: Size in bytes of kept zips, by product stem.
        damaged: Wrong checksums, as text by product stem.
    """

    entries: Sequence[Entry]
    zips: Mapping[str, int] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    def by_stem(self) -> dict[str, Entry]:
        """Return the entries by product stem."""
        return {entry.product.stem: entry for entry in self.entries}
