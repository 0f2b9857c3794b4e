"""Makes the one-time codes of a second factor; each is sent once, for it may serve once only.

Source: RFC 6238, whose steps of 30 s Keycloak keeps.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_S: Final = 30.0
"""A code lives so long."""


class Codes:
    """The codes of one secret, in order.

    Attributes:
        last_step: Step of the last code given out, counted from 1970; None before the first. The
            processes of a host tell each other.
    """

    def __init__(self, secret: str, wait: Callable[[float], object]) -> None:
        """Make codes.

        Args:
            secret: In base32; blanks do not count.
            wait: Waits that many seconds.
        """
        self.last_step: int | None = None
        self._secret = secret.replace(" ", "")
        self._wait = wait

    def next(self) -> str:
        """Return the present code; the next one, once its time has come, if that was given out.

        Raises:
            CredentialsError: The secret is none.
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
        message = "totp_secret is not a base32 secret; copy it from the authenticator set-up page."
        raise CredentialsError(message) from error
