"""Layout of an archive: paths below its root."""

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
"""Records of runs, in a folder for each owner and run."""
QUARANTINED: Final = "quarantine"
"""Products moved away instead of deleted, with their original paths."""
CATALOGS: Final = "stac"
"""The static STAC catalogue, except its root and its items."""

STAGING: Final = ".staging"
"""Downloaded files that are not delivered yet, in a folder for each owner and run."""
LEASES: Final = f"{STAGING}/.claims"
"""Leases, one file per product."""

_ODD: Final = re.compile(
    r"[^A-Za-z0-9_.+@ -]|\A[. ]|[. ]\Z|\A(?=(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)).",
    re.IGNORECASE | re.ASCII,
)
"""Characters and names that some disks or shares refuse; Windows reserves some names."""
_ESCAPED: Final = re.compile(r"((?:=[0-9A-F]{2})+)")
_TIME: Final = re.compile(r"(?<=[0-9])(t(?=[0-9])|z(?![a-z]))")
"""The letters of a timestamp, usually the only upper-case ones in an id."""
_LONGEST_NAME: Final = 120
"""Maximum characters of a name; encrypted disks allow 143."""
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


def kept_zip_path(product: Product) -> str:
    """Path of a product's kept zip."""
    return f"{kept_zips_dir(product.product_type, product.sensed.date())}/{product.stem}.zip"


def kept_zips_dir(product_type: str, day: date) -> str:
    """Folder of all zips kept of a UTC sensing day."""
    return f"archive/{product_type}/{day:%Y/%m/%d}"


def lease_path(product: Product) -> str:
    """Path of a product's lease."""
    return f"{LEASES}/{product.stem}.json"


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Paths that belong to one run, so that runs never share a partial product.

    Attributes:
        owner: Owner of the run.
        run_id: Id of the run.
        stamp: Id of the search; a restarted run searches again.
        is_earlier: Whether the folders have the names of an earlier version.
    """

    owner: str
    run_id: str
    stamp: str = ""
    is_earlier: bool = False

    @property
    def records_dir(self) -> str:
        """Folder of the run's product records and summary."""
        return f"{RUNS}/{self._own}"

    @property
    def staging_dir(self) -> str:
        """Folder of the run's downloaded files that are not delivered yet."""
        return f"{STAGING}/{self._own}"

    def name_of(self, text: str) -> str:
        """Return an id as a folder name of this run."""
        return folder_name(text) if self.is_earlier else run_name(text)

    @property
    def _own(self) -> str:
        return f"{self.name_of(self.owner)}/{self.name_of(self.run_id)}"

    def product_dir(self, product: Product) -> str:
        """Folder of a product's downloaded files."""
        return f"{self.staging_dir}/{product.stem}"

    def safe_dir(self, product: Product) -> str:
        """Folder of a product's downloaded files, in SAFE layout."""
        return f"{self.product_dir(product)}/{product.stem}.SAFE"

    def receipt_path(self, product: Product) -> str:
        """Path of the receipt of a product's download."""
        return f"{self.product_dir(product)}/receipt.json"

    def zip_path(self, product: Product) -> str:
        """Path of a product's downloaded zip."""
        return f"{self.product_dir(product)}/{product.stem}.zip"


def folder_name(text: str) -> str:
    """Return the name of an ingest as a folder name; different names stay different.

    Earlier versions used this for folders of runs too, with colons, which some disks refuse.
    """
    part = quote(text, safe=":+@ ")
    return f"%2E{part[1:]}" if part.startswith(".") else part


def run_name(text: str) -> str:
    """Return an id as a folder name that is valid on every disk.

    Different ids stay different, also on case-insensitive disks. Special characters are escaped as
    ``=3A``, so that the name is valid in a URL.
    """
    name = _ODD.sub(lambda odd: _escaped(odd[0]), text)
    if len(name) > _LONGEST_NAME:
        return f"{name[: _LONGEST_NAME - 20].rstrip('.= ')}{_marked(text)}"
    usual = _TIME.sub(lambda letter: letter[0].upper(), text.lower())
    return name if text == usual else f"{name}{_marked(text)}"


def id_of(name: str) -> str | None:
    """Return the id for a folder name of `run_name` or an earlier version; None if truncated."""
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
