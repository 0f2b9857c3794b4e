"""Named areas: distinguishes names from literal areas, and finds their files.

Has no slow imports, so that settings can be checked where they are read.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import AreaError, TransientError
from copernicus_dataspace.os_errors import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

JSON_SUFFIXES: Final = (".geojson", ".json")
SUFFIXES: Final = (*JSON_SUFFIXES, ".gpkg", ".shp", ".kml", ".kmz", ".fgb", ".zip")
"""Suffixes of area files."""
FORMS: Final = "the name of an area file, GeoJSON, WKT, or west,south,east,north in degrees"

WKT: Final = re.compile(
    r"(?:geography')?(?:SRID\s*=\s*(?P<srid>\d+)\s*;)?\s*"
    r"(?P<wkt>[A-Z]+(?:\s+[ZM]+)?(?:\s*\(|\s+EMPTY).*?)'?",
    re.DOTALL | re.IGNORECASE,
)
_WKT_TYPE: Final = re.compile(
    r"(?:(?:MULTI)?(?:POINT|LINESTRING|POLYGON)|LINEARRING|GEOMETRYCOLLECTION)(?:\s*[ZM]+)?\b",
    re.IGNORECASE,
)
_POSITIONS: Final = re.compile(r"\(\s*(?:\(|[-+.\d]+\s+[-+.\d])")
"""Nested brackets, or a pair of numbers, which file names do not have."""
_CORNERS: Final = "write four numbers: west,south,east,north in degrees"
_SEPARATORS: Final = re.compile(r"[/\\\0\n]|^[.~]")
_LONGEST_NAME: Final = 200
_MOST_NAMES: Final = 30


def named_file(text: str, folders: Iterable[Path]) -> tuple[Path, str | None] | None:
    """Return file and layer of a named area; None for a literal area.

    A name is that of a file in a folder, with or without its suffix, ``lake`` or ``lake.gpkg``,
    optionally with a layer, ``lake:north``. It is looked up in the listings of the folders: strings
    are never used as paths. Links in a folder are followed; hidden files are ignored.

    Args:
        text: The input.
        folders: Folders of named areas; for files of the same name, the first one counts.

    Raises:
        AreaError: It is empty, or neither a known form nor a name.
    """
    text = composed(text.strip())
    if not text:
        message = f"it is empty; give {FORMS}."
        raise AreaError(message)
    if text[0] in "{[":
        return None
    files = _files(folders)
    name, _, layer = text.rpartition(":")
    if path := _of_name(text, files):
        return path, None
    if name and (path := _of_name(name, files)):
        return path, layer
    if is_corners(text) or _is_wkt(text):
        return None
    raise AreaError(_refusal(text, files))


def area_names(folders: Iterable[Path]) -> list[str]:
    """Return the names of the areas in folders, without suffix; none if one cannot be read."""
    try:
        return _names(_files(folders))
    except (AreaError, TransientError):
        return []


def is_corners(text: str) -> bool:
    """Tell whether a text looks like a bounding box: several parts, at least one a number."""
    parts = text.split(",")
    return len(parts) > 1 and any(map(_is_number, parts))


def _is_wkt(text: str) -> bool:
    """Tell whether a text looks like WKT; ``lake (1)`` is a name."""
    match = WKT.fullmatch(text)
    if match is None or text.lower().endswith(SUFFIXES):
        return False
    return bool(_WKT_TYPE.match(match["wkt"]) or _POSITIONS.search(match["wkt"]))


def corners(text: str) -> tuple[float, float, float, float]:
    """Parse west, south, east and north; their ranges are not checked.

    Raises:
        AreaError: These are not four numbers, or enclose no area.
    """
    numbers = [_number(part) for part in text.split(",")]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):  # noqa: PLR2004
        message = f"{len(numbers)} numbers, {numbers}, are not a bounding box; {_CORNERS}."
        raise AreaError(message)
    west, south, east, north = numbers
    if west == east or south >= north:
        fault = "west equals east" if west == east else "south is not below north"
        message = (
            f"the bounding box is empty: {fault}; {_CORNERS}. For a point write POINT(lon lat)."
        )
        raise AreaError(message)
    return west, south, east, north


def check_wkt(text: str) -> None:
    """Refuse WKT whose first word is not a geometry type; the rest is not checked.

    Raises:
        AreaError: Names the word.
    """
    match = WKT.fullmatch(text.strip())
    if match and not _WKT_TYPE.match(match["wkt"]):
        word = re.split(r"[\s(]", match["wkt"], maxsplit=1)[0]
        message = f"{word} is neither a name nor a supported WKT type; give {FORMS}."
        raise AreaError(message)


def parsed(text: str) -> Any:
    """Parse JSON.

    Raises:
        AreaError: It is not valid JSON; the message gives the position but not the content.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"the JSON is invalid at {place}: {error.msg}. Correct it there."
        raise AreaError(message) from error
    except RecursionError as error:
        message = "the JSON is nested too deeply to be an area."
        raise AreaError(message) from error


def composed(name: str) -> str:
    """Return a name in Unicode normal form C, as keyboards and file systems differ."""
    return unicodedata.normalize("NFC", name)


def unread(what: str, error: OSError) -> AreaError | TransientError:
    """Return the error for an unreadable file or folder: temporary or permanent."""
    if may_pass(error):
        return TransientError(f"{what} cannot be read now: {error.strerror}.")
    return AreaError(f"{what} cannot be read: {error.strerror}.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        message = f"{text.strip()!r} is not a number; {_CORNERS}."
        raise AreaError(message) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _files(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the area files of folders by their names."""
    files: dict[str, Path] = {}
    for folder in folders:
        files = {**_files_in(folder), **files}
    return files


def _files_in(folder: Path) -> dict[str, Path]:
    try:
        return {composed(file.name): file for file in sorted(folder.iterdir()) if _is_area(file)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise unread(f"the folder of areas {folder.name}", error) from error


def _is_area(file: Path) -> bool:
    is_kind = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    return is_kind and file.is_file()


def _of_name(name: str, files: dict[str, Path]) -> Path | None:
    if name in files:
        return files[name]
    named = (file for file in files.values() if composed(file.stem) == name)
    return min(named, key=lambda file: SUFFIXES.index(file.suffix.lower()), default=None)


def _names(files: dict[str, Path]) -> list[str]:
    return sorted({composed(file.stem) for file in files.values()})


def _refusal(text: str, files: dict[str, Path]) -> str:
    names = _names(files)
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    fault = "no such name"
    if _SEPARATORS.search(text):
        fault = "this is not a name: paths and URLs are not allowed"
    near = _near(text, names)
    hint = f" Did you mean {near}?" if near else ""
    return f"{fault}; there are: {shown or 'none'}.{hint} Give {FORMS}."


def _near(text: str, names: list[str]) -> str | None:
    if len(text) > _LONGEST_NAME:
        return None
    by_fold = {name.casefold(): name for name in names}
    name = (text.rpartition(":")[0] or text).casefold()
    suffix = next((one for one in SUFFIXES if name.endswith(one)), "")
    for like in (name.removesuffix(suffix), name.partition("(")[0].rstrip()):
        if near := difflib.get_close_matches(like, by_fold, n=1):
            return by_fold[near[0]]
    return None
