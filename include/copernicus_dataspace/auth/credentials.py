"""Knows what an account's names and secrets may look like; one copied wrongly is named, not tried.

Keys, client ids and the secret of a second factor are ASCII by their makers' rules: any other
letter is a look-alike. A password and an e-mail address may hold any letter. None of them begins
or ends with a blank, or holds a line break: those come from files and from copying, and each wrong
login brings an account nearer to being locked. Whoever has such a password has to change it.

Messages name the field and the flaw, never the value.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from copernicus_dataspace.errors import ConfigurationError

_BREAKS: Final = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of what no value holds: controls, halves of pairs, ends of lines."""
_UNSEEN: Final = (*_BREAKS, "Cf", "Zs")
"""Beside them what no value begins or ends with: blanks, and marks such as that of byte order."""


def refuse_flawed(field: str, value: str, *, is_ascii: bool = False) -> None:
    """Refuse a value that cannot be meant.

    Args:
        field: Its name, for the message.
        value: As it was given.
        is_ascii: Whether it may hold no letters beyond ASCII.

    Raises:
        ConfigurationError: Names the field, and what is wrong with it.
    """
    kinds = [unicodedata.category(one) for one in value]
    if set(kinds) & set(_BREAKS):
        flaw = "holds a line break, or another character that does not show"
    elif set(kinds[:1] + kinds[-1:]) & set(_UNSEEN):
        flaw = "begins or ends with a blank, or with something else that does not show"
    elif is_ascii and not value.isascii():
        flaw = "holds a letter that is not ASCII and only looks like one"
    else:
        return
    message = f"{field} {flaw}; copy it anew, without anything before or behind it."
    raise ConfigurationError(message)
