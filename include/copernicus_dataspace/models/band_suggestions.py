"""Suggests bands for an unknown band name: misspelt, or used in other catalogues."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ELSEWHERE: Final[Mapping[str, str]] = {
    "CLD": "CLDPRB",
    "CLOUD": "CLDPRB",
    "SNW": "SNWPRB",
    "SNOW": "SNWPRB",
    "COASTAL": "B01",
    "BLUE": "B02",
    "GREEN": "B03",
    "RED": "B04",
    "NIR": "B08",
    "REDEDGE1": "B05",
    "REDEDGE2": "B06",
    "REDEDGE3": "B07",
    "NIR08": "B8A",
    "NIR09": "B09",
    "CIRRUS": "B10",
    "SWIR16": "B11",
    "SWIR22": "B12",
    "VISUAL": "TCI",
    "RGB": "TCI",
}
"""Names in the service's STAC, in other catalogues, and of colours."""
_NUMBERED: Final = re.compile(r"B0*(?P<number>\d{1,2})(?P<letter>A?)")
_METRES: Final = re.compile(r"(?P<band>.+?)_?(?P<metres>10|20|60)_?M?")
_LONGEST: Final = 40
_LIKE: Final = 0.6
"""Minimum similarity: two of three letters in order, as of SLC and SCL."""


def suggestions(entry: str, known: Mapping[str, Sequence[int]]) -> list[str]:
    """Return suggested band names for an unknown entry, the likeliest first; may be empty.

    Args:
        entry: What was written.
        known: The existing bands with their resolutions in metres; none for L1C.
    """
    written = re.sub(r"[^A-Z0-9]+", "_", entry.upper()).strip("_").removeprefix("MSK_")
    for band, metres in _readings(written):
        if near := _near(band, known):
            return [f"{one}_{metres}m" if metres in known[one] else one for one in near]
    return []


def _readings(written: str) -> Iterator[tuple[str, int | None]]:
    """Yield the ways to read a text as a band and its resolution."""
    if len(written) > _LONGEST:
        return
    yield written, None
    if match := _METRES.fullmatch(written):
        yield match["band"], int(match["metres"])
    yield written.partition("_")[0], None


def _near(band: str, known: Mapping[str, Sequence[int]]) -> list[str]:
    if match := _NUMBERED.fullmatch(band):
        number, letter = match["number"], match["letter"]
        same = [f"B{number}A"] if letter else [f"B{number:0>2}", f"B{number}A"]
        return [one for one in same if one in known] or [*{f"B{number[::-1]}"} & {*known}]
    named = _ELSEWHERE.get(band, band)
    lettered = [name for name in known if name.isalpha()]
    near = difflib.get_close_matches(band, lettered, 2, _LIKE) if band.isalpha() else []
    return [named] if named in known else near
