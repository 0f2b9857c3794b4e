"""Shares one login session between all processes of a host.

Too many logins lead to a ban, and an account may have at most a hundred sessions. The session is
kept in a locked file, see `limits.shared_file` and docs/decisions/0007.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.auth.identity_service import LONGEST_LIFE_S, Token
from copernicus_dataspace.errors import (
    CredentialsError,
    DataSpaceError,
    LoginLimitedError,
    ServiceUnavailableError,
    TokenRefusedError,
    TransientError,
)
from copernicus_dataspace.http.status_errors import BlockedError
from copernicus_dataspace.json_records import from_json_or, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from copernicus_dataspace.auth.identity_service import IdentityService
    from copernicus_dataspace.limits.shared_file import SharedFile

    State = dict[str, Any]

logger = logging.getLogger(__name__)

LOCK_WAIT_S: Final = 300.0
"""Longer than all attempts of a login in another process."""

_REST_S: Final = 60.0
"""Wait of all processes after all attempts have failed."""
_LONGEST_REST_S: Final = 3600.0
_REFUSED_S: Final = 3600.0
"""Wait before a refused account is tried again: it may have been locked temporarily."""
_MOST_RENEWALS: Final = 5
"""Maximum number of refused tokens replaced within a minute."""
_REFUSED_AGAIN: Final = (
    "The download service refuses every token, even new ones; it may be broken, or this account "
    "may not download."
)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed attempt: how long it is valid, and whether too many logins were the reason."""

    until: float
    why: str
    is_limit: bool = False


class TokenSource:
    """Provides a valid access token; thread-safe."""

    def __init__(
        self,
        realm: IdentityService,
        open_host: Callable[[], SharedFile],
        *,
        on_new_token: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create the source; nothing is sent before the first token is requested.

        Args:
            realm: The identity service; its clock is shared by all processes.
            open_host: Returns the file with the shared session, one per account and password;
                locked while a process logs in. Called before the first login, as it takes time.
            on_new_token: Called with every new token, so that logs can be masked.
        """
        self._realm = realm
        self._open_host = open_host
        self._host: SharedFile | None = None
        self._on_new_token = on_new_token
        self._token: Token | None = None
        self._has_logged_in = False
        self._lock = threading.Lock()

    def token(self) -> str:
        """Return a valid access token; logs in or renews it if needed.

        Raises:
            CredentialsError: The account was refused, by whichever process; not retried.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._realm.clock() >= self._token.renew_at:
                self._token = self._next_token(refused=None)
            return self._token.access

    def renew(self, refused: str) -> str:
        """Return a token other than the refused one; concurrent calls cause one renewal.

        Raises:
            CredentialsError: The account was refused, by whichever process; not retried.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._token.access == refused:
                self._token = self._next_token(refused)
            return self._token.access

    def end(self) -> None:
        """End the session unless it is shared; errors are ignored."""
        with self._lock:
            token, self._token = self._token, None
        is_own = self._host is not None and self._host.is_alone and self._has_logged_in
        if token is not None and token.refresh and is_own:
            self._realm.log_out(token)

    def _failure(self, error: DataSpaceError) -> State:
        """Return the stored state of a failure: a refusal of the account, or a wait."""
        now = self._realm.clock()
        if isinstance(error, TransientError):
            rest_s = min(max(_REST_S, error.retry_after_s or 0.0), _LONGEST_REST_S)
            is_limit = isinstance(error, LoginLimitedError)
            return {"rest": to_json(_Failure(now + rest_s, str(error), is_limit))}
        return {"refusal": to_json(_Failure(now + _REFUSED_S, str(error)))}

    def _next_token(self, refused: str | None) -> Token:
        """Return the shared token, or a new one if it was refused or is old."""
        results: list[Token | DataSpaceError] = []

        def advanced(state: State) -> State:
            state, result = self._advanced(state, refused)
            results.append(result)
            return state

        self._host = self._host or self._open_host()
        self._host.exchange(advanced)
        (result,) = results
        if isinstance(result, DataSpaceError):
            raise result
        for secret in filter(None, (result.access, result.refresh)):
            self._on_new_token(secret)
        return result

    def _advanced(self, state: State, refused: str | None) -> tuple[State, Token | DataSpaceError]:
        """Return the new shared state, and the token or error for the caller."""
        now = self._realm.clock()
        shared = Token.from_record(state.get("session"))
        is_alive = shared is not None and now < shared.expires_at <= now + LONGEST_LIFE_S
        is_living = shared is not None and is_alive and shared.access != refused
        living, known = shared if is_living else None, _known(state, now)
        if living and (known or now < living.renew_at):
            return state, living
        if known:
            return state, known
        if refused and len(_renewals(state, now)) >= _MOST_RENEWALS:
            return state, TokenRefusedError(_REFUSED_AGAIN)
        self._learn_code(state)
        try:
            token = self._granted(shared or self._token, is_urgent=living is None)
        except TransientError as error:
            return {**state, **self._code(), **self._failure(error)}, living or error
        except CredentialsError as error:
            return {**state, **self._code(), **self._failure(error)}, error
        renewals = _renewals(state, now) + ([now] if refused else [])
        session = {"session": token.to_record(), "renewals": renewals}
        return {**without_failures(state), **self._code(), **session}, token

    def _learn_code(self, state: State) -> None:
        """Prevent the reuse of a one-time code that another process has used."""
        step, codes = state.get("code_step"), self._realm.codes
        if codes and isinstance(step, int):
            codes.last_step = step

    def _code(self) -> State:
        """Return the stored state of the last one-time code."""
        codes = self._realm.codes
        return {"code_step": codes.last_step} if codes and codes.last_step is not None else {}

    def _granted(self, old: Token | None, *, is_urgent: bool) -> Token:
        token = self._refreshed(old, is_urgent=is_urgent) if old else None
        if token is None:
            token = self._realm.logged_in()
            self._has_logged_in = True
        return token

    def _refreshed(self, old: Token, *, is_urgent: bool) -> Token | None:
        """Return a renewed token; None if a login is needed instead."""
        try:
            return self._realm.refreshed(old)
        except BlockedError:
            raise
        except ServiceUnavailableError as error:
            if not is_urgent:
                raise
            logger.warning("%s The session cannot be renewed; logging in again.", error)
            return None


def _known(state: State, now: float) -> DataSpaceError | None:
    """Return the stored error of an earlier attempt, by any process, that is still valid."""
    refusal, rest = _lasting(state.get("refusal"), now), _lasting(state.get("rest"), now)
    if refusal:
        minutes = math.ceil((refusal.until - now) / 60)
        message = f"{refusal.why} The next attempt is in {minutes} min."
        return CredentialsError(message)
    if rest:
        kind = LoginLimitedError if rest.is_limit else ServiceUnavailableError
        return kind(rest.why, rest.until - now)
    return None


def _renewals(state: State, now: float) -> list[float]:
    """Return the times of recent replacements of refused tokens."""
    times: list[float] = from_json_or(state.get("renewals"), list[float], [])
    return [one for one in times if now - _REST_S < one <= now]


def _lasting(note: object, now: float) -> _Failure | None:
    """Return a stored failure if it is well-formed, not over, and not from a wrong clock."""
    failure = from_json_or(note, _Failure, None)
    return failure if failure and now < failure.until <= now + 2 * _LONGEST_REST_S else None


def without_failures(state: State) -> State:
    """Return a session's state without stored failures; for `SharedFile.exchange`."""
    return {name: value for name, value in state.items() if name not in ("refusal", "rest")}
