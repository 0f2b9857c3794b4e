"""Retry policy for seconds; retries after minutes and hours are left to the caller."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

import tenacity

from copernicus_dataspace.errors import (
    CorruptDownloadError,
    RateLimitedError,
    ServiceUnavailableError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENT: Final[dict[type[TransientError], int]] = {
    RateLimitedError: 10,
    ServiceUnavailableError: 5,
    CorruptDownloadError: 3,
}
"""Attempts by class of error. Others are not retried here: a product that is offline now is offline
in a minute.

Transfer slots are freed late, so waiting for one is normal and may take minutes. A body that is
corrupt three times is corrupt at its source.
"""
PACED: Final = {**PATIENT, RateLimitedError: 1}
"""For transfers, whose 429s are handled by `transfer_slots.TransferSlots`."""
BRIEF: Final = dict.fromkeys(PATIENT, 3)
"""For requests that have a fallback."""

LONGEST_WAIT_S: Final = 60.0
"""A longer Retry-After is raised to the caller instead of blocking a worker."""

_backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=LONGEST_WAIT_S, jitter=0.5)


class Retries:
    """Retries calls that fail with a temporary error."""

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        attempts: Mapping[type[TransientError], int] = PATIENT,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the policy.

        Args:
            sleep: Waits for a number of seconds.
            attempts: Maximum number of attempts by class of error.
            on_retry: Called before each further attempt.
        """
        self._attempts = attempts
        self._sleep = sleep
        self.on_retry = on_retry

    def call(self, attempt: Callable[[], T]) -> T:
        """Return what the attempt returns, retrying as often as the class of each error allows.

        Raises:
            DataSpaceError: The last attempt's error.
        """
        left = dict(self._attempts)

        def has_tried_enough(state: tenacity.RetryCallState) -> bool:
            error = _error(state)
            kind = next((kind for kind in left if isinstance(error, kind)), None)
            if kind is not None:
                left[kind] -= 1
            return kind is None or left[kind] == 0

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=has_tried_enough,
            wait=_wait_s,
            sleep=self._sleep,
            before_sleep=self._again,
            reraise=True,
        )
        return retrying(attempt)

    def _again(self, state: tenacity.RetryCallState) -> None:
        self.on_retry()
        wait_s = state.next_action.sleep if state.next_action else 0.0
        logger.warning("%s Retrying in %.1f s.", _error(state), wait_s)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_pass(error: BaseException) -> bool:
    if not isinstance(error, TransientError) or not isinstance(error, tuple(PATIENT)):
        return False
    return (error.retry_after_s or 0) <= LONGEST_WAIT_S


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = _error(state)
    asked_s = (error.retry_after_s or 0.0) if isinstance(error, TransientError) else 0.0
    return max(asked_s, _backoff(state))
