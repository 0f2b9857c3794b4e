"""No path leaves the root of a store, and no name in it is a pattern."""

import os
import time

import boto3
import pytest
import s3fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from copernicus_dataspace.errors import UnsafeContentError
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.static_catalog import refresh
from copernicus_dataspace.storage.store import Store
from tests.support.products.held import held_product, hold

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
NAMES = [
    "a*c",
    "a?c",
    "a[b]c",
    "[!x]bc",
    "a**",
    "*",
    "a c",
    "a%2Fc",
    "a#c",
    "aßç",
    "a{b,d}c",
    "ab+c",
]
BESIDE = ["abc", "axc", "a", "abcd", "a/c"]


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS).create_bucket(
        Bucket="output"
    )
    yield s3fs.S3FileSystem(key="test", secret="test", endpoint_url=url)
    server.stop()


@pytest.fixture(params=["disk", "memory", "s3"])
def top(request, tmp_path):
    """A filesystem and an empty folder of it."""
    if request.param == "disk":
        return LocalFileSystem(), str(tmp_path)
    if request.param == "memory":
        return MemoryFileSystem(), f"/{os.urandom(4).hex()}"
    return request.getfixturevalue("s3"), f"output/{os.urandom(4).hex()}"


def content_of(fs, folder):
    fs.invalidate_cache()
    return {path: fs.cat_file(path) for path in fs.find(folder)}


def touch_everything(store):
    """Use all that a store can do, on an archive of one product."""
    held = hold(store, held_product())
    refresh(store, "S2MSI2A", [held.sensed.date()])
    (entry,) = Inventory(store).day("S2MSI2A", held.sensed.date())
    assert not entry.problems(entry.selection)
    store.write("bands/x.part", b"x")
    store.write("bands/deep/er/y", b"y")
    store.sweep("bands")
    store.move("bands/deep/er/y", "quarantine/y")
    assert store.read("bands/deep/er/y") is None
    assert store.create("claims/x", b"x") is True
    assert store.create("claims/x", b"y") is False
    with store.incoming("bands/z") as local:
        local.write_bytes(b"z" * 10)
    with store.open("bands/z") as file:
        assert file.read() == b"z" * 10
    assert (store.head("bands/z", 3), store.size("bands/z")) == (b"zzz", 10)
    assert store.folders("") == ["bands", "claims", "quarantine", "stac"]
    assert set(store.sizes("quarantine")) == {"y"}
    store.delete("claims")
    store.delete("claims/x")
    store.delete("bands/nothing")
    store.delete("bands")
    refresh(store, "S2MSI2A", [held.sensed.date()])
    store.heal_dates("quarantine")
    return held


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_whose_name_is_a_pattern_touches_no_other(name, top):
    fs, folder = top
    for beside in BESIDE:
        other = Store(fs, f"{folder}/{beside}")
        for path in ("bands/S2MSI2A/x", "bands/z", "claims/x", "catalog.json", "bands/x.part"):
            other.write(path, b"theirs")
    before = content_of(fs, folder)
    store = Store(fs, f"{folder}/{name}")
    touch_everything(store)
    after = content_of(fs, folder)
    assert {path: after.get(path) for path in before} == before
    assert {path.rpartition("/")[2] for path in set(after) - set(before)} == {"y", "catalog.json"}


@pytest.mark.parametrize("name", ["x*", "*", "[a]", "?", "a b", "%41", "a#b", "{a,b}"])
def test_a_file_whose_name_is_a_pattern_is_one_file(name, top):
    store = Store(*top)
    for path in (f"f/{name}", "f/xy", "f/a", "f/b", "g/a"):
        store.write(path, path.encode())
    store.move(f"f/{name}", f"moved/{name}")
    assert store.read(f"moved/{name}") == f"f/{name}".encode()
    store.delete(f"moved/{name}")
    store.delete(f"f/{name}")
    assert set(store.sizes("f")) == {"xy", "a", "b"}
    store.delete("[f]")
    assert set(store.sizes("g")) == {"a"}


def test_deleting_a_folder_removes_what_begins_like_it_not(top):
    store = Store(*top)
    for path in ("f/a", "f/deep/b", "fa", "f2/a", "f.json"):
        store.write(path, b"x")
    store.delete("f")
    assert set(store.sizes("")) == {"fa", "f2/a", "f.json"}
    assert store.folders("") == ["f2"]


def test_a_folder_of_two_hundred_objects_goes_in_seconds(s3):
    store = Store(s3, f"output/{os.urandom(4).hex()}")
    for number in range(200):
        s3.pipe_file(store.uri(f"f/{number}"), b"x")
    began = time.monotonic()
    store.delete("f")
    assert store.sizes("f") == {}
    assert time.monotonic() - began < 60


UNSAFE = [
    *("..", ".", "", "/", "/etc/passwd", "../x", "a/../x", "a/../../x", "a/..", "./x", "a/./x"),
    *(
        "a//x",
        "a/",
        "\\x",
        "a\\..\\x",
        "..\\x",
        "a\0b",
        "a\nb",
        "\x7f",
        "x" * 256,
        "a/" * 600 + "a",
    ),
    *("\ud800", "//x", "a/.."),
]


def calls(store, path):
    return {
        "read": lambda: store.read(path),
        "head": lambda: store.head(path, 1),
        "size": lambda: store.size(path),
        "write": lambda: store.write(path, b"x"),
        "create": lambda: store.create(path, b"x"),
        "open": lambda: store.open(path),
        "incoming": lambda: store.incoming(path).__enter__(),
        "move": lambda: store.move(path, "kept"),
        "move to": lambda: store.move("kept", path),
        "delete": lambda: store.delete(path),
        "uri": lambda: store.uri(path),
    }


def test_no_call_takes_a_path_that_may_leave_the_root(top):
    fs, folder = top
    store = Store(fs, f"{folder}/root")
    store.write("kept", b"ours")
    for path in UNSAFE:
        for call in calls(store, path).values():
            with pytest.raises(UnsafeContentError, match="it is refused"):
                call()
        for call in (store.sizes, store.listing, store.folders, store.sweep) if path else ():
            with pytest.raises(UnsafeContentError):
                call(path)
    assert store.read("kept") == b"ours"


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["..", ".", "", "a", "b*", "\\", " ", "~", "%2e%2e"])).map("/".join)
)
def test_no_text_leaves_the_root(tmp_path_factory, path):
    top = tmp_path_factory.mktemp("top")
    store = Store(LocalFileSystem(), str(top / "root"))
    try:
        store.write(path, b"x")
    except UnsafeContentError:
        written = []
    else:
        assert store.read(path) == b"x"
        written = [top / "root" / path]
    assert [one for one in top.rglob("*") if one.is_file()] == written
    assert [one.name for one in top.iterdir()] == ["root"] * len(written)


def test_a_link_out_of_the_root_is_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "deep").mkdir(parents=True)
    (outside / "x").write_bytes(b"theirs")
    store = Store(LocalFileSystem(), str(root))
    store.write("bands/a/x", b"ours")
    (root / "bands/link").symlink_to(outside)
    (root / "bands/file").symlink_to(outside / "x")
    for path in ("bands/link/x", "bands/link/deep/y"):
        for name in ("read", "write", "create", "delete", "move", "move to", "open", "incoming"):
            with pytest.raises(
                UnsafeContentError, match=r"is a link out of the output to .*outside"
            ):
                calls(store, path)[name]()
    for call in (store.sizes, store.folders, store.sweep):
        with pytest.raises(UnsafeContentError, match="is a link out"):
            call("bands/link")
    store.write("bands/file", b"ours")
    store.delete("bands/link")
    store.delete("bands")
    assert (outside / "x").read_bytes() == b"theirs"
    assert (outside / "deep").is_dir()


def test_the_root_may_be_a_link_and_links_inside_stay_inside(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    store = Store(LocalFileSystem(), str(tmp_path / "root"))
    store.write("a/x", b"x")
    (tmp_path / "disk/b").symlink_to(tmp_path / "disk/a")
    assert store.read("b/x") == b"x"
    assert (tmp_path / "disk/a/x").read_bytes() == b"x"


@pytest.mark.parametrize("path", ["folder", "file/below", "folder/none"])
def test_what_is_no_file_reads_as_nothing(path, top):
    store = Store(*top)
    store.write("folder/x", b"x")
    store.write("file", b"x")
    assert store.read(path) is None
