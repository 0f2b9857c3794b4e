"""Compiles CQL2 JSON to a predicate for items.

As in a database, a comparison with a missing value is neither true nor false.
"""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from copernicus_dataspace_emulator.products.recipe import instant
from copernicus_dataspace_emulator.stac.cql_text import CqlError, Node

Get = Callable[[str], Any]
"""Returns the value of an item's property by name; None if it is missing."""
Test = Callable[[Get], bool | None]
_Value = Callable[[Get], Any]

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PATTERN: Final = re.compile(r"\\.|.", re.DOTALL)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def compiled(node: Node) -> Test:
    """Compile a tree.

    Raises:
        CqlError: The tree is invalid or unsupported.
    """
    name, arguments = _operation(node)
    if name in {"and", "or", "not"}:
        return _joined(name, [compiled(one) for one in arguments])
    if name in _COMPARE:
        left, right = _exactly(name, arguments, 2)
        return _compared(_COMPARE[name], _value(left), _value(right))
    if name not in _OTHERS:
        raise CqlError(f"operator {name!r} is not known")
    count, make = _OTHERS[name]
    return make(_exactly(name, arguments, count))


def _operation(node: Node) -> tuple[str, list[Node]]:
    arguments = node.get("args") if isinstance(node, dict) else None
    if not isinstance(arguments, list) or not isinstance(node.get("op"), str):
        raise CqlError("an operation has an op and args")
    return node["op"], arguments


def _exactly(name: str, arguments: list[Node], number: int) -> list[Node]:
    if len(arguments) != number:
        raise CqlError(f"{name} takes {number} args, not {len(arguments)}")
    return arguments


def _joined(name: str, tests: list[Test]) -> Test:
    if name == "not":
        (test,) = _exactly(name, tests, 1)

        def denied(get: Get) -> bool | None:
            found = test(get)
            return None if found is None else not found

        return denied
    decisive = name == "or"

    def joined(get: Get) -> bool | None:
        found = [test(get) for test in tests]
        if decisive in found:
            return decisive
        return None if None in found else not decisive

    return joined


def _compared(compare: Callable[[Any, Any], bool], left: _Value, right: _Value) -> Test:
    def test(get: Get) -> bool | None:
        one, other = _alike(left(get), right(get))
        if one is None or other is None:
            return None
        try:
            return bool(compare(one, other))
        except TypeError:
            return None

    return test


def _between(arguments: list[Node]) -> Test:
    value, low, high = (_value(one) for one in arguments)
    tests = [_compared(operator.ge, value, low), _compared(operator.le, value, high)]
    return _joined("and", tests)


def _in(arguments: list[Node]) -> Test:
    value, choices = arguments
    if not isinstance(choices, list):
        raise CqlError("in takes a list")
    found = _value(value)
    return _joined("or", [_compared(operator.eq, found, _value(one)) for one in choices])


def _like(arguments: list[Node]) -> Test:
    value, pattern = _value(arguments[0]), arguments[1]
    if not isinstance(pattern, str):
        raise CqlError("like takes a text")
    expression = re.compile(_PATTERN.sub(_translated, pattern), re.DOTALL)

    def test(get: Get) -> bool | None:
        text = value(get)
        return expression.fullmatch(text) is not None if isinstance(text, str) else None

    return test


def _translated(found: re.Match[str]) -> str:
    """Convert part of a pattern to a regular expression; a backslash escapes."""
    return {"%": ".*", "_": "."}.get(found[0]) or re.escape(found[0].removeprefix("\\"))


def _is_null(arguments: list[Node]) -> Test:
    value = _value(arguments[0])
    return lambda get: value(get) is None


def _s_intersects(arguments: list[Node]) -> Test:
    left, right = (_value(one) for one in arguments)

    def test(get: Get) -> bool | None:
        one, other = left(get), right(get)
        if not isinstance(one, shapely.Geometry) or not isinstance(other, shapely.Geometry):
            return None
        return bool(one.intersects(other))

    return test


def _t_intersects(arguments: list[Node]) -> Test:
    left, right = (_value(one) for one in arguments)

    def test(get: Get) -> bool | None:
        one, other = _period(left(get)), _period(right(get))
        if one is None or other is None:
            return None
        return one[0] <= other[1] and other[0] <= one[1]

    return test


_OTHERS: Final[dict[str, tuple[int, Callable[[list[Node]], Test]]]] = {
    "between": (3, _between),
    "in": (2, _in),
    "like": (2, _like),
    "isNull": (1, _is_null),
    "s_intersects": (2, _s_intersects),
    "t_intersects": (2, _t_intersects),
}


def _value(node: Node) -> _Value:
    """Return a function for an operand's value."""
    if not isinstance(node, dict):
        if isinstance(node, str | float | int | bool):
            return lambda _get: node
        raise CqlError(f"{str(node)[:40]!r} is no value")
    if isinstance(node.get("property"), str):
        name = node["property"].removeprefix("properties.")
        return lambda get: get(name)
    known = _constant(node)
    return lambda _get: known


def _constant(node: dict[str, Any]) -> Any:
    if "timestamp" in node or "date" in node:
        return _moment(str(node.get("timestamp", node.get("date"))))
    if isinstance(node.get("interval"), list) and len(node["interval"]) == len(("from", "to")):
        return _interval(*node["interval"])
    if "coordinates" in node:
        try:
            return shape(node)
        except (ShapelyError, ValueError, TypeError, AttributeError) as error:
            raise CqlError("a geometry is not GeoJSON") from error
    raise CqlError(f"{str(node)[:40]!r} is no value")


def _moment(text: str) -> datetime:
    try:
        return instant(text.upper())
    except ValueError as error:
        raise CqlError(f"{text!r} is no date") from error


def _interval(first: Node, last: Node) -> tuple[datetime, datetime]:
    ends = [one.get("timestamp", one.get("date")) if isinstance(one, dict) else one
            for one in (first, last)]  # fmt: skip
    start = _FIRST if ends[0] == ".." else _moment(str(ends[0]))
    return start, _LAST if ends[1] == ".." else _moment(str(ends[1]))


def _period(value: Any) -> tuple[datetime, datetime] | None:
    if isinstance(value, tuple):
        return value
    if isinstance(value, str):
        value = _moment(value)
    return (value, value) if isinstance(value, datetime) else None


def _alike(one: Any, other: Any) -> tuple[Any, Any]:
    """Return two values, both as dates if one of them is."""
    if isinstance(one, datetime) and isinstance(other, str):
        return one, _moment(other)
    if isinstance(other, datetime) and isinstance(one, str):
        return _moment(one), other
    return one, other
