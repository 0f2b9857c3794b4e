"""Reads and validates a stored report, which others with write access may have changed.

Unknown fields are passed through unchanged.
"""

from __future__ import annotations

import functools
import json
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_BYTES: Final = 100_000_000
"""More than ten years of a country's tiles; the limit protects the memory of the web server."""

_MOST: Final = 10**15
_ALL_PERCENT: Final = 100
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS: Final = range(2000, 2200)
"""Valid years; far enough from the limits of the calendar."""
_ROW: Final = ("day", "name", "state", "why", "action", "now")
_OPTIONAL: Final[Mapping[str, Any]] = {
    "switched_off": False,
    "scrubbed_bytes": 0,
    "by": "sensing",
    "notes": [],
    "approval": None,
    "offline": 0,
    "known_days": {},
    "not_counted": {},
}
"""Optional fields with their defaults."""


def read_report(content: bytes) -> dict[str, Any]:
    """Return a report whose fields are complete and valid.

    Raises:
        ReportError: It is not JSON, or not a report; the message names the field.
    """
    report = {**_OPTIONAL, **read_json(content)}
    for name, is_right in _FIELDS.items():
        if name not in report:
            message = f"it is not a report: it has no {name}."
            raise ReportError(message)
        if not is_right(report[name]):
            message = f"it is not a report: its {name} is invalid."
            raise ReportError(message)
    return report


def read_json(content: bytes) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ReportError: It has none, or is not strict JSON.
    """
    try:
        held = json.loads(content.decode("utf-8"), parse_constant=_refuse)
        json.dumps(held, ensure_ascii=False).encode()  # no lone surrogates
    except (ValueError, RecursionError) as error:
        message = "it is not valid JSON."
        raise ReportError(message) from error
    if not isinstance(held, dict):
        message = "it is not a report: it is not a JSON object."
        raise ReportError(message)
    return held


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any, most: float = _MOST) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_day(value: Any) -> bool:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        return date.fromisoformat(value).year in _YEARS
    except ValueError:
        return False


def _is_instant(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).year in _YEARS
    except (ValueError, TypeError):
        return False


def _is_share(value: Any) -> bool:
    return value is None or _is_number(value, _ALL_PERCENT)


def _are_hours(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(_is_number(value.get(n)) for n in ("median_h", "p95_h"))


def _is_cell(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    counts = (value.get(name) for name in ("expected", "present", "missing"))
    return all(map(_is_count, counts)) and _are_texts(value.get("why"))


def _is_row(value: Any) -> bool:
    if not isinstance(value, dict) or "tile" not in value:
        return False
    texts = (value["tile"] or "", *(value.get(name) for name in _ROW))
    return all(map(_is_text, texts))


def _is_approval(value: Any) -> bool:
    """Tell whether the fields of an approval are valid."""
    if not isinstance(value, dict):
        return value is None
    counts = (value.get(name, 0) for name in ("waiting", "rejected"))
    texts = [value.get(name) or "" for name in ("path", "where", "switch_on", "answer")]
    is_said = _is_instant(value.get("since")) and {"where", "switch_on"} <= set(value)
    return (
        all(map(_is_count, counts))
        and all(map(_is_text, texts))
        and (not value.get("waiting") or is_said)
    )


def _are(is_right: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _each(is_right: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_right, value.values()))


_are_texts: Final = functools.partial(_are, _is_text)
_are_cells: Final = functools.partial(_each, _is_cell)

_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "ingest": _is_text,
    "area": _is_text,
    "product_type": _is_text,
    "made": _is_instant,
    "dry_run": _is_flag,
    "switched_off": _is_flag,
    "first_day": _is_day,
    "last_day": _is_day,
    "by": _is_text,
    **dict.fromkeys(
        (
            *("requests", "listed", "looked_at", "scrubbed_bytes", "repaired", "still_missing"),
            "offline",
        ),
        _is_count,
    ),
    **dict.fromkeys(("counts", "known_days", "not_counted"), functools.partial(_each, _is_count)),
    "completeness": functools.partial(_each, _is_share),
    "freshness": functools.partial(_each, _are_hours),
    "days": functools.partial(_each, _are_cells),
    "exceptions": functools.partial(_are, _is_row),
    "notes": _are_texts,
    "approval": _is_approval,
}
