"""Reads an ingest file as plain values: a careful half of YAML, and words for whatever is wrong.

Only true, false, null and decimal numbers have a meaning of their own; everything else is text, as
it is written: days, NO, 010 and 1:30 too.
"""

from __future__ import annotations

import math
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Final

import yaml

from airflow_copernicus.config.ingest_files import shown_name
from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES: Final = 256 * 1024
_DEEPEST: Final = 40
"""GeoJSON needs about a dozen."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_EMPTY: Final = ("", "~", "null", "Null", "NULL")
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9]\d{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?", re.ASCII)
_UNSTORABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

_QUOTED: Final = "Put a text that begins with a sign in quotes."
_HINTS: Final = {
    "mapping values": 'Put a text that holds ": " in quotes.',
    "scanning an alias": _QUOTED,
    "scanning an anchor": _QUOTED,
    "cannot start any token": _QUOTED,
}


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings a file holds, by name; none where it is empty.

    The values are those of JSON. Anything but a regular file is refused before it is read.

    Raises:
        ConfigurationError: It cannot be read, or is not YAML that gives each setting once; the
            message names the file, and the place where there is one.
    """
    name = shown_name(path)
    try:
        text = _text(path)
    except OSError as error:
        message = f"{name} cannot be read: {_reason(path, error)}."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{name} cannot be used: {error}"
        raise ConfigurationError(message) from error
    try:
        return _settings(text)
    except yaml.YAMLError as error:
        message = f"{name} is not YAML: {_in_words(error, text)}"
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{name} cannot be used: {error}"
        raise ConfigurationError(message) from error


def _text(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        message = "it is no regular file; put a file of text in its place."
        raise ValueError(message)
    # What has taken its place meanwhile may be a pipe, on which nobody writes.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        message = f"it has more than {_MOST_BYTES:,} bytes; put its area into include/areas."
        raise ValueError(message)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"line {line} is not UTF-8 text; save the file as UTF-8."
        raise ValueError(message) from error


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is a link to nothing" if path.is_symlink() else "it is not there"
    return f"{error.strerror}"


def _settings(text: str) -> dict[str, Any]:
    for event, depth in _events(text):
        _refuse_odd(event, depth)
    node = yaml.compose(text, Loader=_LOADER)
    settings = None if node is None else _value(node)
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        message = "it holds no settings; write one on each line, such as `area: lake`."
        raise ConfigurationError(message)
    return settings


def _events(text: str) -> Iterator[tuple[Any, int]]:
    """Give what a parser meets, before anything is built of it, and how deep that is."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        yield event, depth
        depth -= isinstance(event, yaml.CollectionEndEvent)


def _refuse_odd(event: Any, depth: int) -> None:
    line = event.start_mark.line + 1
    if getattr(event, "anchor", None):
        message = (
            f"line {line}: & and * that name a value are not understood; write the value out, and "
            "a text that begins with one of them, such as '*_PVI.jp2', in quotes."
        )
        raise ValueError(message)
    if getattr(event, "tag", None):
        message = f"line {line}: types such as !!set are not understood; write the value alone."
        raise ValueError(message)
    if depth > _DEEPEST:
        message = f"line {line}: values are nested too deeply; {_DEEPEST} levels are read."
        raise ValueError(message)


def _value(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(one) for one in node.value]
    if _UNSTORABLE.search(node.value):
        message = f"line {_line(node)}: the text holds a control character; remove it."
        raise ValueError(message)
    return node.value if node.style else _plain(node.value)


def _mapping(node: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            message = f"line {_line(key)}: a list or map stands where a name should."
            raise ConfigurationError(message)
        _value(key)
        if key.value in values:
            message = f"line {_line(key)}: {key.value!r} is given twice; remove one of the two."
            raise ValueError(message)
        values[key.value] = _value(value)
    return values


def _plain(text: str) -> Any:
    """Return what a text without quotes means."""
    if text in _EMPTY:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and re.match(r"[-+]?\.?\d", text) and math.isfinite(float(text)):
        return float(text)
    return text


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _in_words(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return f"line {line}: it holds a control character; remove it."
    said = ", ".join(filter(None, (getattr(error, "context", ""), getattr(error, "problem", ""))))
    line_there = text.splitlines()[mark.line : mark.line + 1]
    hints = [hint for words, hint in _HINTS.items() if words in said]
    if line_there and "\t" in line_there[0]:
        hints = ["Indent with blanks, not with tabs."]
    return " ".join([f"line {mark.line + 1}, column {mark.column + 1}: {said}.", *hints])
