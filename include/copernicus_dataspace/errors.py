"""All errors of the library, grouped by what can be done about them.

::

    DataSpaceError
    ├── DownloadError             some products of a download failed
    ├── PermanentError            trying again cannot help
    │   ├── ConfigurationError        a setting of the connection, or this machine's proxy,
    │   │                             certificates or clock must be mended
    │   ├── CredentialsError          the account was refused
    │   ├── AccessDeniedError         the account may not have this
    │   ├── QueryError                the catalogue refused the question
    │   ├── AreaError                 the area of interest cannot be used
    │   ├── BandError                 a wanted band or file does not exist
    │   ├── ProductNotFoundError      no such product, or no longer offered
    │   ├── NotStagedError            nothing was fetched that could be delivered
    │   ├── ReportError               a stored report is damaged
    │   ├── RefusedRequestError       the service refused a request we built, or redirects abroad
    │   ├── UnsafeContentError        a member that would leave its folder, or is a bomb
    │   ├── StorageRefusedError       the output lacks a right, a bucket, or an operation
    │   │   └── NoConditionalWriteError   it cannot write a file only where there is none
    │   └── CorruptProductError       the product contradicts its own manifest
    └── TransientError            a later attempt may succeed
        ├── ServiceUnavailableError   5xx, connection lost, unreadable or incomplete answer
        ├── RateLimitedError          429 after our own waiting
        │   └── LoginLimitedError         of the identity service
        ├── ProductUnavailableError   listed, but its bytes cannot be had now
        ├── QuotaReachedError         the account has moved what it may in thirty days
        ├── InProgressError           another run is downloading the product
        ├── CorruptDownloadError      size or checksum differ; the partial file is gone
        ├── StorageUnavailableError   the output fails for a reason that may pass
        │   └── MissingFileError          a file is not there, or not any more
        └── StorageFullError          too little room where the bytes should go

`StoppedError`, which is none of them, ends work that the program itself has stopped.

A message says what failed, which one, what was observed and expected, and what to do.
No message holds a token, a password, or the query string of a URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pystac import Item


class DataSpaceError(Exception):
    """Everything this library raises on purpose.

    Attributes:
        status: HTTP status of the answer that it stands for; None where there was none.
        code: What the service calls the error, such as ``invalid_grant`` or ``NoSuchKey``; empty
            where its own words were not found.
        reason: How the answer explains it.
        is_own: Whether the answer may be the service's; what stands between writes other forms.
        url: What was asked for, without account and query; empty where nothing was asked for.
        product: Name of the product it is about, without ``.SAFE``; empty where it is about none.
    """

    status: int | None = None
    code: str = ""
    url: str = ""
    product: str = ""

    def of_answer(self, error: DataSpaceError) -> Self:
        """Take over from another error which answer it stands for; return this one."""
        self.status, self.code, self.reason = error.status, error.code, error.reason
        self.is_own, self.url = error.is_own, error.url
        return self

    reason: str = ""
    is_own: bool = True


class DownloadError(DataSpaceError):
    """Some products of a download failed; the others have arrived.

    Attributes:
        items: STAC items of those that have arrived (`pystac.Item`).
        errors: Of the others, by product name without ``.SAFE``.
    """

    def __init__(
        self, message: str, items: Sequence[Item], errors: Mapping[str, Exception]
    ) -> None:
        super().__init__(message)
        self.items = list(items)
        self.errors = dict(errors)


class PermanentError(DataSpaceError):
    """Trying again cannot help; a person must change something."""


class TransientError(DataSpaceError):
    """A later attempt may succeed.

    Attributes:
        retry_after_s: Seconds the service asked us to wait; None where it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigurationError(PermanentError, ValueError):
    """A setting is missing, malformed, or contradicts another one.

    Settings of the machine count, too: its proxy, its certificates, its clock.
    """


class CredentialsError(PermanentError):
    """The identity service refused the account, or the download service its token."""


class AccessDeniedError(PermanentError):
    """The account is known but has no right to this product."""


class QueryError(PermanentError, ValueError):
    """The question is malformed, or the catalogue refused it (HTTP 400 or 422)."""


class AreaError(PermanentError, ValueError):
    """The area of interest is empty, of the wrong kind, or cannot be repaired."""


class BandError(PermanentError, ValueError):
    """A wanted band or file pattern matches nothing in the product."""


class ProductNotFoundError(PermanentError):
    """The catalogue does not know the product. Not for a product whose bytes are missing."""


class NotStagedError(PermanentError):
    """A product is to be delivered whose download has not ended well."""


class ReportError(PermanentError, ValueError):
    """A stored report is damaged, or holds what no report can. Not for one that is not there."""


class RefusedRequestError(PermanentError):
    """The service refused a request for its form, or sent us to a host that is not its own."""


class UnsafeContentError(PermanentError):
    """A member name leaves its folder, is a link or a duplicate, or expands beyond reason."""


class StorageRefusedError(PermanentError):
    """Where the files go refuses what is done there: a right, a bucket or an operation is missing.

    Which failures those are, `storage_errors` decides by their cause.
    """


class NoConditionalWriteError(StorageRefusedError):
    """Where the files go cannot write one only where there is none: two runs may do so at once."""


class CorruptProductError(PermanentError):
    """Members of a complete, verified archive contradict the manifest inside it.

    Attributes:
        members: One line per failing member: path, observed, expected.
    """

    def __init__(self, message: str, members: tuple[str, ...]) -> None:
        super().__init__(message)
        self.members = members


class ServiceUnavailableError(TransientError):
    """The service answered 5xx, not at all, or with something unreadable or incomplete."""


class RateLimitedError(TransientError):
    """The service still answers 429 after our own waiting."""


class LoginLimitedError(RateLimitedError):
    """The identity service answers 429; that says nothing about transfers."""


class ProductUnavailableError(TransientError):
    """The catalogue lists the product, but its bytes cannot be had now."""


class QuotaReachedError(TransientError):
    """The account has moved as many bytes in thirty days as the connection lets it."""


class InProgressError(TransientError):
    """Another run is just fetching the product, or has fetched it and not yet delivered it."""


class CorruptDownloadError(TransientError):
    """Size or checksum of received bytes differ from what was promised."""


class StorageUnavailableError(TransientError):
    """Where the files go cannot be read or written now; `storage_errors` judges by the cause."""


class MissingFileError(StorageUnavailableError, FileNotFoundError):
    """A file that should stand where the files go is not there, or not any more."""


class StorageFullError(TransientError):
    """The disk that should take the bytes has too little room for them."""


class StoppedError(Exception):
    """The client was stopped while a request was under way; not the service's doing."""


UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    UnsafeContentError,
)
"""What reading a record raises that is damaged, or that somebody else wrote."""
