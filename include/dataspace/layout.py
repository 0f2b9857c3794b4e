"""Knows where things lie below the output root; touches no storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import date

    from dataspace.product import Product


CATALOGS: Final = "stac"
"""All of the static STAC catalogue but its root and its items."""

STAGING: Final = ".staging"
"""All that runs have fetched and not yet delivered, in a folder for each DAG and run."""
CLAIMS: Final = f"{STAGING}/.claims"
"""Which run is just fetching which product, a file for each."""


def bands_dir(product: Product) -> str:
    """Folder of a product's delivered files and its item."""
    return f"{bands_day_dir(product.product_type, product.sensed.date())}/{product.stem}"


def bands_day_dir(product_type: str, day: date) -> str:
    """Folder of all delivered products of a UTC sensing day."""
    return f"bands/{product_type}/{day:%Y/%m/%d}"


def ingest_collection(product_type: str, ingest: str) -> str:
    """Id of the collection of the items that an ingest wants."""
    return f"{product_type}-{folder_name(ingest)}"


def catalog_path(collection: str, day: date) -> str:
    """Path of a collection's catalogue of a UTC sensing day."""
    return f"{CATALOGS}/{collection}/{day:%Y/%m/%d}/catalog.json"


def reports_dir(ingest: str) -> str:
    """Folder of an ingest's reports."""
    return f"reports/{folder_name(ingest)}"


def archive_path(product: Product) -> str:
    """Path of a product's kept zip."""
    return f"{archive_day_dir(product.product_type, product.sensed.date())}/{product.stem}.zip"


def archive_day_dir(product_type: str, day: date) -> str:
    """Folder of all zips kept of a UTC sensing day."""
    return f"archive/{product_type}/{day:%Y/%m/%d}"


def claim_path(product: Product) -> str:
    """Path of the note that says which run has the product in its hands."""
    return f"{CLAIMS}/{product.stem}.json"


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Paths that belong to one run, so that runs never share a partial product.

    Attributes:
        dag_id: Whose run it is.
        run_id: Which one.
        stamp: Which search of the run; a run that is cleared searches again.
    """

    dag_id: str
    run_id: str
    stamp: str = ""

    @property
    def records_dir(self) -> str:
        """Folder of the run's product records and summary."""
        return f"runs/{folder_name(self.dag_id)}/{folder_name(self.run_id)}"

    @property
    def staging_dir(self) -> str:
        """Folder of all that this run has fetched and not yet delivered."""
        return f"{STAGING}/{folder_name(self.dag_id)}/{folder_name(self.run_id)}"

    def product_dir(self, product: Product) -> str:
        """Folder of all that was fetched of a product."""
        return f"{self.staging_dir}/{product.stem}"

    def safe_dir(self, product: Product) -> str:
        """Folder of a product's fetched members, in SAFE layout."""
        return f"{self.product_dir(product)}/{product.stem}.SAFE"

    def receipt_path(self, product: Product) -> str:
        """Path of the note that says which of a product's members were fetched."""
        return f"{self.product_dir(product)}/receipt.json"

    def zip_path(self, product: Product) -> str:
        """Path of a product's fetched zip."""
        return f"{self.product_dir(product)}/{product.stem}.zip"


def folder_name(text: str) -> str:
    """Return the text as one part of a path; different texts stay different."""
    part = quote(text, safe=":+@ ")
    return f"%2E{part[1:]}" if part.startswith(".") else part
