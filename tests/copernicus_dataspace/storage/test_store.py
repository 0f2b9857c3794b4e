import errno
import os
from pathlib import Path
from threading import Barrier, Thread

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from copernicus_dataspace.errors import (
    NoConditionalWriteError,
    StorageFullError,
    StorageRefusedError,
    StorageUnavailableError,
)
from copernicus_dataspace.storage.store import Store


def test_what_is_written_is_read(store):
    assert store.read("a/b.json") is None
    assert store.size("a/b.json") is None
    store.write("a/b.json", b"one")
    store.write("a/b.json", b"three")
    assert store.read("a/b.json") == b"three"
    assert store.size("a/b.json") == 5


def test_sizes_are_those_below_the_folder(store):
    assert store.sizes("x") == {}
    store.write("x/a", b"1")
    store.write("x/deep/b", b"22")
    store.write("xy/c", b"333")
    assert store.sizes("x") == {"a": 1, "deep/b": 2}


def test_incoming_appears_whole_or_not_at_all(store):
    with store.incoming("in/x.jp2") as local:
        local.write_bytes(b"image")
    assert store.read("in/x.jp2") == b"image"
    with pytest.raises(RuntimeError), store.incoming("in/y.jp2"):
        raise RuntimeError
    assert store.read("in/y.jp2") is None


def test_move_and_delete(store):
    store.write("from/x", b"1")
    store.write("to/x", b"old")
    store.move("from/x", "to/x")
    assert store.read("to/x") == b"1"
    assert store.read("from/x") is None
    store.delete("to")
    store.delete("to")
    assert store.sizes("to") == {}
    with pytest.raises(FileNotFoundError):
        store.move("from/x", "to/x")


def test_open_reads_at_any_place(store):
    store.write("z", bytes(range(256)))
    with store.open("z") as file:
        file.seek(200)
        assert file.read(2) == bytes([200, 201])


def test_head_is_the_beginning(store):
    store.write("z", bytes(range(256)))
    assert store.head("z", 4) == bytes([0, 1, 2, 3])
    assert store.head("z", 999) == bytes(range(256))
    with pytest.raises(FileNotFoundError):
        store.head("nothing", 4)


def test_concurrent_writes_never_mix(store):
    contents = [bytes([n]) * 200_000 for n in range(4)]
    writers = [Thread(target=store.write, args=("same", content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.read("same") in contents


def test_of_many_that_create_at_once_one_has_made_it(store):
    contents = [bytes([n]) * 200 for n in range(12)]
    made, start = [], Barrier(len(contents))

    def create(content):
        start.wait()
        if store.create("new/one", content):
            made.append(content)

    creators = [Thread(target=create, args=(content,)) for content in contents]
    for creator in creators:
        creator.start()
    for creator in creators:
        creator.join()
    assert made == [store.read("new/one")]
    assert store.sizes("new") == {"one": 200}
    store.delete("new/one")
    assert store.create("new/one", b"again")


class Plain(MemoryFileSystem):
    """A service that refuses a conditional upload as unknown to it."""

    cachable = False

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        if mode == "create":
            raise OSError(errno.ENOSYS, "NotImplemented")
        super().pipe_file(path, value, mode, **kwargs)


class Stale(MemoryFileSystem):
    """A share of which one folder cannot be listed for a while."""

    cachable = False
    is_stale = True

    def ls(self, path, detail=True, **kwargs):
        if self.is_stale and path.endswith("/deep"):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return super().ls(path, detail, **kwargs)


def test_what_cannot_be_listed_is_not_taken_for_empty():
    fs = Stale()
    store = Store(fs, f"/{os.urandom(4).hex()}")
    store.write("x/a", b"1")
    store.write("x/deep/b", b"22")
    for look in (store.sizes, store.listing, store.delete):
        with pytest.raises(StorageUnavailableError, match="Stale file handle"):
            look("x")
    fs.is_stale = False
    assert store.sizes("x") == {"a": 1, "deep/b": 2}
    assert store.sizes("nowhere") == {}


def test_a_service_that_cannot_create_says_so_and_nothing_is_written():
    store = Store(Plain(), f"/{os.urandom(4).hex()}")
    with pytest.raises(
        NoConditionalWriteError, match=r"memory://.*/one cannot be written conditionally"
    ):
        store.create("one", b"first")
    assert store.read("one") is None


def test_what_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "out").write_bytes(b"a file where the folder should be")
    with pytest.raises(StorageRefusedError, match=r"/out/x cannot be written: File exists"):
        Store(LocalFileSystem(), str(tmp_path / "out")).create("x", b"")


def test_a_disk_that_is_full_keeps_nothing_of_what_was_to_be_created(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    store = Store(LocalFileSystem(), str(tmp_path))
    really_open = Path.open

    def full(path, mode):
        really_open(path, mode).close()
        return really_open(Path("/dev/full"), "wb")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageFullError):
            store.create("x", b"{}")
    assert store.create("x", b"{}")
