"""Knows where things lie below the output root; touches no storage."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from datetime import date

    from copernicus_dataspace.models.product import Product

RUNS: Final = "runs"
"""What runs have noted, in a folder for each DAG and run."""
QUARANTINED: Final = "quarantine"
"""What was moved away instead of deleted, by the paths that it had."""
CATALOGS: Final = "stac"
"""All of the static STAC catalogue but its root and its items."""

STAGING: Final = ".staging"
"""All that runs have fetched and not yet delivered, in a folder for each DAG and run."""
LEASES: Final = f"{STAGING}/.claims"
"""Which run is just fetching which product, a file for each."""

_ODD: Final = re.compile(
    r"[^A-Za-z0-9_.+@ -]|\A[. ]|[. ]\Z|\A(?=(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)).",
    re.IGNORECASE | re.ASCII,
)
"""What some disk or share does not take in a name: Windows reserves some names as a whole."""
_ESCAPED: Final = re.compile(r"((?:=[0-9A-F]{2})+)")
_TIME: Final = re.compile(r"(?<=[0-9])(t(?=[0-9])|z(?![a-z]))")
"""The letters of a time, which alone are usually upper case in an id."""
_LONGEST_NAME: Final = 120
"""Characters of a name, of the 143 that encrypted disks take."""
_MARK: Final = "~"
_MARKED: Final = re.compile(r"~[0-9a-f]{12}\Z")


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


def lease_path(product: Product) -> str:
    """Path of the note that says which run has the product in its hands."""
    return f"{LEASES}/{product.stem}.json"


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Paths that belong to one run, so that runs never share a partial product.

    Attributes:
        dag_id: Whose run it is.
        run_id: Which one.
        stamp: Which search of the run; a run that is cleared searches again.
        is_earlier: Whether its folders have the names that an earlier version has given them.
    """

    dag_id: str
    run_id: str
    stamp: str = ""
    is_earlier: bool = False

    @property
    def records_dir(self) -> str:
        """Folder of the run's product records and summary."""
        return f"{RUNS}/{self._own}"

    @property
    def staging_dir(self) -> str:
        """Folder of all that this run has fetched and not yet delivered."""
        return f"{STAGING}/{self._own}"

    def name_of(self, text: str) -> str:
        """Return the name of a folder in the run's."""
        return folder_name(text) if self.is_earlier else run_name(text)

    @property
    def _own(self) -> str:
        return f"{self.name_of(self.dag_id)}/{self.name_of(self.run_id)}"

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
    """Return the id of an ingest as one part of a path; different texts stay different.

    Earlier versions named folders of runs so, too, with colons, which some disks refuse.
    """
    part = quote(text, safe=":+@ ")
    return f"%2E{part[1:]}" if part.startswith(".") else part


def run_name(text: str) -> str:
    """Return the id of a run, or of what belongs to one, as a name that every disk takes.

    Different texts stay different, also where upper and lower case are the same. What is odd is
    written as ``=3A``, so that the name can be part of a URL as it is.
    """
    name = _ODD.sub(lambda odd: _escaped(odd[0]), text)
    if len(name) > _LONGEST_NAME:
        return f"{name[: _LONGEST_NAME - 20].rstrip('.= ')}{_marked(text)}"
    usual = _TIME.sub(lambda letter: letter[0].upper(), text.lower())
    return name if text == usual else f"{name}{_marked(text)}"


def id_of(name: str) -> str | None:
    """Return the id of a run whose folder is named so, by `run_name` or an earlier version."""
    text = _ESCAPED.sub(_unescaped, name.partition(_MARK)[0])
    if name == run_name(text):
        return text
    return None if _MARKED.search(name) else unquote(name)


def _escaped(text: str) -> str:
    return "".join(f"={byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _unescaped(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped[0].replace("=", "")).decode("utf-8", "replace")


def _marked(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_MARK}{digest[:12]}"
