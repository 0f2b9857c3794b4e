"""Holds the one session that all tasks of a host share, so that an account logs in seldom.

Too many logins lead to a ban, and an account may have a hundred sessions. What the tasks share lies
in a locked file of the host, see `host_state`; docs/decisions/0007 tells why.
"""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.auth.identity_service import LONGEST_LIFE_S, Token
from copernicus_dataspace.errors import (
    CredentialsError,
    DataSpaceError,
    LoginLimitedError,
    ServiceUnavailableError,
    TransientError,
)
from copernicus_dataspace.http.status_errors import BlockedError, TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from copernicus_dataspace.auth.identity_service import Realm
    from copernicus_dataspace.limits.shared_file import SharedFile

    State = dict[str, Any]

logger = logging.getLogger(__name__)

LOCK_WAIT_S: Final = 300.0
"""Longer than all tries of a login that another process is busy with."""

_REST_S: Final = 60.0
"""Nobody asks again for so long after all tries have failed."""
_LONGEST_REST_S: Final = 3600.0
_REFUSED_S: Final = 3600.0
"""A refused account is tried again after so long, for one that was locked for a while."""
_MOST_RENEWALS: Final = 5
"""Tokens replaced within a minute because the service refused them."""
_REFUSED_AGAIN: Final = (
    "The download service refuses every token, however new; it may be out of order, or this "
    "account may not download."
)


class TokenSource:
    """Hands out an access token that is valid now; safe to share between threads."""

    def __init__(
        self,
        realm: Realm,
        host: SharedFile,
        *,
        on_new_token: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create the source; nothing is sent before the first token is asked for.

        Args:
            realm: Gives tokens out; its clock is the same for all who share them.
            host: Where the session is shared; of this account with this password alone, its lock
                is held while one process logs in.
            on_new_token: Called with every secret that was not known yet, so that logs can be
                masked.
        """
        self._realm = realm
        self._host = host
        self._on_new_token = on_new_token
        self._token: Token | None = None
        self._has_logged_in = False
        self._lock = threading.Lock()

    def token(self) -> str:
        """Return an access token with life left, logging in or renewing where needed.

        Raises:
            CredentialsError: The account was refused, whichever task asked; not tried again.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._realm.clock() >= self._token.renew_at:
                self._token = self._next_token(refused=None)
            return self._token.access

    def renew(self, refused: str) -> str:
        """Return a token other than the refused one; many threads and tasks cause one renewal.

        Raises:
            CredentialsError: The account was refused, whichever task asked; not tried again.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._token.access == refused:
                self._token = self._next_token(refused)
            return self._token.access

    def end(self) -> None:
        """End the session if nobody shares it; a failure does not matter."""
        with self._lock:
            token, self._token = self._token, None
        is_own = self._host.is_alone and self._has_logged_in
        if token is not None and token.refresh and is_own:
            self._realm.log_out(token)

    def _failure(self, error: DataSpaceError) -> State:
        """Return what is written down about a failure: a refusal of the account, or a rest."""
        now = self._realm.clock()
        if isinstance(error, TransientError):
            rest_s = min(max(_REST_S, error.retry_after_s or 0.0), _LONGEST_REST_S)
            is_limit = isinstance(error, LoginLimitedError)
            return {"rest": {"until": now + rest_s, "why": str(error), "is_limit": is_limit}}
        return {"refusal": {"until": now + _REFUSED_S, "why": str(error)}}

    def _next_token(self, refused: str | None) -> Token:
        """Return the token that the tasks share, or a new one where it is refused or old."""
        results: list[Token | DataSpaceError] = []

        def advanced(state: State) -> State:
            state, result = self._advanced(state, refused)
            results.append(result)
            return state

        self._host.exchange(advanced)
        (result,) = results
        if isinstance(result, DataSpaceError):
            raise result
        for secret in filter(None, (result.access, result.refresh)):
            self._on_new_token(secret)
        return result

    def _advanced(self, state: State, refused: str | None) -> tuple[State, Token | DataSpaceError]:
        """Return the tasks' state after this one has asked, and what it gets."""
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
        """Let no one-time code be sent that another task has sent."""
        step, codes = state.get("code_step"), self._realm.codes
        if codes and isinstance(step, int):
            codes.last_step = step

    def _code(self) -> State:
        """Return what is written down of the last one-time code."""
        codes = self._realm.codes
        return {"code_step": codes.last_step} if codes and codes.last_step is not None else {}

    def _granted(self, old: Token | None, *, is_urgent: bool) -> Token:
        token = self._refreshed(old, is_urgent=is_urgent) if old else None
        if token is None:
            token = self._realm.logged_in()
            self._has_logged_in = True
        return token

    def _refreshed(self, old: Token, *, is_urgent: bool) -> Token | None:
        """Return a renewed token; None where the password has to do, at the latest when it must."""
        try:
            return self._realm.refreshed(old)
        except BlockedError:
            raise
        except ServiceUnavailableError as error:
            if not is_urgent:
                raise
            logger.warning("%s The session cannot be renewed; logging in anew.", error)
            return None


def _known(state: State, now: float) -> DataSpaceError | None:
    """Return what this or another task was told a while ago."""
    refusal, rest = _lasting(state.get("refusal"), now), _lasting(state.get("rest"), now)
    if refusal:
        minutes = math.ceil((refusal["until"] - now) / 60)
        message = f"{refusal['why']} The next try is in {minutes} min."
        return CredentialsError(message)
    if rest:
        kind = LoginLimitedError if rest.get("is_limit") else ServiceUnavailableError
        return kind(rest["why"], rest["until"] - now)
    return None


def _renewals(state: State, now: float) -> list[float]:
    """Return when tokens were replaced, lately, because the service refused them."""
    found = state.get("renewals")
    times = found if isinstance(found, list) else []
    return [one for one in times if isinstance(one, int | float) and now - _REST_S < one <= now]


def _lasting(note: object, now: float) -> State | None:
    """Return a note that is of our form, and neither over nor the work of a wrong clock."""
    if not isinstance(note, dict) or not isinstance(note.get("why"), str):
        return None
    until = note.get("until")
    if not isinstance(until, int | float):
        return None
    return note if now < until <= now + 2 * _LONGEST_REST_S else None


def without_failures(state: State) -> State:
    """Return a session's state without what was refused; for `SharedFile.exchange`."""
    return {name: value for name, value in state.items() if name not in ("refusal", "rest")}
