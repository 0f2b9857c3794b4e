"""Words of the ``$filter`` language and where they stand.

A date without a time is its midnight; CDSETool writes such.
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
    """One word: its kind, its text and the index of its first character."""

    kind: str
    text: str
    index: int


def tokens(text: str) -> list[Token]:
    """The words of a text, and one that marks its end.

    Raises:
        RefusedError: A character begins no word.
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
    """The value of a quoted word; two quotes inside stand for one."""
    return text[text.index("'") + 1 : -1].replace("''", "'")
