"""The retry policy: the only place that decides whether a request is sent again within seconds.

Each file, page and token has one `Attempts`. All loops that repeat its requests ask it: for a
transfer slot (`transfer_slots`), for the rest of a body (`download.resume`), and for the whole.
Limits add up. With `PATIENT` a page takes at most 14 requests: the first, and 9 + 4 after errors; a
file takes at most 37: the first of each of two transports, and 9 + 4 + 2 + 19 + 1. Redirects, and
requests whose token is refused after further bytes, are not counted. Retries after minutes and
hours are left to the caller.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar

from copernicus_dataspace.errors import (
    CorruptDownloadError,
    DataSpaceError,
    LoginLimitedError,
    RateLimitedError,
    ServiceUnavailableError,
    TokenRefusedError,
    TransientError,
)
from copernicus_dataspace.transfer_statistics import TransferStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
"""A longer Retry-After is raised to the caller instead of blocking a worker."""


class Cause(Enum):
    """Why a request is repeated."""

    RATE_LIMITED = auto()
    UNAVAILABLE = auto()
    CORRUPT = auto()
    RESUMED = auto()
    TOKEN_REFUSED = auto()


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How often the request for one file, page or token is repeated, by cause.

    Other errors are not retried here: a product that is offline now is offline in a minute.

    Attributes:
        rate_limited: After 429. Slots are freed late, so waiting for one is normal.
        unavailable: After other temporary errors of the service, or lost connections.
        corrupt: After a wrong size or checksum. A body corrupt three times is so at its source.
        resumed: To continue a body after its first bytes.
        token_refused: With a new token, without further bytes.
        within_s: Seconds after which nothing is repeated, counted from the first failure since the
            last received bytes.
    """

    rate_limited: int
    unavailable: int
    corrupt: int
    within_s: float
    resumed: int = 19
    token_refused: int = 1

    def of(self, cause: Cause) -> int:
        """Return the limit of a cause."""
        return {
            Cause.RATE_LIMITED: self.rate_limited,
            Cause.UNAVAILABLE: self.unavailable,
            Cause.CORRUPT: self.corrupt,
            Cause.RESUMED: self.resumed,
            Cause.TOKEN_REFUSED: self.token_refused,
        }[cause]


PATIENT: Final = RetryLimits(rate_limited=9, unavailable=4, corrupt=2, within_s=1800.0)
BRIEF: Final = RetryLimits(rate_limited=2, unavailable=2, corrupt=1, within_s=120.0)
"""For requests that have a fallback, or that a person waits for."""
REPLACEABLE: Final = replace(BRIEF, rate_limited=4)
"""For a transport that has a fallback: its slots may be freed some seconds late."""


_CAUSES: Final = {
    RateLimitedError: Cause.RATE_LIMITED,
    ServiceUnavailableError: Cause.UNAVAILABLE,
    CorruptDownloadError: Cause.CORRUPT,
    TokenRefusedError: Cause.TOKEN_REFUSED,
}


class RetryPolicy:
    """Makes the attempts of each file, page or token."""

    def __init__(
        self,
        limits: RetryLimits = PATIENT,
        *,
        wait: Callable[[float], object] = time.sleep,
        statistics: TransferStatistics | None = None,
        clock: Callable[[], float] = time.monotonic,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        """Create the policy.

        Args:
            limits: Limits of each file, page or token.
            wait: Waits for a number of seconds.
            statistics: Counts the retries.
            clock: Monotonic clock in seconds.
            first_wait_s: Wait before the first retry of a cause; doubles with each.
        """
        self.limits = limits
        self.wait = wait
        self.statistics = statistics or TransferStatistics()
        self.clock = clock
        self.first_wait_s = first_wait_s

    def attempts(self) -> Attempts:
        """Return the attempts of another file, page or token."""
        return Attempts(self)

    def call(self, request: Callable[[], T]) -> T:
        """Return what the request returns, repeated as often as its errors allow.

        Raises:
            DataSpaceError: The last error.
        """
        return self.attempts().call(request)


class Attempts:
    """The attempts of one file, page or token; not thread-safe.

    Attributes:
        limits: The policy's; lower while there is a fallback.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self.limits = policy.limits
        self._policy = policy
        self._used: Counter[Cause] = Counter()
        self._failing_since: float | None = None

    def again(self, error: DataSpaceError) -> None:
        """Count a failure after which the caller decides how long to wait.

        Raises:
            DataSpaceError: The error itself, if the request must not be repeated.
        """
        self._wait_after(error)
        logger.info("%s Retrying.", error)

    def resume(self, error: DataSpaceError, done_bytes: int) -> None:
        """Count an interruption after which a body is continued at once.

        Raises:
            DataSpaceError: The error itself, if the body must not be continued.
        """
        self._count(Cause.RESUMED, error, 0.0)
        logger.info("%s Resuming at byte %d.", error, done_bytes)

    def progressed(self) -> None:
        """Forget since when requests fail, and refused tokens, because bytes were received."""
        self._failing_since = None
        self._used[Cause.TOKEN_REFUSED] = 0

    def call(self, request: Callable[[], T]) -> T:
        """As `RetryPolicy.call`, with these attempts."""
        while True:
            try:
                return request()
            except DataSpaceError as error:
                wait_s = self._wait_after(error)
                logger.warning("%s Retrying in %.1f s.", error, wait_s)
                self._policy.wait(wait_s)

    def _wait_after(self, error: DataSpaceError) -> float:
        """Count a failure; return the seconds to wait before the request is repeated."""
        cause = next((one for kind, one in _CAUSES.items() if isinstance(error, kind)), None)
        if cause is None or isinstance(error, LoginLimitedError):  # a token has its own attempts
            raise error
        wait_s = self._wait_s(cause, error)
        self._count(cause, error, wait_s)
        return wait_s

    def _count(self, cause: Cause, error: DataSpaceError, wait_s: float) -> None:
        now = self._policy.clock()
        since = now if self._failing_since is None else self._failing_since
        is_late = now + wait_s > since + self.limits.within_s
        if is_late or wait_s > LONGEST_WAIT_S or self._used[cause] >= self.limits.of(cause):
            raise error
        self._failing_since = since
        self._used[cause] += 1
        self._policy.statistics.tried_again()

    def _wait_s(self, cause: Cause, error: DataSpaceError) -> float:
        """Return the exponential wait with jitter, or a longer one that the service asks for."""
        if isinstance(error, TokenRefusedError):
            return 0.0
        wait_s = self._policy.first_wait_s * (2.0 ** self._used[cause] + random.random())  # noqa: S311
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, TransientError) else 0.0
        return max(asked_s, min(wait_s, LONGEST_WAIT_S))
