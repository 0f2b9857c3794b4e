"""Knows by its cause whether a failure of the storage of an output may pass; touches no storage.

Only what cannot pass by itself is permanent: a right, a bucket, a key or an operation that is
missing, or a name that the storage cannot have. All else is worth another try.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and errno(3). Azure and
Google name theirs otherwise; of those the HTTP status decides.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.errors import (
    DataSpaceError,
    MissingFileError,
    StorageFullError,
    StorageRefusedError,
    StorageUnavailableError,
)
from copernicus_dataspace.os_errors import (
    DISK_FULL,
    IMPOSSIBLE_NAME,
    NOT_ALLOWED,
    NOT_SUPPORTED,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLIENTS: Final = frozenset(
    {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs"}
)
"""Packages whose errors are of a storage, though they may be no OSError."""

_RIGHTS: Final = (
    "let whoever runs this list, read, write and delete there, or choose another output"
)
_KEYS: Final = "correct the keys that this storage is reached with"
_BUCKET: Final = "create it, or choose another output"
_OPERATION: Final = "this storage cannot do what is needed; choose another output"
_NAME: Final = (
    "this storage cannot have such a name, or something else has it; choose another output"
)

_ADVICE_BY_ERRNO: Final = {
    **dict.fromkeys(NOT_ALLOWED, _RIGHTS),
    **dict.fromkeys(IMPOSSIBLE_NAME, _NAME),
    **dict.fromkeys(NOT_SUPPORTED, _OPERATION),
}
"""What to do about an error of a disk that does not pass."""

_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")
_UNKNOWN: Final = ("NotImplemented", "MethodNotAllowed")
_ADVICE_BY_CODE: Final = {
    **dict.fromkeys(_NO_BUCKET, _BUCKET),
    **dict.fromkeys(
        (
            *("AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidObjectState"),
            "NotSignedUp",
        ),
        _RIGHTS,
    ),
    **dict.fromkeys(
        (
            *("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity"),
            *("PartialCredentialsError", "ProfileNotFound", "AuthorizationHeaderMalformed"),
            "AuthenticationFailed",
        ),
        _KEYS,
    ),
    **dict.fromkeys(
        (
            *(*_UNKNOWN, "InvalidRequest", "InvalidArgument", "ParamValidationError"),
            *("MissingContentMD5", "MissingContentLength", "InvalidDigest", "MalformedXML"),
            *("InvalidStorageClass", "EntityTooLarge", "NotImplementedError"),
        ),
        _OPERATION,
    ),
    **dict.fromkeys(
        (
            *("InvalidBucketName", "InvalidURI", "KeyTooLongError", "PermanentRedirect"),
            *("IllegalLocationConstraintException", "InvalidRegionError", "NoRegionError"),
        ),
        _NAME,
    ),
}
"""What to do about an error of object storage that does not pass, by its code or its class."""
_FULL_CODES: Final = (
    *("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"),
    "InsufficientStorage",
)
_PASSING_CODES: Final = (
    *("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestTimeTooSkewed"),
    *("RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "SlowDown"),
)
"""Said with statuses that would not pass: keys are renewed, clocks set right, bodies sent again."""
_ADVICE_BY_STATUS: Final = {301: _NAME, 401: _KEYS, **dict.fromkeys((405, 411, 501), _OPERATION)}
_DOUBTS: Final = {
    "NoCredentialsError": "; else give the connection keys, or the machine or pod a role",
    "403": f"; else {_RIGHTS}",
}
"""What to do should it not pass: a role's keys come from a busy endpoint, and a 403 to HEAD, which
has no words, may stand for anything that 403 is said with."""
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_FULL_STATUS: Final = 507
_UNKNOWN_STATUS: Final = (405, 501)
_TAKEN_CODES: Final = ("PreconditionFailed", "ConditionalRequestConflict")
_TAKEN_STATUS: Final = (409, 412)

_QUERY: Final = re.compile(r"\?[^\s'\"]*")
_SHOWN_CHARS: Final = 300
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class FailureCause:
    """What a failure and those behind it tell.

    Attributes:
        code: The service's word, or the name of the error's class; empty for an error of a disk.
        status: Of its HTTP answer; None where there was none.
        errno: Of the operating system; None where it said none.
    """

    code: str
    status: int | None
    errno: int | None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return the cause of an error: what a service said counts before what was made of it."""
        chain = [one for one in _chain(error) if not isinstance(one, DataSpaceError)]
        error = chain[0] if chain else error
        number = next((n for one in chain if (n := getattr(one, "errno", None)) is not None), None)
        for one in chain:
            code, status = _said(one)
            if code or status:
                return cls(code, status, number)
        if isinstance(error, NotImplementedError) or not isinstance(error, OSError):
            return cls(type(error).__name__, None, number)
        return cls("", None, number if number is not None else _errno_of_class(error))

    @property
    def advice(self) -> str | None:
        """What a person must do about it; None where it may pass."""
        if self.code in _PASSING_CODES or self.is_full:
            return None
        if self.code in _ADVICE_BY_CODE:
            return _ADVICE_BY_CODE[self.code]
        if self.status == _FORBIDDEN:
            return _RIGHTS if self.code else None
        if self.status is not None:
            return _ADVICE_BY_STATUS.get(self.status)
        return None if self.code else _ADVICE_BY_ERRNO.get(self.errno or 0)

    @property
    def has_no_bucket(self) -> bool:
        """Whether not a file is missing, but all that it should be in."""
        return self.code in _NO_BUCKET

    @property
    def lacks_operation(self) -> bool:
        """Whether the storage does not know what was asked of it."""
        return self.code in _UNKNOWN or (not self.code and self.status in _UNKNOWN_STATUS)

    @property
    def refuses_form(self) -> bool:
        """Whether the request as such was refused, in words that need not be known."""
        is_bad_request = self.status == _BAD_REQUEST and self.code not in _PASSING_CODES
        return is_bad_request or self.advice is not None

    @property
    def is_full(self) -> bool:
        """Whether there is no room left."""
        if self.code or self.status:
            return self.code in _FULL_CODES or self.status == _FULL_STATUS
        return self.errno in DISK_FULL

    @property
    def is_taken(self) -> bool:
        """Whether something stands where a file was to be written only if there was none."""
        return self.code in _TAKEN_CODES or self.status in _TAKEN_STATUS

    @property
    def is_bad_sector(self) -> bool:
        """Whether a disk cannot read a file that it has."""
        return not self.code and self.status is None and self.errno == errno.EIO


@contextlib.contextmanager
def named(address: Callable[[], str], done: str) -> Iterator[None]:
    """Let a failure of the storage be one of the library's errors, which says what to do.

    Args:
        address: Returns what was asked for; called where something fails.
        done: What could not be done, such as ``read``.

    Raises:
        StorageRefusedError: Trying again cannot help.
        StorageFullError: There is no room.
        MissingFileError: There is no such file.
        StorageUnavailableError: It may pass for another reason.
    """
    try:
        yield
    except DataSpaceError:
        raise
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise error_of(error, address(), done) from error


def error_of(error: Exception, address: str, done: str) -> DataSpaceError:
    """Return the error of the library that a failure of the storage at an address stands for."""
    cause = FailureCause.of(error)
    what = f"{address} cannot be {done}: {_words(error, cause)}"
    if cause.is_full:
        return StorageFullError(f"{what}; free some space.")
    if cause.advice:
        return StorageRefusedError(f"{what}; {cause.advice}.")
    if isinstance(error, FileNotFoundError):
        return MissingFileError(f"{what}; it may just have been moved or removed, try again.")
    doubt = _DOUBTS.get(cause.code or str(cause.status), "")
    return StorageUnavailableError(f"{what}; this may pass, try again{doubt}.")


def _is_of_storage(error: Exception) -> bool:
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError | NotImplementedError) or package in _CLIENTS


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


def _said(error: BaseException) -> tuple[str, int | None]:
    """Return the code and the HTTP status that an error of a client holds."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        said, answer = response.get("Error") or {}, response.get("ResponseMetadata") or {}
        code, status = str(said.get("Code") or ""), _status(answer.get("HTTPStatusCode"))
        return ("", _status(code)) if code.isdigit() else (code, status)
    if type(error).__module__.partition(".")[0] not in _CLIENTS:
        return "", None
    names = ("status_code", "status", "code")
    found = (_status(getattr(error, name, None)) for name in names)
    return str(getattr(error, "error_code", None) or ""), next(filter(None, found), None)


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"[1-5][0-9]{2}", text) else None


def _errno_of_class(error: OSError) -> int | None:
    """Return the number of an error that was made without one."""
    by_class = {
        PermissionError: errno.EACCES,
        FileExistsError: errno.EEXIST,
        NotADirectoryError: errno.ENOTDIR,
        IsADirectoryError: errno.EISDIR,
    }
    return by_class.get(type(error))


def _words(error: Exception, cause: FailureCause) -> str:
    """Return what the storage said, without the query of any address."""
    if isinstance(error, OSError) and error.errno and not cause.code and not cause.status:
        return error.strerror or os.strerror(error.errno)
    said = _QUERY.sub("", " ".join(str(error).split()))[:_SHOWN_CHARS].rstrip(". ")
    status = f"HTTP {cause.status}" if cause.status else ""
    return " ".join(filter(None, (status, cause.code, said))) or type(error).__name__
