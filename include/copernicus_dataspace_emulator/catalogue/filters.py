"""The ``$filter`` language: a recursive descent parser that returns a predicate for rows.

Accepts only what the service is known to accept, or widely used clients send. Positions in error
messages count characters of the decoded text from zero.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from copernicus_dataspace_emulator.catalogue.attributes import (
    ATTRIBUTES,
    COLLECTIONS,
    DATES,
    OFFERED,
    TEXTS,
)
from copernicus_dataspace_emulator.catalogue.lexer import Token, tokens, unquoted
from copernicus_dataspace_emulator.catalogue.wkt import RefusedError, parse_area, unparsable
from copernicus_dataspace_emulator.holdings.rows import Row
from copernicus_dataspace_emulator.products.recipe import instant

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_SEARCH: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_ANY: Final = re.compile(r"Attributes/OData\.CSC\.(\w+)Attribute/any")
_LITERALS: Final = {"String": "string", "Integer": "number", "Double": "number"}
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clause:
    """A predicate for rows; only rows sensed within ``[earliest, latest]`` can match."""

    test: Callable[[Row], bool]
    earliest: datetime = _BEGINNING
    latest: datetime = _END


def parse_filter(text: str, listing: str = "Products") -> Clause:
    """Parse a filter for an entity set, which determines the fields.

    Raises:
        RefusedError: The service would refuse the filter.
    """
    parser = _Parser(tokens(text), listing)
    clause = parser.either()
    parser.take("end")
    return clause


class _Parser:
    def __init__(self, tokens: list[Token], listing: str) -> None:
        self._tokens, self._place, self._listing = tokens, 0, listing

    def take(self, kind: str, *texts: str) -> Token:
        """Return the next token, which must have a kind and, if given, one of some texts."""
        token = self._tokens[self._place]
        if token.kind != kind or (texts and token.text not in texts):
            raise unparsable(token.index)
        self._place += 1
        return token

    def _next_is(self, kind: str, text: str) -> bool:
        token = self._tokens[self._place]
        found = token.kind == kind and token.text == text
        self._place += found
        return found

    def either(self) -> Clause:
        """Clauses joined by ``or``."""
        clause = self._both()
        while self._next_is("word", "or"):
            clause = _joined(clause, self._both())
        return clause

    def _both(self) -> Clause:
        clause = self._single()
        while self._next_is("word", "and"):
            clause = _met(clause, self._single())
        return clause

    def _single(self) -> Clause:
        if self._next_is("word", "not"):
            inner = self._single()
            return Clause(lambda row: not inner.test(row))
        if self._next_is("mark", "("):
            clause = self.either()
            self.take("mark", ")")
            return clause
        word = self.take("word")
        attribute = _ANY.fullmatch(word.text)
        if attribute is not None:
            return self._attribute(attribute[1], word.index)
        if word.text in _SEARCH:
            return self._search(_SEARCH[word.text])
        if word.text == "OData.CSC.Intersects":
            return self._intersects()
        return self._comparison(word)

    def _search(self, test: Callable[[str, str], bool]) -> Clause:
        self.take("mark", "(")
        self.take("word", "Name")
        self.take("mark", ",")
        piece = unquoted(self.take("string").text)
        self.take("mark", ")")
        return Clause(lambda row: test(row.product.name, piece))

    def _intersects(self) -> Clause:
        for kind, text in (("mark", "("), ("word", "area"), ("mark", "=")):
            self.take(kind, text)
        area = parse_area(unquoted(self.take("geography").text))
        self.take("mark", ")")
        return Clause(lambda row: bool(area.intersects(row.product.geometry)))

    def _comparison(self, field: Token) -> Clause:
        compare_by = self.take("word", *_COMPARE).text
        compare = _COMPARE[compare_by]
        if field.text in DATES[self._listing]:
            moment, name = self._date(), field.text
            return _dated(name, compare_by, moment)
        if field.text == "Collection/Name":
            collection = unquoted(self.take("string").text)
            if collection not in COLLECTIONS:
                raise RefusedError(400, "Invalid value")
            known = compare(OFFERED, collection)
            return Clause(lambda _row: known)
        if field.text == "Online":
            online = self.take("word", "true", "false").text == "true"
            return Clause(lambda row: _is_online(row, compare, online))
        if field.text == "Id":
            product_id = self.take("uuid").text.lower()
            return Clause(lambda row: compare(row.product.id, product_id))
        if field.text in TEXTS[self._listing]:
            value, name = unquoted(self.take("string").text), field.text
            return Clause(lambda row: compare(row.text(name), value))
        raise unparsable(field.index)

    def _date(self) -> datetime:
        token = self._tokens[self._place]
        if token.kind == "word":  # datetime'…': the word is accepted, its quote is not
            self._place += 1
        token = self.take("date")
        try:
            return instant(token.text)
        except ValueError as error:
            raise RefusedError(400, "Invalid value") from error

    def _attribute(self, kind: str, index: int) -> Clause:
        """``any(att:att/Name eq 'n' and att/OData.CSC.<kind>Attribute/Value op v)``.

        For integers the second type may be String, with or without quotes, as eodag writes it.
        """
        self.take("mark", "(")
        variable = self.take("word").text
        self.take("mark", ":")
        self.take("word", f"{variable}/Name")
        self.take("word", "eq")
        name = unquoted(self.take("string").text)
        self.take("word", "and")
        kinds = (kind, "String") if kind == "Integer" else (kind,)
        written = self.take(
            "word", *(f"{variable}/OData.CSC.{one}Attribute/Value" for one in kinds)
        )
        is_text = written.text.endswith("StringAttribute/Value")
        compare = _COMPARE[self.take("word", *(("eq", "ne") if is_text else _COMPARE)).text]
        value = self._literal(kind, index, is_text=is_text)
        self.take("mark", ")")
        if ATTRIBUTES.get(name, kind) != kind:
            raise RefusedError(400, "Invalid value")

        def test(row: Row) -> bool:
            found = row.product.facts.attributes.get(name)
            return found is not None and compare(found, value)

        return Clause(test)

    def _literal(self, kind: str, index: int, *, is_text: bool) -> str | float | datetime:
        if kind == "DateTimeOffset":
            return self._date()
        if kind not in _LITERALS:
            raise unparsable(index)
        if is_text and self._tokens[self._place].kind == "string":
            text = unquoted(self.take("string").text)
            return text if kind == "String" else _whole(text)
        token = self.take(_LITERALS[kind])
        if kind == "Integer" and "." in token.text:
            raise unparsable(token.index + token.text.index("."))
        return float(token.text)


def _is_online(row: Row, compare: Callable[[Any, Any], bool], online: object) -> bool:
    """Compare a field; a missing field matches neither way, as in a database."""
    found = row.product.facts.online
    return found is not None and compare(found, online)


def _whole(text: str) -> float:
    if not text.isdecimal():
        raise RefusedError(400, "Invalid value")
    return float(text)


def _dated(field: str, compare_by: str, moment: datetime) -> Clause:
    compare = _COMPARE[compare_by]

    def test(row: Row) -> bool:
        found = row.date(field)
        return found is not None and compare(found, moment)

    starts = field == "ContentDate/Start"
    earliest = moment if starts and compare_by in {"eq", "gt", "ge"} else _BEGINNING
    latest = moment if starts and compare_by in {"eq", "lt", "le"} else _END
    return Clause(test, earliest, latest)


def _met(left: Clause, right: Clause) -> Clause:
    return Clause(
        lambda row: left.test(row) and right.test(row),
        max(left.earliest, right.earliest),
        min(left.latest, right.latest),
    )


def _joined(left: Clause, right: Clause) -> Clause:
    return Clause(
        lambda row: left.test(row) or right.test(row),
        min(left.earliest, right.earliest),
        max(left.latest, right.latest),
    )
