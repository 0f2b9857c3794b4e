"""Knows the identity service: logs in, renews, and hands out an access token that is valid now.

Source: https://documentation.dataspace.copernicus.eu/APIs/Token.html
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from dataspace.errors import (
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    ProductUnavailableError,
    QueryError,
    RateLimitedError,
    ServiceUnavailableError,
    TransientError,
)
from dataspace.http_answer import StoppedError
from dataspace.http_errors import LoginLimitedError, TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dataspace.http import Http
    from dataspace.retries import Retries

_TOKEN_PATH: Final = "/protocol/openid-connect/token"  # noqa: S105
_LOGOUT_PATH: Final = "/protocol/openid-connect/logout"
logger = logging.getLogger(__name__)

_CLIENT_ID: Final = "cdse-public"

_LOGOUT_S: Final = 10.0
_USED_SHARE: Final = 0.8
"""A token is renewed once this share of its lifetime has passed, so that none expires in use."""
_REST_S: Final = 60.0
"""Nobody asks again for so long after all tries have failed; too many logins lead to a ban."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in.

    Attributes:
        username: The account's e-mail address.
        password: Its password.
        totp_secret: Base32 secret of the second factor; None where the account has none.
        client_id: OAuth client; the public one of the Data Space unless an account has its own.
    """

    username: str
    password: str = field(repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    client_id: str = _CLIENT_ID


@dataclass(frozen=True, slots=True)
class Token:
    """One answer of the token endpoint, with times on the caller's clock, in seconds."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    renew_at: float
    refresh_until: float

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], now: float) -> Self:
        """Return the token of an answer received now.

        Raises:
            ServiceUnavailableError: The answer holds no token or no lifetime.
        """
        try:
            return cls(
                access=_text(answer["access_token"]),
                refresh=answer.get("refresh_token"),
                renew_at=now + _USED_SHARE * float(answer["expires_in"]),
                refresh_until=now + float(answer.get("refresh_expires_in") or 0),
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"identity service: the answer to a login lacks {error}; try again."
            raise ServiceUnavailableError(message) from error


class TokenSource:
    """Holds one session of an account; safe to share between threads."""

    def __init__(
        self,
        http: Http,
        identity_url: str,
        account: Account,
        *,
        retries: Retries,
        on_new_token: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the source; nothing is sent before the first token is asked for.

        Args:
            http: Sends the requests.
            identity_url: Base URL of the realm.
            account: Who logs in.
            retries: What to do while the identity service is overloaded.
            on_new_token: Called with every new secret, so that logs can be masked.
            clock: Seconds from any fixed point.
        """
        self._http = http
        self._url = identity_url + _TOKEN_PATH
        self._logout_url = identity_url + _LOGOUT_PATH
        self._account = account
        self._retries = retries
        self._on_new_token = on_new_token
        self._clock = clock
        self._token: Token | None = None
        self._refused: CredentialsError | None = None
        self._failed: TransientError | None = None
        self._rest_until = 0.0
        self._lock = threading.Lock()

    def token(self) -> str:
        """Return an access token with life left, logging in or renewing where needed.

        Raises:
            CredentialsError: The account was refused; not tried again.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._clock() >= self._token.renew_at:
                self._token = self._new_token()
            return self._token.access

    def renew(self, refused: str) -> str:
        """Return a token other than the refused one; many threads cause one renewal.

        Raises:
            CredentialsError: The account was refused; not tried again.
            TransientError: The identity service cannot be reached.
        """
        with self._lock:
            if self._token is None or self._token.access == refused:
                self._token = self._new_token()
            return self._token.access

    def end(self) -> None:
        """End the session, of which an account may have a hundred; a failure does not matter."""
        with self._lock:
            token, self._token = self._token, None
        if token is None or not token.refresh:
            return
        form = {"client_id": self._account.client_id, "refresh_token": token.refresh}
        try:
            self._http.post_form(
                self._logout_url, form, what="identity service", answer_s=_LOGOUT_S
            ).close()
        except (DataSpaceError, StoppedError) as error:
            logger.debug("The session could not be ended: %s", error)

    def _new_token(self) -> Token:
        if self._failed is not None and self._clock() < self._rest_until:
            raise self._failed
        try:
            token = self._refreshed() or self._logged_in()
        except TransientError as error:
            self._failed = error
            self._rest_until = self._clock() + max(_REST_S, error.retry_after_s or 0.0)
            raise
        self._on_new_token(token.access)
        if token.refresh:
            self._on_new_token(token.refresh)
        return token

    def _refreshed(self) -> Token | None:
        """Return a token for the refresh token, None where that has died or there is none."""
        old = self._token
        if old is None or not old.refresh or self._clock() >= old.refresh_until:
            return None
        try:
            form = {"grant_type": "refresh_token", "refresh_token": old.refresh}
            return self._grant(lambda: form)
        except (QueryError, TokenRefusedError):
            return None

    def _logged_in(self) -> Token:
        if self._refused is not None:  # once more could lock the account
            raise self._refused
        try:
            return self._grant(self._password_form)
        except TokenRefusedError as error:
            message = f"{self._refusal()} The service said: {error}"
        except QueryError as error:
            message = (
                f"Login of {self._account.username} was refused: {error} Log in once at "
                "https://dataspace.copernicus.eu and complete what it asks for."
            )
        self._refused = CredentialsError(message)
        raise self._refused

    def _password_form(self) -> dict[str, str]:
        form = {
            "grant_type": "password",
            "username": self._account.username,
            "password": self._account.password,
        }
        if self._account.totp_secret:
            form["totp"] = _one_time_code(self._account.totp_secret)
        return form

    def _grant(self, make_form: Callable[[], Mapping[str, str]]) -> Token:
        """Return the token of a grant; the form is made anew for each try, as codes grow old."""

        def attempt() -> Token:
            sent_at = self._clock()
            form = {"client_id": self._account.client_id, **make_form()}
            with self._http.post_form(self._url, form, what="identity service") as answer:
                return Token.from_answer(answer.json(), sent_at)

        try:
            return self._retries.call(attempt)
        except RateLimitedError as error:
            raise LoginLimitedError(str(error), error.retry_after_s) from error
        except ProductUnavailableError as error:
            message = f"There is no identity service at identity_url: {error}"
            raise ConfigurationError(message) from error

    def _refusal(self) -> str:
        second_factor = (
            "the one-time code of totp_secret was refused (is this machine's clock right?)"
            if self._account.totp_secret
            else "the account has a second factor (then set the two-factor secret, totp_secret)"
        )
        return (
            f"Login of {self._account.username} was refused: wrong e-mail or password, or "
            f"{second_factor}, or too many wrong attempts have locked the account for a while. "
            "Correct the connection; it was tried once and is not tried again."
        )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        message = "a token"
        raise TypeError(message)
    return value


def _one_time_code(secret: str) -> str:
    import binascii  # noqa: PLC0415

    import pyotp  # noqa: PLC0415 - only accounts with a second factor need it

    try:
        return pyotp.TOTP(secret.replace(" ", "")).now()
    except (binascii.Error, ValueError) as error:
        message = "totp_secret is not a base32 secret; copy it from the authenticator set-up page."
        raise CredentialsError(message) from error
