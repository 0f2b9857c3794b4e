"""All errors of the library, grouped by whether a retry can help.

::

    DataSpaceError
    ├── DownloadError             some products of a download failed
    ├── PermanentError            trying again cannot help
    │   ├── ConfigurationError        a setting, or this machine's proxy, certificates or clock,
    │   │                             must be corrected
    │   │   └── MissingPackageError       an optional package is not installed
    │   ├── CredentialsError          the account was refused
    │   │   └── TokenRefusedError         a token, even a new one
    │   ├── AccessDeniedError         the account has no right to this
    │   ├── QueryError                the catalogue refused the query
    │   ├── AreaError                 the area of interest cannot be used
    │   ├── BandError                 a wanted band or file does not exist
    │   ├── ProductNotFoundError      no such product, or no longer offered
    │   ├── NotStagedError            nothing was downloaded that could be delivered
    │   ├── ReportError               a stored report is damaged
    │   ├── RefusedRequestError       the service refused the form of a request, or redirected it
    │   │                             to a foreign host
    │   ├── UnsafeContentError        a member that would leave its folder, or a zip bomb
    │   ├── StorageRefusedError       the output has no such bucket, permission or operation
    │   │   └── NoConditionalWriteError   it cannot create a file only if it does not exist
    │   └── CorruptProductError       the product contradicts its own manifest
    └── TransientError            a later attempt may succeed
        ├── ServiceUnavailableError   5xx, connection lost, unreadable or incomplete response
        ├── RateLimitedError          429 after all retries
        │   └── LoginLimitedError         of the identity service
        ├── ProductUnavailableError   listed, but not downloadable now
        ├── QuotaReachedError         the account's 30-day download quota is used up
        ├── InProgressError           another run is downloading the product
        ├── CorruptDownloadError      size or checksum differ; the partial file was removed
        ├── StorageUnavailableError   the output fails temporarily
        │   └── MissingFileError          a file does not exist, or no longer
        └── StorageFullError          too little free space

`StoppedError` is not a `DataSpaceError`: it ends work that the program itself has stopped.

A message says what failed, for which product or file, what was observed and expected, and what to
do. No message holds a token, a password, or the query string of a URL.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pystac import Item


class DataSpaceError(Exception):
    """Everything this library raises on purpose.

    Attributes:
        status: HTTP status of the response; None if there was none.
        code: Error code of the service, such as ``invalid_grant`` or ``NoSuchKey``; empty if the
            response has none.
        reason: Explanation in the response.
        is_own: Whether the response has the service's own form, not that of a proxy or gateway.
        url: URL of the request, without account and query; empty if there was none.
        product: Name of the product concerned, without ``.SAFE``; empty if there is none.
    """

    status: int | None = None
    code: str = ""
    url: str = ""
    product: str = ""
    reason: str = ""
    is_own: bool = True

    def of_answer(self, error: DataSpaceError) -> Self:
        """Copy status, code, reason and URL from another error; return this one."""
        self.status, self.code, self.reason = error.status, error.code, error.reason
        self.is_own, self.url = error.is_own, error.url
        return self


class DownloadError(DataSpaceError):
    """Some products of a download failed; the others were downloaded.

    Attributes:
        items: STAC items of the downloaded products (`pystac.Item`).
        errors: Error of each other product, by name without ``.SAFE``.
    """

    def __init__(
        self, message: str, items: Sequence[Item], errors: Mapping[str, Exception]
    ) -> None:
        super().__init__(message)
        self.items = list(items)
        self.errors = dict(errors)


class PermanentError(DataSpaceError):
    """A retry cannot help; a person must change something."""


class TransientError(DataSpaceError):
    """A later attempt may succeed.

    Attributes:
        retry_after_s: Seconds to wait as requested by the service; None if it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigurationError(PermanentError, ValueError):
    """A setting is missing, malformed, or contradicts another one.

    Settings of the machine count too: proxy, certificates, clock.
    """


class MissingPackageError(ConfigurationError):
    """A package is not installed that belongs to an extra of the distribution."""

    @classmethod
    def check(cls, package: str, extra: str, purpose: str) -> None:
        """Raise this error if a package is missing; it is not imported.

        Args:
            package: Import name.
            extra: The extra that installs it.
            purpose: What needs it, as the subject of a sentence.
        """
        if find_spec(package) is None:
            message = (
                f"{purpose} needs the package {package}, which is not installed. Install it: "
                f'pip install "airflow-provider-copernicus[{extra}]"'
            )
            raise cls(message)


class CredentialsError(PermanentError):
    """The identity service refused the account, or the download service its token."""


class TokenRefusedError(CredentialsError):
    """The token was refused; a newer one may be accepted."""


class AccessDeniedError(PermanentError):
    """The account is known but has no right to this product."""


class QueryError(PermanentError, ValueError):
    """The query is malformed, or the catalogue refused it (HTTP 400 or 422)."""


class AreaError(PermanentError, ValueError):
    """The area of interest is empty, of the wrong kind, or cannot be repaired."""


class BandError(PermanentError, ValueError):
    """A wanted band or file pattern matches nothing in the product."""


class ProductNotFoundError(PermanentError):
    """The catalogue does not list the product. Not for a product that is offline."""


class NotStagedError(PermanentError):
    """A product is to be delivered, but its download has not succeeded."""


class ReportError(PermanentError, ValueError):
    """A stored report is damaged or has invalid values. Not for a missing report."""


class RefusedRequestError(PermanentError):
    """The service refused the form of a request, or redirected it to a foreign host."""


class UnsafeContentError(PermanentError, ValueError):
    """A zip member leaves its folder, is a link or a duplicate, or is a zip bomb."""


class StorageRefusedError(PermanentError):
    """The output refuses an operation: a permission, a bucket or the operation itself is missing.

    See `storage.failures` for the classification.
    """


class NoConditionalWriteError(StorageRefusedError):
    """The output cannot create a file only if it does not exist, so two runs may both write it."""


class CorruptProductError(PermanentError):
    """Members of a complete, verified zip contradict the manifest inside it.

    Attributes:
        members: One line per failing member: path, observed, expected.
    """

    def __init__(self, message: str, members: tuple[str, ...]) -> None:
        super().__init__(message)
        self.members = members


class ServiceUnavailableError(TransientError):
    """The service responded 5xx, not at all, or with an unreadable or incomplete body."""


class RateLimitedError(TransientError):
    """The service still responds 429 after all retries."""


class LoginLimitedError(RateLimitedError):
    """The identity service responds 429; transfers are not limited by that."""


class ProductUnavailableError(TransientError):
    """The catalogue lists the product, but it cannot be downloaded now."""


class QuotaReachedError(TransientError):
    """The account has transferred its quota of bytes for thirty days."""


class InProgressError(TransientError):
    """Another run is downloading the product, or has not yet delivered it."""


class CorruptDownloadError(TransientError):
    """Size or checksum of received bytes differ from the expected ones."""


class StorageUnavailableError(TransientError):
    """The output cannot be read or written now; see `storage.failures`."""


class MissingFileError(StorageUnavailableError, FileNotFoundError):
    """A file that should exist in the output does not, or no longer."""


class StorageFullError(TransientError):
    """The disk has too little free space."""


class StoppedError(Exception):
    """The client was stopped during a request."""
