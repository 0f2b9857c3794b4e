import os
from threading import Thread

import boto3
import pytest
import s3fs
from fsspec.implementations.local import LocalFileSystem
from moto.server import ThreadedMotoServer

from dataspace.store import Store


@pytest.fixture(scope="module")
def bucket():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(
        Bucket="archive"
    )
    yield s3fs.S3FileSystem(key="test", secret="test", endpoint_url=url)
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store(LocalFileSystem(), str(tmp_path / "out"))
    return Store(request.getfixturevalue("bucket"), f"archive/{os.urandom(4).hex()}")


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


def test_concurrent_writes_never_mix(store):
    contents = [bytes([n]) * 200_000 for n in range(4)]
    writers = [Thread(target=store.write, args=("same", content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.read("same") in contents
