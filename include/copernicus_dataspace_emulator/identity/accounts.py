"""Accounts and login: password, one-time code, and the lock after many wrong attempts.

All refusals get the same response, as in Keycloak, except for an incomplete account.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

import pyotp

_LOCK_S: Final = 60.0
_CODE_AGE: Final = 1  # steps of 30 s that a code may be early or late


class GrantRefusedError(Exception):
    """Raised when a grant is refused; ``args`` are status, error and description."""


@dataclass(frozen=True, slots=True)
class User:
    """An account; with ``totp_secret`` (base32) a one-time code is required too.

    An account that is not ``complete`` has pending actions on the website.
    """

    password: str
    totp_secret: str | None = None
    complete: bool = True


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    last: float = 0.0


@dataclass(slots=True)
class Accounts:
    """Checks logins.

    A code is accepted once, unless ``codes_once`` is off. After ``most_wrong_logins`` in a row an
    account is locked for a minute; None for never.
    """

    users: dict[str, User]
    codes_once: bool
    most_wrong_logins: int | None
    _used: set[tuple[str, str]] = field(default_factory=set)
    _tries: dict[str, _Tries] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, form: dict[str, str]) -> str:
        """Return the user name of a valid login form.

        Raises:
            GrantRefusedError: The login is refused.
        """
        name = form.get("username", "")
        user = self.users.get(name)
        with self._lock:
            tries = self._tries.setdefault(name, _Tries())
            is_locked = self._is_locked(tries)
            if user is None or is_locked or not self._fits(user, name, form):
                tries.wrong, tries.last = tries.wrong + 1, time.monotonic()
                raise GrantRefusedError(401, "invalid_grant", "Invalid user credentials")
            self._tries.pop(name)
        if not user.complete:
            raise GrantRefusedError(400, "invalid_grant", "Account is not fully set up")
        return name

    def _is_locked(self, tries: _Tries) -> bool:
        most = self.most_wrong_logins
        is_over = most is not None and tries.wrong >= most
        return is_over and time.monotonic() < tries.last + _LOCK_S

    def _fits(self, user: User, name: str, form: dict[str, str]) -> bool:
        if form.get("password") != user.password:
            return False
        if user.totp_secret is None:
            return True
        code = form.get("totp", "")
        is_right = pyotp.TOTP(user.totp_secret).verify(code, valid_window=_CODE_AGE)
        if not is_right or (self.codes_once and (name, code) in self._used):
            return False
        self._used.add((name, code))
        return True
