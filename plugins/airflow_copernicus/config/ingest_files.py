"""Lists the ingest files of a folder and assigns their DAG ids, without opening the files."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, TransientError
from copernicus_dataspace.os_errors import may_pass

if TYPE_CHECKING:
    from pathlib import Path

RESERVED_DAG_IDS: Final = ("sentinel2_reconcile", "sentinel2_approve_removals", "example_clear_sky")
"""DAG ids of this project that are not ingests."""

_SUFFIXES: Final = (".yaml", ".yml")
_DAG_ID: Final = re.compile(r"(?!__)[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
"""Two leading underscores could clash with module attributes such as ``__name__``; longer ids are
too long for task groups of `sentinel2_reconcile`."""
_MAX_BROKEN_LENGTH: Final = 100


class IngestFile(NamedTuple):
    """An ingest file, valid or not, and the id of its DAG."""

    path: Path
    dag_id: str


def files_in(folder: Path) -> list[IngestFile]:
    """Return the ingest files of a folder, valid or not, sorted by name.

    The DAG id is the file's name without its suffix; if that is not a valid or unique id, a similar
    one. Folders, hidden files and backup copies of editors are ignored.

    Raises:
        ConfigurationError: The folder cannot be read.
        TransientError: The folder cannot be read at present.
    """
    paths = _paths(folder)
    used = {_comparable(dag_id) for dag_id in RESERVED_DAG_IDS}
    ids: dict[Path, str] = {}
    for path in paths:
        if _DAG_ID.fullmatch(path.stem) and _comparable(path.stem) not in used:
            ids[path] = path.stem
            used.add(_comparable(path.stem))
    for path in paths:
        if path not in ids:
            ids[path] = _unused_dag_id(path, used)
            used.add(_comparable(ids[path]))
    return [IngestFile(path, ids[path]) for path in paths]


def file_of(path: Path) -> IngestFile:
    """Return an ingest file with its DAG id."""
    try:
        found = next((file for file in files_in(path.parent) if file.path == path), None)
    except DataSpaceError:
        found = None
    return found or IngestFile(path, _unused_dag_id(path, set()))


def find(folder: Path, dag_id: str) -> IngestFile | None:
    """Return the ingest file of a DAG, valid or not; None if there is none.

    Raises:
        ConfigurationError: The folder cannot be read.
        TransientError: The folder cannot be read at present.
    """
    return next((file for file in files_in(folder) if file.dag_id == dag_id), None)


def check_name(path: Path) -> None:
    """Check that a file's name can be the id of its DAG.

    Raises:
        ConfigurationError: It is not a valid DAG id, or already in use.
    """
    if file_of(path).dag_id == path.stem:
        return
    name = shown_name(path)
    if not _DAG_ID.fullmatch(path.stem):
        message = (
            f"{name}: the file's name is not a valid DAG id; use up to 200 letters, digits, _ . "
            "and -, and begin with a letter, a digit or a single _."
        )
        raise ConfigurationError(message)
    if _comparable(path.stem) in map(_comparable, RESERVED_DAG_IDS):
        message = f"{name}: this name is reserved for a DAG of this project; rename the file."
        raise ConfigurationError(message)
    valid = (file for file in files_in(path.parent) if file.dag_id == file.path.stem)
    other = next(file for file in valid if _comparable(file.dag_id) == _comparable(path.stem))
    message = (
        f"{name}: {other.path.name} already has this DAG id (suffix, upper and lower case, and . "
        "versus - do not count); rename or remove one of the two files."
    )
    raise ConfigurationError(message)


def check_dag_id(dag_id: str) -> None:
    """Check that an ingest may have this DAG id.

    Raises:
        ConfigurationError: It is invalid or reserved.
    """
    if not _DAG_ID.fullmatch(dag_id):
        message = (
            f"{dag_id!r} is not a valid DAG id; use up to 200 letters, digits, _ . and -, and "
            "begin with a letter, a digit or a single _."
        )
        raise ConfigurationError(message)
    if _comparable(dag_id) in map(_comparable, RESERVED_DAG_IDS):
        message = f"{dag_id!r} is reserved for another DAG of this package; choose another DAG id."
        raise ConfigurationError(message)


def shown_name(path: Path) -> str:
    """Return a file's name for messages, with unprintable characters escaped."""
    return path.name if path.name.isprintable() else repr(path.name)[1:-1]


def _paths(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if _is_ingest(entry)]
    except OSError as error:
        message = f"The folder of ingest files {folder} cannot be read: {error.strerror}."
        raise (TransientError if may_pass(error) else ConfigurationError)(message) from error
    return sorted(folder / name for name in found)


def _is_ingest(entry: os.DirEntry[str]) -> bool:
    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - a Path has none for ".yaml"
    if suffix.lower() not in _SUFFIXES or stem.startswith((".", "~")) or stem.endswith("~"):
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a circular link, or one without permission
        return True


def _comparable(dag_id: str) -> str:
    """Return the key of uniqueness: some file systems ignore case; task groups have no dots."""
    return dag_id.casefold().replace(".", "-")


def _unused_dag_id(path: Path, used: set[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem).lstrip("_-")[:_MAX_BROKEN_LENGTH] or "ingest"
    numbered = (f"{base}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([base], numbered) if _comparable(name) not in used)
