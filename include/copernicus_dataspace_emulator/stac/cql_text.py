"""Parses CQL2 text into the tree of CQL2 JSON.

Supports what STAC clients send: and, or, not, comparisons, between, in, like, is null, and
intersections in space and time. Keywords are case-insensitive.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping

Node = Any
"""A tree of CQL2 as JSON."""

_WORDS: Final = r"(?P<word>[A-Za-z_][\w:.\-]*)"
_TOKEN: Final = re.compile(
    r"""(?P<wkt>(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\s*(?:Z\s*)?\([-+\d.eE\s,()]*\))
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"[^"]+")
    |(?P<compare><=|>=|<>|=|<|>)
    |(?P<mark>[(),])
    |"""
    + _WORDS,
    re.VERBOSE | re.IGNORECASE,
)
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "LIKE", "IS", "NULL"})
_PREDICATES: Final = frozenset({"S_INTERSECTS", "T_INTERSECTS"})
_TIMES: Final = {"TIMESTAMP": "timestamp", "DATE": "date"}
_TRUTHS: Final = {"TRUE": True, "FALSE": False}


class CqlError(ValueError):
    """Raised for an invalid or unsupported filter; the text says why."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def keyword(self) -> str:
        """The token as a keyword."""
        return self.text.upper() if self.kind == "word" else ""


def parse(text: str) -> Node:
    """Parse a filter.

    Raises:
        CqlError: The filter is invalid.
    """
    reader = _Reader(_tokens(text))
    node = reader.either()
    reader.take("end")
    return node


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise CqlError(f"cannot be read at character {place}")
        whole = _balanced(text, place) if match.lastgroup == "wkt" else match[0]
        found.append(_Token(str(match.lastgroup), whole))
        place += len(whole)
    return [*found, _Token("end", "")]


def _balanced(text: str, start: int) -> str:
    """Return a text up to the closing bracket of its first one."""
    depth = 0
    for place in range(text.index("(", start), len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return text[start : place + 1]
    raise CqlError("a bracket is not closed")


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._place = tokens, 0

    def take(self, kind: str, text: str | None = None) -> _Token:
        """Return the next token, which must have a kind and, if given, a text."""
        token = self._tokens[self._place]
        if token.kind != kind or text not in {None, token.text}:
            raise CqlError(f"expected {text or kind}, found {token.text or token.kind!r}")
        self._place += 1
        return token

    def _next_is(self, keyword: str) -> bool:
        found = self._tokens[self._place].keyword == keyword
        self._place += found
        return found

    def _opens(self) -> bool:
        token = self._tokens[self._place]
        found = token.kind == "mark" and token.text == "("
        self._place += found
        return found

    def either(self) -> Node:
        """Predicates joined by ``or``."""
        nodes = [self._both()]
        while self._next_is("OR"):
            nodes.append(self._both())
        return nodes[0] if len(nodes) == 1 else {"op": "or", "args": nodes}

    def _both(self) -> Node:
        nodes = [self._single()]
        while self._next_is("AND"):
            nodes.append(self._single())
        return nodes[0] if len(nodes) == 1 else {"op": "and", "args": nodes}

    def _single(self) -> Node:
        if self._next_is("NOT"):
            return {"op": "not", "args": [self._single()]}
        if self._opens():
            node = self.either()
            self.take("mark", ")")
            return node
        if self._tokens[self._place].keyword in _PREDICATES:
            name = self.take("word").text.lower()
            return {"op": name, "args": self._list()}
        return self._predicate(self._operand())

    def _predicate(self, left: Node) -> Node:
        token = self._tokens[self._place]
        if token.kind == "compare":
            self._place += 1
            return {"op": token.text, "args": [left, self._operand()]}
        if self._next_is("IS"):
            is_not = self._next_is("NOT")
            if not self._next_is("NULL"):
                raise CqlError("expected NULL after IS")
            return _negated({"op": "isNull", "args": [left]}, negated=is_not)
        is_not = self._next_is("NOT")
        return _negated(self._range(left), negated=is_not)

    def _range(self, left: Node) -> Node:
        if self._next_is("BETWEEN"):
            low = self._operand()
            if not self._next_is("AND"):
                raise CqlError("expected AND within BETWEEN")
            return {"op": "between", "args": [left, low, self._operand()]}
        if self._next_is("IN"):
            return {"op": "in", "args": [left, self._list()]}
        if self._next_is("LIKE"):
            return {"op": "like", "args": [left, self._operand()]}
        found = self._tokens[self._place].text
        raise CqlError(f"expected a comparison, found {found!r}")

    def _list(self) -> list[Node]:
        self.take("mark", "(")
        found = [self._operand()]
        while self._tokens[self._place].text == ",":
            self._place += 1
            found.append(self._operand())
        self.take("mark", ")")
        return found

    def _operand(self) -> Node:
        token = self._tokens[self._place]
        self._place += 1
        if token.kind == "number":
            return float(token.text)
        if token.kind == "string":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "quoted":
            return {"property": token.text[1:-1]}
        if token.kind == "wkt":
            return _geometry(token.text)
        if token.kind != "word" or token.keyword in _KEYWORDS:
            raise CqlError(f"expected a value, found {token.text or 'the end'!r}")
        return self._word(token)

    def _word(self, token: _Token) -> Node:
        if token.keyword in _TRUTHS:
            return _TRUTHS[token.keyword]
        if token.keyword in _TIMES:
            (moment,) = self._list()
            return {_TIMES[token.keyword]: moment}
        if token.keyword == "INTERVAL":
            return {"interval": self._list()}
        return {"property": token.text}


def _negated(node: Node, *, negated: bool) -> Node:
    return {"op": "not", "args": [node]} if negated else node


def _geometry(text: str) -> Node:
    try:
        return mapping(shapely.from_wkt(text))
    except ShapelyError as error:
        raise CqlError(f"{text[:40]!r} is no geometry") from error
