"""Folders of runs in a store: those of a given run, and old ones to clean up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copernicus_dataspace.storage.layout import LEASES, RUNS, STAGING, folder_name, id_of, run_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.object_storage import FileInfo
    from copernicus_dataspace.storage.store import Store


@dataclass(frozen=True, slots=True)
class OldRun:
    """A folder of an old run.

    Attributes:
        run_id: Id of the run; None if its name is truncated.
        path: Folder of the run, or its subfolder for one ingest.
    """

    run_id: str | None
    path: str


def placed(store: Store, run: RunLayout) -> RunLayout:
    """Return the layout of a run: that of an earlier version if the run was started with it."""
    earlier = replace(run, is_earlier=True)
    if earlier.records_dir == run.records_dir or not store.sizes(earlier.records_dir):
        return run
    return earlier


def old_runs(store: Store, owner: str, before: datetime, about: str = "") -> Iterator[OldRun]:
    """Yield the folders of an owner's runs that were last written before an instant.

    Files without a date count as new.

    Args:
        store: Store with the runs.
        owner: Owner of the runs.
        before: The instant.
        about: Name of an ingest: only the subfolders for it.
    """
    names = {run_name(about), folder_name(about)}
    for owner_name in sorted({run_name(owner), folder_name(owner)}):
        store.heal_dates(f"{RUNS}/{owner_name}")
        for run, files in _grouped(store.listing(f"{RUNS}/{owner_name}")).items():
            parts = [part for part in _grouped(files) if not about or part in names]
            noted = [found for path, found in files.items() if path.partition("/")[0] in parts]
            if parts and _is_older(noted, before):
                folder = f"{RUNS}/{owner_name}/{run}"
                is_all = len(noted) == len(files)
                yield OldRun(id_of(run), folder if is_all else f"{folder}/{parts[0]}")


def old_staging(store: Store, before: datetime, owners: Iterable[str]) -> dict[str, list[OldRun]]:
    """Return by owner the staging folders that were last written before an instant.

    Args:
        store: Store with the staged files.
        before: The instant.
        owners: Known owners. Folders of other owners are skipped if their name is truncated.
    """
    old: dict[str, list[OldRun]] = defaultdict(list)
    known = {run_name(owner): owner for owner in owners}
    store.heal_dates(STAGING)
    for owner_name, of_owner in _grouped(store.listing(STAGING)).items():
        folder, owner = f"{STAGING}/{owner_name}", known.get(owner_name) or id_of(owner_name)
        if folder == LEASES or owner is None:
            continue
        for run, files in _grouped(of_owner).items():
            if _is_older(files.values(), before):
                old[owner].append(OldRun(id_of(run), f"{folder}/{run}"))
    return dict(old)


def _is_older(files: Iterable[FileInfo], before: datetime) -> bool:
    """Tell whether all files were written before an instant."""
    return all(file.written is not None and file.written < before for file in files)


def _grouped(files: dict[str, FileInfo]) -> dict[str, dict[str, FileInfo]]:
    """Group files by the first part of their path."""
    groups: dict[str, dict[str, FileInfo]] = defaultdict(dict)
    for path, found in files.items():
        first, _, rest = path.partition("/")
        groups[first][rest] = found
    return dict(groups)
