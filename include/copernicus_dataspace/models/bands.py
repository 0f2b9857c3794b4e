"""Band names and file patterns: validation, and selection of a product's files."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import BandError, ConfigurationError
from copernicus_dataspace.models.band_suggestions import suggestions
from copernicus_dataspace.models.manifest import SafeFile, check_distinct, folded, folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_L2A: Final = {
    "B01": (60, 20),
    "B02": (10, 20, 60),
    "B03": (10, 20, 60),
    "B04": (10, 20, 60),
    "B05": (20, 60),
    "B06": (20, 60),
    "B07": (20, 60),
    "B08": (10,),
    "B8A": (20, 60),
    "B09": (60,),
    "B11": (20, 60),
    "B12": (20, 60),
    "SCL": (20, 60),
    "AOT": (10, 20, 60),
    "WVP": (10, 20, 60),
    "TCI": (10, 20, 60),
    "CLDPRB": (20, 60),
    "SNWPRB": (20, 60),
}
"""Resolutions in metres over all baselines, the native one first."""
_L1C: Final = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07"),
    *("B08", "B8A", "B09", "B10", "B11", "B12", "TCI"),
)
_OLD_MASKS: Final = {"CLDPRB": "CLD", "SNWPRB": "SNW"}
"""Names of the probability masks of L2A before baseline 02.07, and in STAC."""
_ITEM_NAME: Final = "item.json"
"""File name of the item beside the delivered files; reserved."""
_SHOWN: Final = 12


def band_names(product_type: str) -> tuple[str, ...]:
    """Return the names of all bands of a product type, those of L2A with each resolution."""
    if product_type == "S2MSI1C":
        return _L1C
    return tuple(f"{band}_{metres}m" for band in _L2A for metres in sorted(_L2A[band]))


def check_bands(bands: Sequence[str], product_type: str) -> None:
    """Refuse entries that no product of this type can hold.

    An entry is a band with resolution (``SCL_20m``; masks are ``CLDPRB`` and ``SNWPRB``), a bare
    band, which means its native resolution, or, with ``*``, ``?`` or ``/``, a glob on the path
    inside the product. L1C names have no resolution. Globs are not checked. Other files, such as
    previews, are selected by a glob: ``*_PVI.jp2``.

    Raises:
        BandError: Names every wrong entry, with a suggestion.
        ConfigurationError: The product type is unknown.
    """
    known = _known(product_type)
    if isinstance(bands, str) or not bands or not all(isinstance(entry, str) for entry in bands):
        message = f"bands is {bands!r}; expected a list of names, such as ['SCL_20m']."
        raise BandError(message)
    complaints = [
        _complaint(entry, product_type)
        for entry in dict.fromkeys(bands)
        if not _is_glob(entry) and _place(entry, product_type) is None
    ]
    if complaints:
        message = f"{' '.join(complaints)} {product_type} has {', '.join(known)}."
        raise BandError(message)


def select_files(
    files: Sequence[SafeFile], bands: Sequence[str], product_type: str
) -> dict[str, tuple[SafeFile, ...]]:
    """Return the files of a product that each entry matches, in the order of the entries.

    A band matches images only, never a mask of the same band. An entry can match several files
    (a glob, or a product with several tiles), and a file several entries. In a glob, ``*`` and
    ``?`` match any character including ``/``; ``[`` is not a wildcard; case matters.

    Raises:
        BandError: As of `check_bands`, or this product has no file for an entry.
        ConfigurationError: The product type is unknown.
    """
    check_bands(bands, product_type)
    chosen = {entry: _matches(files, entry, product_type) for entry in bands}
    empty = [entry for entry, matches in chosen.items() if not matches]
    if empty:
        held = [name for name in band_names(product_type) if _matches(files, name, product_type)]
        if all(_is_glob(entry) for entry in empty) or not held:
            held = [file.path for file in files]
        message = (
            f"This product has no file for {', '.join(map(repr, empty))}. "
            f"It holds {_shortened(held)}."
        )
        raise BandError(message)
    return chosen


def is_selected(path: str, bands: Sequence[str], product_type: str) -> bool:
    """Tell whether any entry matches a path, as in `select_files`."""
    file = SafeFile(path, None, None)
    return any(_matches([file], entry, product_type) for entry in bands)


def stac_assets(bands: Sequence[str], product_type: str) -> tuple[str, ...]:
    """Return the asset names under which the service's STAC lists exactly these bands.

    Empty if an entry is a glob: STAC lists only half of a product's files.

    Raises:
        BandError: As of `check_bands`.
        ConfigurationError: The product type is unknown.
    """
    check_bands(bands, product_type)
    if any(_is_glob(entry) for entry in bands):
        return ()
    if product_type == "S2MSI1C":
        return tuple(dict.fromkeys(bands))
    return tuple(dict.fromkeys(_stac_asset(entry) for entry in bands))


def delivered_names(paths: Iterable[str], taken: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each wanted file below the folder its product is delivered to.

    That is the file's own name. Files that share a name, ignoring case, get their path inside the
    product, below a folder ``_`` (``__``, ...) if that is taken too. Names are unique, differ from
    the item's name, and are no folder of another.

    Args:
        paths: Inside the product.
        taken: Names already given, by path; they do not change. Those of other paths are avoided.

    Raises:
        UnsafeContentError: Two paths are the same file on some systems, or one is a folder of the
            other.
    """
    wanted = set(paths)
    given = {path: taken[path] for path in wanted & set(taken)}
    new = sorted(wanted - set(taken))
    check_distinct(sorted({*new, *taken}), "The product")
    used = _Names([_ITEM_NAME, *taken.values()])
    shared = Counter(folded(posixpath.basename(path)) for path in new)
    alone = [path for path in new if shared[folded(posixpath.basename(path))] == 1]
    for path in sorted(set(new) - set(alone)):
        given[path] = used.take(path)
    for path in alone:
        own = posixpath.basename(path)
        given[path] = used.take(own if used.is_free(own) else path)
    return given


class _Names:
    """Names in use in one folder, and the folders they need."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._folders: set[str] = set()
        for name in names:
            self._add(name)

    def is_free(self, name: str) -> bool:
        place = folded(name)
        return not (
            place in self._names
            or place in self._folders
            or any(folder in self._names for folder in folders(place))
        )

    def take(self, name: str) -> str:
        free, folder = name, ""
        while not self.is_free(free):
            folder += "_"
            free = f"{folder}/{name}"
        self._add(free)
        return free

    def _add(self, name: str) -> None:
        self._names.add(folded(name))
        self._folders.update(folders(folded(name)))


def _known(product_type: str) -> tuple[str, ...]:
    """Return the bands of a type, with their resolutions as ``B01_20m|60m``."""
    if product_type == "S2MSI1C":
        return _L1C
    if product_type == "S2MSI2A":
        return tuple(f"{band}_{_resolutions(band, '|')}" for band in _L2A)
    message = f"product_type is {product_type!r}; expected 'S2MSI2A' or 'S2MSI1C'."
    raise ConfigurationError(message)


def _resolutions(band: str, separator: str) -> str:
    return separator.join(f"{metres}m" for metres in sorted(_L2A[band]))


def _stac_asset(entry: str) -> str:
    band, _, resolution = entry.partition("_")
    return f"{_OLD_MASKS.get(band, band)}_{resolution or f'{_L2A[band][0]}m'}"


def _is_glob(entry: str) -> bool:
    return any(sign in entry for sign in "*?/")


def _matches(files: Sequence[SafeFile], entry: str, product_type: str) -> tuple[SafeFile, ...]:
    if _is_glob(entry):
        glob = entry.replace("[", "[[]")
        return tuple(file for file in files if fnmatch.fnmatchcase(file.path, glob))
    place = _place(entry, product_type)
    return tuple(file for file in files if place is not None and place.fullmatch(file.path))


def _place(entry: str, product_type: str) -> re.Pattern[str] | None:
    """Return the pattern of the path of a band's file; None if there is no such band."""
    if product_type == "S2MSI1C":
        return re.compile(rf"(.+/)?IMG_DATA/[^/]+_{entry}\.jp2") if entry in _L1C else None
    band, separator, resolution = entry.partition("_")
    metres = _L2A.get(band, ())
    if separator and resolution not in {f"{res}m" for res in metres}:
        return None
    if not metres:
        return None
    resolution = resolution or f"{metres[0]}m"
    if band in _OLD_MASKS:
        old = rf"[^/]+_{_OLD_MASKS[band]}_{resolution}"
        return re.compile(rf"(.+/)?QI_DATA/(MSK_{band}_{resolution}|{old})\.jp2")
    return re.compile(rf"(.+/)?IMG_DATA/(R{resolution}/)?[^/]+_{band}_{resolution}\.jp2")


def _complaint(entry: str, product_type: str) -> str:
    band, l1c = entry.partition("_")[0], dict.fromkeys(_L1C, ())
    own, other = (l1c, _L2A) if product_type == "S2MSI1C" else (_L2A, l1c)
    if band in own and own is l1c:
        return f"{entry!r}: bands of {product_type} have no resolution, write {band!r}."
    if band in own:
        return f"{entry!r}: {band} exists at {_resolutions(band, ' and ')}."
    if band.upper() in {*other} - {*own}:
        return f"{entry!r}: {product_type} has no {band.upper()}."
    if "." in entry:
        return f"{entry!r} is not a band; a file is named by a glob, such as {'*' + entry!r}."
    if near := suggestions(entry, own):
        return f"{entry!r} is not a band, did you mean {' or '.join(near)}?"
    absent = suggestions(entry, other)
    return (
        f"{entry!r}: {product_type} has no {absent[0]}." if absent else f"{entry!r} is not a band."
    )


def _shortened(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
