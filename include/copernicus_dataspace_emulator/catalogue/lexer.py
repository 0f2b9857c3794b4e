"""Tokens of the ``$filter`` language with their positions.

A date without a time means midnight; CDSETool sends such dates.
"""

import re
from dataclasses import dataclass
from typing import Final

from copernicus_dataspace_emulator.catalogue.wkt import unparsable

_TOKEN: Final = re.compile(
    r"""(?P<geography>geography'(?:[^']|'')*')
    |(?P<date>\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?)?)
    |(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<string>'(?:[^']|'')*')
    |(?P<word>[A-Za-z_][\w.]*(?:/[A-Za-z_][\w.]*)*)
    |(?P<mark>[(),:=])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: kind, text and index of its first character."""

    kind: str
    text: str
    index: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, with an end marker.

    Raises:
        RefusedError: No token starts at a character.
    """
    found, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise unparsable(place)
        found.append(Token(str(match.lastgroup), match[0], place))
        place = match.end()
    return [*found, Token("end", "", len(text))]


def unquoted(text: str) -> str:
    """Return the value of a quoted string; quotes inside are doubled."""
    return text[text.index("'") + 1 : -1].replace("''", "'")
