"""Finds the ingest files of a folder and the DAG id of each; opens none of them."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, TransientError
from copernicus_dataspace.os_errors import may_pass

if TYPE_CHECKING:
    from pathlib import Path

TAKEN: Final = ("sentinel2_reconcile", "sentinel2_approve_removals", "example_clear_sky")
"""DAG ids of this project that are no ingests."""

_SUFFIXES: Final = (".yaml", ".yml")
_DAG_ID: Final = re.compile(r"(?!__)[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
"""Two underscores would give Python's own names to what the DAG file defines; longer ids are no
task groups of `sentinel2_reconcile`."""
_LONGEST_BROKEN: Final = 100


class IngestFile(NamedTuple):
    """An ingest file, usable or not, and the id of its DAG."""

    path: Path
    dag_id: str


def files_in(folder: Path) -> list[IngestFile]:
    """Return the ingest files of a folder, usable or not, by name.

    Each has its own DAG id: its name, or, where that cannot be, one like it that no other has.
    Folders, hidden files and copies that editors keep are no ingests.

    Raises:
        ConfigurationError: The folder cannot be read.
        TransientError: Nor can it now, for a fault that may pass.
    """
    paths = _paths(folder)
    used = {_folded(dag_id) for dag_id in TAKEN}
    ids: dict[Path, str] = {}
    for path in paths:
        if _DAG_ID.fullmatch(path.stem) and _folded(path.stem) not in used:
            ids[path] = path.stem
            used.add(_folded(path.stem))
    for path in paths:
        if path not in ids:
            ids[path] = _free(path, used)
            used.add(_folded(ids[path]))
    return [IngestFile(path, ids[path]) for path in paths]


def file_of(path: Path) -> IngestFile:
    """Return an ingest file with the DAG id it has among those of its folder."""
    try:
        found = next((one for one in files_in(path.parent) if one.path == path), None)
    except DataSpaceError:
        found = None
    return found or IngestFile(path, _free(path, set()))


def find(folder: Path, dag_id: str) -> IngestFile | None:
    """Return the ingest file of a DAG, usable or not; None where there is none.

    Raises:
        ConfigurationError: The folder cannot be read.
        TransientError: Nor can it now, for a fault that may pass.
    """
    return next((one for one in files_in(folder) if one.dag_id == dag_id), None)


def check_name(path: Path) -> None:
    """Refuse a file whose name cannot be the id of its DAG.

    Raises:
        ConfigurationError: It is no DAG id, or another file or DAG of this project has it.
    """
    if file_of(path).dag_id == path.stem:
        return
    name = shown_name(path)
    if not _DAG_ID.fullmatch(path.stem):
        message = (
            f"{name}: the file's name is no DAG id; use up to 200 letters, digits, _ . and -, and "
            "begin with one of the first three kinds, not with two _."
        )
        raise ConfigurationError(message)
    if _folded(path.stem) in map(_folded, TAKEN):
        message = f"{name}: a DAG of this project has this name already; rename the file."
        raise ConfigurationError(message)
    others = (one for one in files_in(path.parent) if one.dag_id == one.path.stem)
    other = next(one for one in others if _folded(one.dag_id) == _folded(path.stem))
    message = (
        f"{name}: {other.path.name} has this name already, but for its ending, for upper and lower "
        "case, or for . and -; rename or remove one of the two."
    )
    raise ConfigurationError(message)


def shown_name(path: Path) -> str:
    """Return a file's name for messages, without what cannot be printed or stored."""
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
    except OSError:  # a link that leads round, or where nobody may look
        return True


def _folded(dag_id: str) -> str:
    """Return what must differ: some file systems ignore case, and names of groups have no dots."""
    return dag_id.casefold().replace(".", "-")


def _free(path: Path, used: set[str]) -> str:
    near = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem).lstrip("_-")[:_LONGEST_BROKEN] or "ingest"
    numbered = (f"{near}_{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([near], numbered) if _folded(one) not in used)
