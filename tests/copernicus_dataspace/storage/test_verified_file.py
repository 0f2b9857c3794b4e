import hashlib
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.errors import CorruptDownloadError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.storage.verified_file import Expected, save

BODY = b"scene classification" * 1000
SHA3 = Checksum("SHA3-256", hashlib.sha3_256(BODY).hexdigest())


def expected(**changes):
    return Expected(
        **{"size_bytes": len(BODY), "checksum": SHA3, "source": "the manifest", **changes}
    )


def test_saves_what_is_right(tmp_path):
    pieces = []
    saved = save(
        [BODY[:7], BODY[7:]], tmp_path / "a.jp2", expected(), what="a", progress=pieces.append
    )
    assert (tmp_path / "a.jp2").read_bytes() == BODY
    assert saved.checksum == SHA3
    assert sum(pieces) == len(BODY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jp2"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BODY[:-1], "19999 bytes with .*, the manifest says 20000"),
        (BODY + b"x", "20001 bytes with"),
        (BODY[:-1] + b"X", "with SHA3-256 .*, the manifest says"),
        (b"", "0 bytes with"),
    ],
)
def test_refuses_what_is_wrong_and_leaves_the_old_file(tmp_path, body, words):
    target = tmp_path / "a.jp2"
    target.write_bytes(b"older, right")
    with pytest.raises(CorruptDownloadError, match=words):
        save([body], target, expected(), what="a.jp2")
    assert target.read_bytes() == b"older, right"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_right_digest_outweighs_a_wrong_size_where_allowed(tmp_path, caplog):
    wrong_size = expected(size_bytes=1, trust_digest=True)
    save([BODY], tmp_path / "a.jp2", wrong_size, what="a.jp2")
    assert "the listed size is wrong" in caplog.text
    with pytest.raises(CorruptDownloadError):
        save([BODY], tmp_path / "b.zip", expected(size_bytes=1), what="b.zip")


def test_nothing_stays_behind_when_the_source_breaks(tmp_path):
    def broken():
        yield BODY[:100]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        save(broken(), tmp_path / "a.jp2", expected(), what="a")
    assert not list(tmp_path.iterdir())


@given(st.binary(max_size=5000), st.lists(st.integers(0, 5000), max_size=20))
def test_any_cutting_into_pieces_gives_the_same_file(tmp_path_factory, body, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
    md5 = Checksum("MD5", hashlib.md5(body).hexdigest())  # noqa: S324
    save(pieces, folder / "x", Expected(len(body), md5, "the catalogue"), what="x")
    assert (folder / "x").read_bytes() == body


def test_a_file_that_cannot_be_begun_leaves_no_thread(tmp_path):
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        save([BODY], tmp_path / "nowhere" / "a.jp2", expected(), what="a")
    assert threading.active_count() <= before
