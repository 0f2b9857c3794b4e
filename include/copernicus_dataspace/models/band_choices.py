"""The bands of both product types and often used files, with words, for people who choose."""

from __future__ import annotations

from typing import Final

from copernicus_dataspace.models.bands import band_names
from copernicus_dataspace.models.product import PRODUCT_TYPES

_WORDS: Final = {
    "B01": "coastal aerosol",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "red edge 1",
    "B06": "red edge 2",
    "B07": "red edge 3",
    "B08": "near infrared",
    "B8A": "narrow near infrared",
    "B09": "water vapour band",
    "B10": "cirrus",
    "B11": "shortwave infrared 1",
    "B12": "shortwave infrared 2",
    "SCL": "scene classification",
    "AOT": "aerosol optical thickness",
    "WVP": "water vapour map",
    "TCI": "true colour image",
    "CLDPRB": "cloud probability",
    "SNWPRB": "snow probability",
}
_FILES: Final = {
    "*/MTD_TL.xml": "tile metadata with sun and viewing angles",
    "*_PVI.jp2": "preview image",
}
_L1C, _L2A = PRODUCT_TYPES["L1C"], PRODUCT_TYPES["L2A"]


def band_choices() -> dict[str, str]:
    """Return the words for each band name, L2A first, and for patterns of often used files."""
    names = dict.fromkeys(band_names(_L2A), "L2A")
    names |= {name: f"L1C{_also_l2a(name)}" for name in band_names(_L1C)}
    bands = {name: f"{_WORDS[name.partition('_')[0]]} ({levels})" for name, levels in names.items()}
    return {**bands, **_FILES}


def _also_l2a(name: str) -> str:
    """Return what an L1C name means for L2A, which has the same bands without cirrus."""
    return "" if name == "B10" else " or L2A at its native resolution"
