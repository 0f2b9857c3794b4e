"""The identity service (Keycloak): login, token refresh and logout. See also `shared_session`.

Source: https://documentation.dataspace.copernicus.eu/APIs/Token.html
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from msgspec import Meta

from copernicus_dataspace.auth.credentials import refuse_flawed
from copernicus_dataspace.auth.login_errors import is_refusal, may_be_used_code, refusal_of
from copernicus_dataspace.auth.totp import Codes
from copernicus_dataspace.errors import (
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    LoginLimitedError,
    ProductUnavailableError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    StoppedError,
)
from copernicus_dataspace.json_records import Amount, from_json_or

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.limits.retry import RetryPolicy

logger = logging.getLogger(__name__)

_TOKEN_PATH: Final = "/protocol/openid-connect/token"  # noqa: S105
_LOGOUT_PATH: Final = "/protocol/openid-connect/logout"
_CLIENT_ID: Final = "cdse-public"
_WHAT: Final = "identity service"

_ANSWER_S: Final = 30.0
_LOGOUT_S: Final = 10.0
_USED_SHARE: Final = 0.8
"""A token is renewed after this share of its lifetime, so that it never expires in use."""
_SHORT_S: Final = 60.0
"""Assumed lifetime of a token that has none."""
LONGEST_LIFE_S: Final = 86_400.0
"""Maximum lifetime of a token; a stored one that exceeds it was written by a wrong clock."""
_NOT_HERE: Final = (404, 410)
_TOKEN: Final = re.compile(r"[!-~]+")
_TokenText = Annotated[str, Meta(pattern=rf"^{_TOKEN.pattern}\Z")]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the Data Space.

    Attributes:
        username: The account's e-mail address.
        password: Its password.
        totp_secret: Base32 secret of the second factor; None if the account has none.
        client_id: OAuth client; the public one of the Data Space unless an account has its own.

    Raises:
        ConfigurationError: One of them was copied wrongly, see `credentials`.
    """

    username: str
    password: str = field(repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    client_id: str = _CLIENT_ID

    def __post_init__(self) -> None:
        refuse_flawed("login", self.username)
        refuse_flawed("password", self.password)
        refuse_flawed("client_id", self.client_id, is_ascii=True)
        refuse_flawed("totp_secret", (self.totp_secret or "").replace(" ", ""), is_ascii=True)

    def fingerprint(self) -> str:
        """Return a hash of the credentials that is costly to attack: 40 ms."""
        secret = json.dumps([self.password, self.totp_secret, self.client_id]).encode()
        salt = self.username.encode()
        return hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


@dataclass(frozen=True, slots=True)
class Token:
    """Response of the token endpoint, with times in seconds on the caller's clock."""

    access: _TokenText = field(repr=False)
    refresh: _TokenText | None = field(repr=False)
    renew_at: Amount
    expires_at: Amount
    refresh_until: Amount

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], now: float) -> Self:
        """Return the token of a response received now.

        Raises:
            ServiceUnavailableError: The response has no token.
        """
        try:
            access = _text(answer["access_token"])
        except (KeyError, TypeError) as error:
            message = f"{_WHAT}: the login response has no {error}; try again."
            raise ServiceUnavailableError(message) from error
        refresh = answer.get("refresh_token")
        lifetime_s = _seconds(answer.get("expires_in"), _SHORT_S)
        return cls(
            access=access,
            refresh=refresh if isinstance(refresh, str) else None,
            renew_at=now + _USED_SHARE * lifetime_s,
            expires_at=now + lifetime_s,
            refresh_until=now + _seconds(answer.get("refresh_expires_in"), 0.0),
        )

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """Return the token of a record that `to_record` wrote; None for anything else."""
        return from_json_or(record, cls, None)

    def to_record(self) -> dict[str, Any]:
        """Return a JSON object for `from_record`; it contains the tokens."""
        return asdict(self)


class IdentityService:
    """The identity service for one account; stores no token.

    Attributes:
        account: Account for login.
        clock: Returns the present time in seconds.
        codes: One-time codes of the second factor; None if the account has none.
    """

    def __init__(
        self,
        http: Http,
        identity_url: str,
        account: Account,
        retries: RetryPolicy,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Use the realm at a base URL.

        Args:
            http: Sends the requests.
            identity_url: Base URL of the realm.
            account: Account for login.
            retries: Retry policy.
            clock: Clock of the tokens' times.
        """
        self._http = http
        self._url = identity_url + _TOKEN_PATH
        self._logout_url = identity_url + _LOGOUT_PATH
        self._retries = retries
        self.clock = clock
        self.account = account
        self.codes = Codes(account.totp_secret, http.wait) if account.totp_secret else None

    def refreshed(self, old: Token) -> Token | None:
        """Return a token for a refresh token; None if that has expired.

        Raises:
            TransientError: The service is not available.
        """
        if not old.refresh or self.clock() >= old.refresh_until:
            return None
        form = {"grant_type": "refresh_token", "refresh_token": old.refresh}
        try:
            return self._grant(lambda: form)
        except DataSpaceError as error:
            if not is_refusal(error) and not isinstance(error, RefusedRequestError):
                raise
            return None

    def logged_in(self) -> Token:
        """Log in and return the token; a wrong password is tried once.

        With a second factor the login is repeated with the next code: another host may have used
        the first one, and the service refuses both in the same way.

        Raises:
            CredentialsError: The account was refused.
            TransientError: The service is not available, or the account has too many sessions.
        """
        try:
            return self._entered()
        except DataSpaceError as error:
            if not is_refusal(error):
                raise
            raise refusal_of(error, self.account) from error

    def _entered(self) -> Token:
        try:
            return self._grant(self._password_form)
        except CredentialsError as error:
            if self.codes is None or not may_be_used_code(error):
                raise
            logger.info("The one-time code may have been used already; trying the next one.")
            return self._grant(self._password_form)

    def log_out(self, token: Token) -> None:
        """End a session (an account may have a hundred); errors are ignored."""
        form = {"client_id": self.account.client_id, "refresh_token": token.refresh or ""}
        try:
            self._http.post_form(self._logout_url, form, what=_WHAT, answer_s=_LOGOUT_S).close()
        except (DataSpaceError, StoppedError) as error:
            logger.debug("The session could not be ended: %s", error)

    def _password_form(self) -> dict[str, str]:
        form = {
            "grant_type": "password",
            "username": self.account.username,
            "password": self.account.password,
        }
        if self.codes:
            form["totp"] = self.codes.next()
        return form

    def _grant(self, make_form: Callable[[], Mapping[str, str]]) -> Token:
        """Return the token of a grant; the form is built for each attempt, because codes expire."""

        def attempt() -> Token:
            sent_at = self.clock()
            form = {"client_id": self.account.client_id, **make_form()}
            try:
                answer = self._http.post_form(self._url, form, what=_WHAT, answer_s=_ANSWER_S)
            except ProductUnavailableError as error:
                raise self._absent(error) from error
            with answer:
                return Token.from_answer(answer.json(), sent_at)

        try:
            return self._retries.call(attempt)
        except RateLimitedError as error:
            raise LoginLimitedError(str(error), error.retry_after_s) from error

    def _absent(self, error: ProductUnavailableError) -> DataSpaceError:
        if error.status in _NOT_HERE and self._http.setting_of(self._url):
            return ConfigurationError(f"No identity service was found at identity_url: {error}")
        return ServiceUnavailableError(str(error), error.retry_after_s)


def _text(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        message = "usable token"
        raise TypeError(message)
    return value


def _seconds(value: object, default: float) -> float:
    """Return a lifetime given by the service, at most a day, or else the default."""
    try:
        seconds = float(str(value))
    except ValueError:
        return default
    return min(seconds, LONGEST_LIFE_S) if 0 < seconds < math.inf else default
