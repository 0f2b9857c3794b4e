"""Knows the folders of runs in a store: which are a run's own, and which nobody has written to."""

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
    """What a run has left in a store.

    Attributes:
        run_id: Which run; None where the folder's name is too short to tell.
        path: Its folder, or what it holds about one ingest.
    """

    run_id: str | None
    path: str


def placed(store: Store, run: RunLayout) -> RunLayout:
    """Return the places of a run: those of an earlier version where it has begun there."""
    earlier = replace(run, is_earlier=True)
    if earlier.records_dir == run.records_dir or not store.sizes(earlier.records_dir):
        return run
    return earlier


def old_runs(store: Store, dag_id: str, before: datetime, about: str = "") -> Iterator[OldRun]:
    """Give what runs of a DAG have noted, none of it after an instant.

    What a storage does not date is not old.

    Args:
        store: Where they have noted it.
        dag_id: Whose runs.
        before: The instant.
        about: An ingest: only what they have noted about that one.
    """
    names = {run_name(about), folder_name(about)}
    for dag_name in sorted({run_name(dag_id), folder_name(dag_id)}):
        store.heal_dates(f"{RUNS}/{dag_name}")
        for run, files in _grouped(store.listing(f"{RUNS}/{dag_name}")).items():
            parts = [part for part in _grouped(files) if not about or part in names]
            noted = [found for path, found in files.items() if path.partition("/")[0] in parts]
            if parts and _is_older(noted, before):
                folder = f"{RUNS}/{dag_name}/{run}"
                is_all = len(noted) == len(files)
                yield OldRun(id_of(run), folder if is_all else f"{folder}/{parts[0]}")


def old_staging(store: Store, before: datetime, dag_ids: Iterable[str]) -> dict[str, list[OldRun]]:
    """Return by DAG id what runs have fetched and not delivered, none of it after an instant.

    Args:
        store: Where they have staged it.
        before: The instant.
        dag_ids: Those that are known. Of others what is in a folder whose name is too short to tell
            the id is left out.
    """
    old: dict[str, list[OldRun]] = defaultdict(list)
    known = {run_name(dag_id): dag_id for dag_id in dag_ids}
    store.heal_dates(STAGING)
    for dag_name, of_dag in _grouped(store.listing(STAGING)).items():
        folder, dag_id = f"{STAGING}/{dag_name}", known.get(dag_name) or id_of(dag_name)
        if folder == LEASES or dag_id is None:
            continue
        for run, files in _grouped(of_dag).items():
            if _is_older(files.values(), before):
                old[dag_id].append(OldRun(id_of(run), f"{folder}/{run}"))
    return dict(old)


def _is_older(files: Iterable[FileInfo], before: datetime) -> bool:
    """Tell whether the storage says of all files that they were written before an instant."""
    return all(file.written is not None and file.written < before for file in files)


def _grouped(files: dict[str, FileInfo]) -> dict[str, dict[str, FileInfo]]:
    """Return files by the first part of their path, and each by the rest of it."""
    groups: dict[str, dict[str, FileInfo]] = defaultdict(dict)
    for path, found in files.items():
        first, _, rest = path.partition("/")
        groups[first][rest] = found
    return dict(groups)
