"""Disks that are full, or become so; several disks; and what dead tasks leave behind on them."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.errors import StorageFullError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage import verified_file
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import make_product
from copernicus_dataspace_emulator.products import content
from copernicus_dataspace_emulator.stac import assets
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

BANDS = ("SCL_20m", "B8A_20m")
RUN = RunLayout("dag", "run")
WAYS = {
    "files": DeliveryOptions(BANDS),
    "archive": DeliveryOptions(BANDS, "archive"),
    "kept": DeliveryOptions(BANDS, "archive", keep_archive=True),
}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    """Return what says how many bytes every disk has left."""

    def say(size_bytes):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, size_bytes))

    return say


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store(LocalFileSystem(), str(tmp_path / "out"))
    return Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")


@pytest.fixture
def disk(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path / "out"))


@pytest.fixture
def offered(emulator):
    times = [f"2024-08-0{day}T08:36:01.024Z" for day in (1, 2, 3)]
    return [emulator.add(make_product(sensed=one, scale=0.003)) for one in times]


@pytest.fixture
def staged(emulator, offered):
    """Return what stages all products, and gives the jobs and the errors by product stem."""

    def act(store, wanted):
        outcomes = {}
        account = account_of(emulator)
        with Service(endpoints_of(emulator), account, connections=4) as client:
            ids = tuple(one.id for one in offered)
            found = client.catalogue.search(Query(sensed=MISSION, product_ids=ids))
            jobs = [ProductJob(store, RUN, product, wanted) for product in found]
            outcomes = [*stage(jobs, client, lambda *_: lambda _: None)]
        return jobs, {one.product.stem: one.error for one in outcomes if one.error}

    return act


def bodies(emulator):
    return [one for one in emulator.requests if one.path.endswith("/$value")]


def partial_files(store):
    return [path for path in store.sizes("") if path.endswith(".part")]


def delivered(store, jobs):
    """Bytes by name of the bands that stand, once these products are delivered."""
    for job in jobs:
        deliver(job)
    paths = [f"bands/{path}" for path in store.sizes("bands") if path.endswith(".jp2")]
    return {path.rpartition("/")[2]: store.read(path) for path in paths}


def true_bands(offered):
    return {
        path.rpartition("/")[2]: one.read(path)
        for one in offered
        for path in one.files
        if path.endswith(tuple(f"_{band}.jp2" for band in BANDS))
    }


def test_too_little_room_is_refused_with_the_numbers(store, free):
    free(99)
    numbers = r"100 bytes are needed, and 99 are free"
    with pytest.raises(StorageFullError, match=numbers), store.incoming("a/x", 100):
        raise AssertionError
    with store.incoming("a/x", 99) as local:
        local.write_bytes(b"image")
    assert store.read("a/x") == b"image"


def test_before_object_storage_only_the_largest_passing_file_needs_room(free):
    store = Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")
    free(50)
    store.check_space("a", 30, [20, 10])
    free(49)
    numbers = f"{tempfile.gettempdir()}: 50 bytes are needed, .* 49 are free"
    with pytest.raises(StorageFullError, match=numbers):
        store.check_space("a", 30, [20, 10])


def test_before_object_storage_the_full_disk_is_the_scratch_folders(staged, fills_up, free):
    store = Store(MemoryFileSystem(), f"/{os.urandom(4).hex()}")
    free(10**8)
    with fills_up(".jp2."):
        _, errors = staged(store, WAYS["files"])
    assert [type(error) for error in errors.values()] == 3 * [StorageFullError]
    scratch = re.escape(f"{tempfile.gettempdir()}/copernicus-scratch-")
    full = re.compile(rf"{scratch}\w+/\S+ cannot be written: No space left on device; free some")
    assert all(full.match(str(error)) for error in errors.values())


@pytest.mark.parametrize("way", WAYS)
def test_too_little_room_is_found_before_any_body_is_asked_for(emulator, staged, store, free, way):
    free(1000)
    _, errors = staged(store, WAYS[way])
    assert [type(error) for error in errors.values()] == 3 * [StorageFullError]
    assert all("1000 are free" in str(error) for error in errors.values())
    assert bodies(emulator) == []


@pytest.fixture(params=["stac", "manifest"])
def boastful(request, emulator, offered, monkeypatch):
    """The only product; one of its listings gives bogus sizes with the right digests."""
    lie_bytes, entry = 60 * 10**9, content.Entry
    monkeypatch.setattr(assets, "OFF_BY", lie_bytes)
    if request.param == "manifest":
        monkeypatch.setattr(
            content, "Entry", lambda *facts: entry(*facts[:3], facts[3] + lie_bytes, facts[4])
        )
    stac = {"stac": "wrong_size", "manifest": "absent"}[request.param]
    sensed = "2024-08-04T08:36:01.024Z"
    offered[:] = [emulator.add(make_product(sensed=sensed, scale=0.003, stac=stac))]
    return offered[0]


@pytest.mark.parametrize("way", WAYS)
def test_sizes_that_no_product_has_need_no_room(staged, boastful, disk, free, way):
    free(4 * boastful.zip_size)
    jobs, errors = staged(disk, WAYS[way])
    assert errors == {}
    assert delivered(disk, jobs) == true_bands([boastful])


class FullAfter:
    """A file on a disk that takes some bytes more."""

    def __init__(self, file, room, number):
        self.file, self.room, self.number = file, room, number

    def write(self, chunk):
        if not self.room:
            raise OSError(self.number, os.strerror(self.number))
        written = self.file.write(chunk[: self.room])
        self.room -= written
        return written

    def close(self):
        self.file.close()


@pytest.fixture
def fills_up(monkeypatch):
    """Return what lets the disk be full, for a while, under the files whose path holds a text."""
    begin = verified_file.PartialFile.__init__

    @contextlib.contextmanager
    def act(text, number=errno.ENOSPC):
        def limited(self, *args):
            begin(self, *args)
            if text in str(self.path):
                self._file = FullAfter(self._file, 1000, number)

        with monkeypatch.context() as patch:
            patch.setattr(verified_file.PartialFile, "__init__", limited)
            yield

    return act


@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_becomes_full_harms_its_product_only(staged, offered, disk, fills_up, way):
    unlucky = offered[1].name.removesuffix(".SAFE")
    with fills_up(f"{unlucky}.SAFE/"):
        jobs, errors = staged(disk, WAYS[way])
    assert list(errors) == [unlucky]
    assert isinstance(errors[unlucky], StorageFullError)
    assert "free some space" in str(errors[unlucky])
    assert partial_files(disk) == []
    lucky = [job for job in jobs if job.product.stem != unlucky]
    assert delivered(disk, lucky) == true_bands([offered[0], offered[2]])
    assert delivered(disk, staged(disk, WAYS[way])[0]) == true_bands(offered)


def test_a_quota_that_is_used_up_is_a_full_disk(staged, disk, fills_up):
    with fills_up(".jp2.", errno.EDQUOT):
        _, errors = staged(disk, WAYS["files"])
    assert [type(error) for error in errors.values()] == 3 * [StorageFullError]


def test_a_disk_full_under_the_zip_keeps_no_part_of_it(staged, disk, fills_up):
    with fills_up(".zip."):
        _, errors = staged(disk, WAYS["kept"])
    assert [type(error) for error in errors.values()] == 3 * [StorageFullError]
    assert [path for path in disk.sizes("") if ".zip" in path] == []


def test_a_disk_full_under_a_small_file_is_called_so(disk, monkeypatch):
    def refuse(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StorageFullError):
        disk.write("runs/x.json", b"{}")
    assert partial_files(disk) == []


@pytest.fixture
def two_disks(monkeypatch):
    """Let no rename lead from staging to elsewhere; return the renames that were done."""
    rename, done = Path.replace, []

    def replace(self, target):
        if (".staging" in self.parts) != (".staging" in Path(target).parts):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        done.append((self, Path(target)))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    return done


def test_from_disk_to_disk_files_still_appear_by_a_rename(staged, offered, disk, two_disks):
    jobs, errors = staged(disk, WAYS["kept"])
    assert errors == {}
    two_disks.clear()
    assert delivered(disk, jobs) == true_bands(offered)
    zips = [size for path, size in sorted(disk.sizes("archive").items())]
    assert zips == [one.zip_size for one in offered]
    arrived = {target.name for source, target in two_disks if source.suffix == ".part"}
    assert arrived >= {*true_bands(offered), *(f"{s.product.stem}.zip" for s in jobs)}
    assert all(source.parent == target.parent for source, target in two_disks)
    assert partial_files(disk) == []
    assert disk.sizes(".staging") == {}


def test_from_disk_to_disk_a_copy_that_fails_harms_nothing(disk, two_disks, monkeypatch):
    disk.write(".staging/x", b"new")
    disk.write("to/x", b"old")

    def fail(source, target):
        Path(target).write_bytes(b"n")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(StorageFullError):
        disk.move(".staging/x", "to/x")
    assert disk.sizes("to") == {"x": 3}
    assert (disk.read("to/x"), disk.read(".staging/x")) == (b"old", b"new")


def test_partial_files_of_a_dead_task_are_swept_by_its_next_try(staged, offered, disk):
    first, second = (one.name.removesuffix(".SAFE") for one in offered[:2])
    others = [
        f".staging/dag/run/{first}_other/x.part",
        f".staging/dag/other run/{first}/.x.jp2.0123456789ab.part",
        f".staging/other dag/run/{second}/.x.jp2.0123456789ab.part",
    ]
    own = [
        f".staging/dag/run/{first}/.{first}.zip.0123456789ab.part",
        f".staging/dag/run/{second}/{second}.SAFE/GRANULE/.x.jp2.0123456789ab.part",
    ]
    for path in others + own:
        disk.write(path, b"x")
    _, errors = staged(disk, WAYS["files"])
    assert errors == {}
    assert [path for path in own if disk.size(path) is not None] == []
    assert [path for path in others if disk.size(path) is None] == []


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


@contextlib.contextmanager
def death(monkeypatch, owner, name):
    """Let a call write half of what it should and be the last one: nothing is tidied up."""

    def half(source, target):
        content = target if isinstance(target, bytes) else Path(source).read_bytes()
        with Path(source if isinstance(target, bytes) else target).open("wb") as file:
            file.write(content[: len(content) // 2])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, half)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        yield pytest.raises(Killed)


def test_death_within_an_item_leaves_nothing_partial_in_the_end(staged, disk, monkeypatch):
    jobs, _ = staged(disk, WAYS["files"])
    with death(monkeypatch, Path, "write_bytes") as killed, killed:
        deliver(jobs[0])
    deliver(jobs[0])
    assert partial_files(disk) == []


@pytest.mark.usefixtures("two_disks")
def test_death_between_disks_leaves_nothing_partial_in_the_end(staged, disk, monkeypatch):
    jobs, _ = staged(disk, WAYS["kept"])
    with death(monkeypatch, shutil, "copyfile") as killed, killed:
        deliver(jobs[0])
    deliver(jobs[0])
    assert partial_files(disk) == []


def test_temporary_folders_of_dead_processes_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = "copernicus-scratch-"
    dead, alive, foreign = (Path(tempfile.mkdtemp(prefix=prefix)) for prefix in (ours, ours, "x-"))
    for folder in (dead, foreign):
        (folder / "x.part").write_bytes(b"x")
        os.utime(folder, (0, 0))
    Store(MemoryFileSystem(), "/scratch").write("x", b"x")
    assert sorted(tmp_path.iterdir()) == sorted([alive, foreign])
