"""What is written as a record is read back, whatever a file system or a service put into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.json_records import Amount, read_json, write_json


@dataclass(frozen=True, slots=True)
class Record:
    path: str
    geometry: dict[str, Any]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    path: str
    seconds: Amount


texts = st.text() | st.binary().map(lambda name: name.decode(errors="surrogateescape"))
"""Also names of files that are not UTF-8."""
values = st.recursive(
    texts | st.floats() | st.integers(-(2**70), 2**70) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def same(record: Record) -> str:
    """Return a text that is equal for equal records; NaN is not equal to itself."""
    return repr(record)


@given(
    st.builds(
        Record,
        path=texts,
        geometry=st.dictionaries(texts, values, max_size=3),
        names=st.lists(texts, max_size=3).map(tuple),
    ),
    st.sampled_from([None, 1]),
)
def test_what_is_written_is_read_back(record: Record, indent: int | None) -> None:
    assert same(read_json(write_json(record, indent=indent), Record)) == same(record)


@pytest.mark.parametrize("path", ["file:///a", "file:///\udcff"])
@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-Infinity", "-1", "1e16", '"1"', "null"])
def test_a_measure_is_never_read_as_a_value_out_of_its_bounds(path: str, seconds: str) -> None:
    content = f'{{"path": {json.dumps(path)}, "seconds": {seconds}}}'.encode()
    with pytest.raises(ValueError, match=r"seconds|invalid"):
        read_json(content, Measured)


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff", b"[]", b"[" * 100_000, b'{"path": NaN}', b"9" * 9999]
)
def test_damaged_content_is_one_kind_of_error(content: bytes | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several parsers
        read_json(content, Record)
