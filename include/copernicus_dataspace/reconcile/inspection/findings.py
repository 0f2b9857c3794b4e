"""What an inspection may find of a product, and the terms it is compared by."""

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
"""States that fetching the product mends."""
EXPECTED: Final = (PRESENT, *FETCHED, OFFLINE)
"""States of products that should be held; the others are held and should not be."""

_STATES: Final = (*EXPECTED, SUPERSEDED, WITHDRAWN, ORPHANED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an ingest wants to be held.

    Attributes:
        ingest: Its DAG id.
        product_type: ``S2MSI2A`` or ``S2MSI1C``.
        bands: Band names and patterns.
        versions: ``latest`` or ``all``, see `dedupe.choose`.
        keep_archive: Whether each product's zip is kept, too.
        delay: From the end of a sensing day to the run that fetches it.
        known: Ids of all ingests there are: others that an item names are gone.
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
    """What was found of one product.

    Attributes:
        product: As the catalogue lists it; as its item describes it where it is not listed.
        state: One of this module's states.
        why: In words; empty where all is well.
        successors: The listed products that should be held in its place.
        bands: What is to be fetched of it, where that is more than the ingest's own bands; of one
            that has successors, what they must hold before it may go.
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
            `errors.UNREADABLE`: It did not.
        """
        return cls(
            product=Product.from_json(record["product"]),
            state=_STATES[_STATES.index(record["state"])],
            why=text_of(record["why"]),
            successors=tuple(map(Product.from_json, record["successors"])),
            bands=texts_of(record["bands"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all facts as JSON values."""
        return {
            "product": self.product.to_json(),
            "state": self.state,
            "why": self.why,
            "successors": [product.to_json() for product in self.successors],
            "bands": list(self.bands),
        }


@dataclass(frozen=True, slots=True)
class Holdings:
    """What stands of the days in question.

    Attributes:
        entries: All that is held, whoever wants it.
        zips: Size in bytes of kept zips, by product stem.
        damaged: What a look at the bytes found wrong, by product stem.
    """

    entries: Sequence[Entry]
    zips: Mapping[str, int] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    def by_stem(self) -> dict[str, Entry]:
        """Return the entries by product stem."""
        return {entry.product.stem: entry for entry in self.entries}
