"""Reads an ingest file: a strict subset of YAML, with error messages that name the line.

Only true, false, null and decimal numbers are converted. All other scalars are strings, including
dates, NO, 010 and 1:30.
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

_MAX_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 40
"""GeoJSON needs about twelve levels."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_EMPTY: Final = ("", "~", "null", "Null", "NULL")
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9]\d{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?", re.ASCII)
_CONTROL_CHARACTERS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

_QUOTED: Final = "Put text that begins with a special character in quotes."
_HINTS: Final = {
    "mapping values": 'Put text that contains ": " in quotes.',
    "scanning an alias": _QUOTED,
    "scanning an anchor": _QUOTED,
    "cannot start any token": _QUOTED,
}


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a file by name; an empty dictionary if the file is empty.

    All values have JSON types. Only regular files are read.

    Raises:
        ConfigurationError: The file cannot be read, is not valid YAML, or sets a name twice; the
            message names the file and, if known, the line.
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
        message = f"{name} is not YAML: {_describe(error, text)}"
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{name} cannot be used: {error}"
        raise ConfigurationError(message) from error


def _text(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        message = "it is not a regular file; replace it by a text file."
        raise ValueError(message)
    # Non-blocking, because the file may have been replaced by a pipe since the check.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        message = f"it has more than {_MAX_BYTES:,} bytes; move its area to an area file."
        raise ValueError(message)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"line {line} is not UTF-8 text; save the file as UTF-8."
        raise ValueError(message) from error


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is a broken link" if path.is_symlink() else "it does not exist"
    return f"{error.strerror}"


def _settings(text: str) -> dict[str, Any]:
    for event, depth in _events(text):
        _check_event(event, depth)
    node = yaml.compose(text, Loader=_LOADER)
    settings = None if node is None else _value(node)
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        message = "it has no settings; write one per line, such as `area: lake`."
        raise ConfigurationError(message)
    return settings


def _events(text: str) -> Iterator[tuple[Any, int]]:
    """Yield the parser's events with their nesting depth, before any value is constructed."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        yield event, depth
        depth -= isinstance(event, yaml.CollectionEndEvent)


def _check_event(event: Any, depth: int) -> None:
    line = event.start_mark.line + 1
    if getattr(event, "anchor", None):
        message = (
            f"line {line}: anchors (&) and aliases (*) are not supported; repeat the value, and "
            "put text that begins with & or *, such as '*_PVI.jp2', in quotes."
        )
        raise ValueError(message)
    if getattr(event, "tag", None):
        message = f"line {line}: tags such as !!set are not supported; write the value without it."
        raise ValueError(message)
    if depth > _MAX_DEPTH:
        message = (
            f"line {line}: values are nested too deeply; at most {_MAX_DEPTH} levels are supported."
        )
        raise ValueError(message)


def _value(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if _CONTROL_CHARACTERS.search(node.value):
        message = f"line {_line(node)}: the text contains a control character; remove it."
        raise ValueError(message)
    return node.value if node.style else _plain_scalar(node.value)


def _mapping(node: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            message = f"line {_line(key)}: expected the name of a setting, found a list or mapping."
            raise ConfigurationError(message)
        _value(key)
        if key.value in values:
            message = f"line {_line(key)}: {key.value!r} is set twice; remove one of the two."
            raise ValueError(message)
        values[key.value] = _value(value)
    return values


def _plain_scalar(text: str) -> Any:
    """Return the value of an unquoted scalar."""
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


def _describe(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return f"line {line}: it contains a control character; remove it."
    details = ", ".join(
        filter(None, (getattr(error, "context", ""), getattr(error, "problem", "")))
    )
    lines_there = text.splitlines()[mark.line : mark.line + 1]
    hints = [hint for words, hint in _HINTS.items() if words in details]
    if lines_there and "\t" in lines_there[0]:
        hints = ["Indent with spaces, not with tabs."]
    return " ".join([f"line {mark.line + 1}, column {mark.column + 1}: {details}.", *hints])
