"""Knows what it means where the identity service refuses an account, in plain words.

By OAuth's `error`, RFC 6749; the description is looked at only where that leaves several causes.
What holds no such code was not written by the identity service.
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
"""What OAuth calls a wrong password, a used code, a locked account and a dead token."""
_CLIENT: Final = ("invalid_client", "unauthorized_client")
_TOO_MANY: Final = re.compile(r"session.*\b(limit|exceed|max)|\b(limit|max|many)\b.*session", re.I)
_LOCKED: Final = re.compile(r"\b(disabled|locked)\b", re.I)
_INCOMPLETE: Final = re.compile(r"not fully set up|required action|\bverif", re.I)
_SESSIONS_END_S: Final = 900.0
"""Wait for one of an account's hundred sessions to end; each does within an hour."""
_SITE: Final = "https://dataspace.copernicus.eu"


def is_refusal(error: DataSpaceError) -> bool:
    """Tell whether an error is about the account or the token, not about the way there.

    A 401 always is, whoever wrote it, so that no password is tried twice.
    """
    if error.status is None:
        return False
    if isinstance(error, BlockedError):
        return bool(error.code)
    return isinstance(error, AccessDeniedError | CredentialsError | QueryError)


def may_be_used_code(error: DataSpaceError) -> bool:
    """Tell whether a login may have been refused for a one-time code that served elsewhere."""
    is_other = _INCOMPLETE.search(error.reason) or _LOCKED.search(error.reason)
    return error.status == _UNAUTHORIZED and error.code == _GRANT and not is_other


def refusal_of(error: DataSpaceError, account: Account) -> DataSpaceError:
    """Return what a refused login means, and what to do about it.

    Args:
        error: Of which `is_refusal` holds.
        account: Who logged in.
    """
    who = f"Login of {account.username} was refused"
    answer = " ".join(f"HTTP {error.status} {error.code} {error.reason}".split()).rstrip(".")
    said = f"The service said: {answer}."
    if error.code and _TOO_MANY.search(error.reason):
        message = (
            f"{who}: the account has as many sessions as it may have. Each ends by itself within "
            f"an hour; stop what logs in again and again with this account. {said}"
        )
        return LoginLimitedError(message, _SESSIONS_END_S).of_answer(error)
    if not error.code:
        said += " That is not OAuth's form; a proxy or firewall on the way may have answered."
    message = f"{who}: {_reason(error, account)} {said}"
    return CredentialsError(message).of_answer(error)


def _reason(error: DataSpaceError, account: Account) -> str:
    if error.code in _CLIENT:
        named = account.client_id
        return f"client_id {named!r} is not accepted; leave it empty, or correct it."
    if error.status == _FORBIDDEN:
        return (
            "the identity service refuses this account, or this machine, for now; too many logins "
            "lead to a ban."
        )
    if error.code == _GRANT:
        return _of_grant(error, account)
    if error.status == _UNAUTHORIZED:
        return _wrong(account)
    return "the identity service does not take logins of this form; is identity_url right?"


def _of_grant(error: DataSpaceError, account: Account) -> str:
    if _INCOMPLETE.search(error.reason):
        return f"it is not complete. Log in once at {_SITE} and do what it asks for."
    if _LOCKED.search(error.reason):
        return f"it is locked or disabled. Log in at {_SITE}, or ask its help desk."
    if error.status == _UNAUTHORIZED:
        return _wrong(account)
    return f"log in once at {_SITE} and complete what it asks for."


def _wrong(account: Account) -> str:
    second_factor = (
        "the one-time code of totp_secret was refused (is this machine's clock right?)"
        if account.totp_secret
        else "the account has a second factor (then set the two-factor secret, totp_secret)"
    )
    return (
        f"wrong e-mail or password, or {second_factor}, or too many wrong attempts have locked the "
        "account for a while. Correct the connection."
    )
