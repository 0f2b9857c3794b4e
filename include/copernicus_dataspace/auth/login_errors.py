"""Explains why the identity service refused a login.

By OAuth's `error` code, RFC 6749; the description is used only if the code has several causes. A
response without such a code does not come from the identity service.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import (
    AccessDeniedError,
    CredentialsError,
    DataSpaceError,
    LoginLimitedError,
    QueryError,
)
from copernicus_dataspace.http.status_errors import BlockedError

if TYPE_CHECKING:
    from copernicus_dataspace.auth.identity_service import Account

_UNAUTHORIZED, _FORBIDDEN = 401, 403
_GRANT: Final = "invalid_grant"
"""OAuth's code for a wrong password, a used one-time code, a locked account, an expired token."""
_CLIENT: Final = ("invalid_client", "unauthorized_client")
_TOO_MANY: Final = re.compile(r"session.*\b(limit|exceed|max)|\b(limit|max|many)\b.*session", re.I)
_LOCKED: Final = re.compile(r"\b(disabled|locked)\b", re.I)
_INCOMPLETE: Final = re.compile(r"not fully set up|required action|\bverif", re.I)
_SESSIONS_END_S: Final = 900.0
"""Wait until one of the account's hundred sessions ends; each lasts up to an hour."""
_SITE: Final = "https://dataspace.copernicus.eu"


def is_refusal(error: DataSpaceError) -> bool:
    """Tell whether an error is about the account or the token, not about the connection.

    A 401 always is, whoever sent it, so that a password is not tried twice.
    """
    if error.status is None:
        return False
    if isinstance(error, BlockedError):
        return bool(error.code)
    return isinstance(error, AccessDeniedError | CredentialsError | QueryError)


def may_be_used_code(error: DataSpaceError) -> bool:
    """Tell whether a login may have been refused because its one-time code was already used."""
    is_other = _INCOMPLETE.search(error.reason) or _LOCKED.search(error.reason)
    return error.status == _UNAUTHORIZED and error.code == _GRANT and not is_other


def refusal_of(error: DataSpaceError, account: Account) -> DataSpaceError:
    """Return the error for a refused login, with advice.

    Args:
        error: One for which `is_refusal` is true.
        account: Account of the login.
    """
    who = f"Login of {account.username} was refused"
    answer = " ".join(f"HTTP {error.status} {error.code} {error.reason}".split()).rstrip(".")
    said = f"The service said: {answer}."
    if error.code and _TOO_MANY.search(error.reason):
        message = (
            f"{who}: the account has reached its maximum number of sessions. Each ends within an "
            f"hour; stop programs that log in repeatedly with this account. {said}"
        )
        return LoginLimitedError(message, _SESSIONS_END_S).of_answer(error)
    if not error.code:
        said += " That is not an OAuth error; a proxy or firewall on the way may have responded."
    message = f"{who}: {_reason(error, account)} {said}"
    return CredentialsError(message).of_answer(error)


def _reason(error: DataSpaceError, account: Account) -> str:
    if error.code in _CLIENT:
        named = account.client_id
        return f"client_id {named!r} is not accepted; correct it, or leave it empty."
    if error.status == _FORBIDDEN:
        return (
            "the identity service refuses this account, or this machine, for now; too many logins "
            "lead to a ban."
        )
    if error.code == _GRANT:
        return _of_grant(error, account)
    if error.status == _UNAUTHORIZED:
        return _wrong(account)
    return "the identity service does not accept logins of this form; check identity_url."


def _of_grant(error: DataSpaceError, account: Account) -> str:
    if _INCOMPLETE.search(error.reason):
        return f"the account is incomplete. Log in once at {_SITE} and complete it."
    if _LOCKED.search(error.reason):
        return f"the account is locked or disabled. Log in at {_SITE}, or ask its help desk."
    if error.status == _UNAUTHORIZED:
        return _wrong(account)
    return f"log in once at {_SITE} and complete the account."


def _wrong(account: Account) -> str:
    second_factor = (
        "a refused one-time code of totp_secret (check this machine's clock)"
        if account.totp_secret
        else "a second factor (then set the two-factor secret, totp_secret)"
    )
    return (
        f"wrong e-mail or password, or {second_factor}, or too many wrong attempts have locked the "
        "account for a while. Correct the login and password."
    )
