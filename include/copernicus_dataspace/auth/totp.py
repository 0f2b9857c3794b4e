"""One-time codes (TOTP, RFC 6238, steps of 30 s) of a second factor; each is used only once."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_S: Final = 30.0
"""Lifetime of a code."""


class Codes:
    """The codes of one secret, in order.

    Attributes:
        last_step: Step of the last code returned, counted from 1970; None before the first. Shared
            by the processes of a host.
    """

    def __init__(self, secret: str, wait: Callable[[float], object]) -> None:
        """Create the codes of a secret.

        Args:
            secret: In base32; blanks are ignored.
            wait: Waits for a number of seconds.
        """
        self.last_step: int | None = None
        self._secret = secret.replace(" ", "")
        self._wait = wait

    def next(self) -> str:
        """Return the current code; waits for the next one if that was already used.

        Raises:
            CredentialsError: The secret is invalid.
        """
        now = time.time()
        step = math.floor(now / STEP_S)
        if self.last_step in (step, step + 1):  # the wait for a code may end a little early
            step = self.last_step + 1
            self._wait(step * STEP_S - now)
        self.last_step = step
        return _code(self._secret, step)


def _code(secret: str, step: int) -> str:
    import binascii  # noqa: PLC0415

    import pyotp  # noqa: PLC0415 - only accounts with a second factor need it

    try:
        return pyotp.TOTP(secret).at(int(step * STEP_S))
    except (binascii.Error, ValueError) as error:
        message = "totp_secret is not valid base32; copy it from the authenticator set-up page."
        raise CredentialsError(message) from error
