"""Validates user names, passwords and keys, so that values copied wrongly are never sent.

Keys, client ids and the secret of a second factor are ASCII: any other letter is a look-alike. A
password and an e-mail address may contain any letter. None of them begins or ends with a blank or
contains a line break: those come from files and from copying, and each wrong login brings an
account closer to being locked. Such a password must be changed.

Messages name the field and the problem, never the value.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from copernicus_dataspace.errors import ConfigurationError

_BREAKS: Final = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that no value contains: controls, surrogates, line separators."""
_UNSEEN: Final = (*_BREAKS, "Cf", "Zs")
"""Categories that no value begins or ends with: also blanks, and format characters (BOM)."""


def refuse_flawed(field: str, value: str, *, is_ascii: bool = False) -> None:
    """Refuse a value that was copied wrongly.

    Args:
        field: Its name, for the message.
        value: As it was given.
        is_ascii: Whether only ASCII is valid.

    Raises:
        ConfigurationError: Names the field and the problem.
    """
    kinds = [unicodedata.category(one) for one in value]
    if set(kinds) & set(_BREAKS):
        flaw = "contains a line break or another invisible character"
    elif set(kinds[:1] + kinds[-1:]) & set(_UNSEEN):
        flaw = "begins or ends with a blank or another invisible character"
    elif is_ascii and not value.isascii():
        flaw = "contains a letter that looks like ASCII but is not"
    else:
        return
    message = f"{field} {flaw}; copy it again, without anything before or after it."
    raise ConfigurationError(message)
