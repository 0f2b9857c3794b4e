"""Findings of an inspection, and the wanted and held products it compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from copernicus_dataspace.catalogue.versions import LATEST
from copernicus_dataspace.models.product import Product  # noqa: TC001 - read by msgspec
from copernicus_dataspace.models.product_state import ProductState  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copernicus_dataspace.stac.inventory import Entry


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
        state: What was found.
        why: Explanation; empty if the product is present.
        successors: The listed products that should be held instead.
        bands: Bands to download, if more than the ingest's own; for a product with successors, the
            bands these must have before it may be removed.
    """

    product: Product
    state: ProductState
    why: str = ""
    successors: tuple[Product, ...] = ()
    bands: tuple[str, ...] = ()


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
