"""Maps storage errors to the library's errors, by their cause.

Permanent are a missing permission, bucket, key or operation, and an invalid name. All others are
temporary and worth a retry.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and errno(3). Azure and
Google have other codes; for those the HTTP status decides.
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
"""Packages whose exceptions are storage errors even if they are not OSErrors."""

_RIGHTS: Final = "grant permission to list, read, write and delete there, or choose another output"
_KEYS: Final = "correct the access keys of this storage"
_BUCKET: Final = "create it, or choose another output"
_OPERATION: Final = "this storage does not support the operation; choose another output"
_NAME: Final = "the name is invalid on this storage, or already taken; choose another output"

_ADVICE_BY_ERRNO: Final = {
    **dict.fromkeys(NOT_ALLOWED, _RIGHTS),
    **dict.fromkeys(IMPOSSIBLE_NAME, _NAME),
    **dict.fromkeys(NOT_SUPPORTED, _OPERATION),
}
"""Advice for permanent errors of a disk."""

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
"""Advice for permanent errors of object storage, by error code or exception class."""
_FULL_CODES: Final = (
    *("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"),
    "InsufficientStorage",
)
_PASSING_CODES: Final = (
    *("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestTimeTooSkewed"),
    *("RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "SlowDown"),
)
"""Temporary errors with a permanent status: keys are renewed, clocks corrected, bodies resent."""
_ADVICE_BY_STATUS: Final = {301: _NAME, 401: _KEYS, **dict.fromkeys((405, 411, 501), _OPERATION)}
_DOUBTS: Final = {
    "NoCredentialsError": "; otherwise set access keys, or give the machine or pod a role",
    "403": f"; otherwise {_RIGHTS}",
}
"""Advice in case the error is permanent: a role's keys come from a busy endpoint, and a 403 to HEAD
has no error code."""
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
    """The cause of a storage error.

    Attributes:
        code: Error code, or name of the exception class; empty for an error of a disk.
        status: HTTP status; None if there was no response.
        errno: errno of the operating system; None if there is none.
    """

    code: str
    status: int | None
    errno: int | None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return the cause of an error; the response of a service takes precedence."""
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
        """What to do about a permanent error; None for a temporary one."""
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
        """Whether the bucket is missing, not just the file."""
        return self.code in _NO_BUCKET

    @property
    def lacks_operation(self) -> bool:
        """Whether the storage does not support the operation."""
        return self.code in _UNKNOWN or (not self.code and self.status in _UNKNOWN_STATUS)

    @property
    def refuses_form(self) -> bool:
        """Whether the form of the request was refused, whatever the error code."""
        is_bad_request = self.status == _BAD_REQUEST and self.code not in _PASSING_CODES
        return is_bad_request or self.advice is not None

    @property
    def is_full(self) -> bool:
        """Whether there is no free space left."""
        if self.code or self.status:
            return self.code in _FULL_CODES or self.status == _FULL_STATUS
        return self.errno in DISK_FULL

    @property
    def is_taken(self) -> bool:
        """Whether a conditional write failed because the file exists."""
        return self.code in _TAKEN_CODES or self.status in _TAKEN_STATUS

    @property
    def is_bad_sector(self) -> bool:
        """Whether a disk cannot read an existing file (EIO)."""
        return not self.code and self.status is None and self.errno == errno.EIO


@contextlib.contextmanager
def named(address: Callable[[], str], done: str) -> Iterator[None]:
    """Raise storage errors as errors of the library, with advice.

    Args:
        address: Returns the URI of the file; called on failure.
        done: The failed operation as a participle, such as ``read``.

    Raises:
        StorageRefusedError: A retry cannot help.
        StorageFullError: There is no free space.
        MissingFileError: There is no such file.
        StorageUnavailableError: Any other error, which may be temporary.
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
    """Return the library's error for a storage error."""
    cause = FailureCause.of(error)
    what = f"{address} cannot be {done}: {_words(error, cause)}"
    if cause.is_full:
        return StorageFullError(f"{what}; free some space.")
    if cause.advice:
        return StorageRefusedError(f"{what}; {cause.advice}.")
    if isinstance(error, FileNotFoundError):
        return MissingFileError(f"{what}; it may have been moved or removed just now, try again.")
    doubt = _DOUBTS.get(cause.code or str(cause.status), "")
    return StorageUnavailableError(f"{what}; this may be temporary, try again{doubt}.")


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
    """Return error code and HTTP status of an exception of a storage client."""
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
    """Return the errno that corresponds to the class of an OSError without errno."""
    by_class = {
        PermissionError: errno.EACCES,
        FileExistsError: errno.EEXIST,
        NotADirectoryError: errno.ENOTDIR,
        IsADirectoryError: errno.EISDIR,
    }
    return by_class.get(type(error))


def _words(error: Exception, cause: FailureCause) -> str:
    """Return the storage's message, without the query of any URL."""
    if isinstance(error, OSError) and error.errno and not cause.code and not cause.status:
        return error.strerror or os.strerror(error.errno)
    said = _QUERY.sub("", " ".join(str(error).split()))[:_SHOWN_CHARS].rstrip(". ")
    status = f"HTTP {cause.status}" if cause.status else ""
    return " ".join(filter(None, (status, cause.code, said))) or type(error).__name__
