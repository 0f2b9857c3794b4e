"""Decides by the class of an error whether a failed task is tried again, and when.

Knows the error hierarchy of the library. How often and how far apart ordinary retries are is
the task's own business (`retries`, `retry_delay`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from airflow.sdk import RetryDecision, RetryPolicy

from copernicus_dataspace.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context

# The service's quotas per minute and per hour are over by then; a monthly one is not worth
# a task that sleeps for weeks, and a wrong header must not park a run.
LONGEST_WAIT: Final = timedelta(hours=1)

_MOST_DOUBLINGS: Final = 16


class CopernicusRetryPolicy(RetryPolicy):
    """Permanent errors fail at once, a wait the service asks for is kept, all else is the task's.

    Runs in the worker only: Airflow stores no more than that a task has a policy, so no other
    component needs this module.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow calls by keyword
        context: Context | None = None,
    ) -> RetryDecision:
        """Judge one failure.

        A wait the service asked for is kept, up to `LONGEST_WAIT`, where the task itself would
        wait for less. It does not extend the task's `retries`, so a short one must not use them up.
        """
        if isinstance(exception, PermanentError):
            return RetryDecision.fail(_first_line(exception))
        if isinstance(exception, TransientError) and exception.retry_after_s:
            wait = timedelta(seconds=min(exception.retry_after_s, LONGEST_WAIT.total_seconds()))
            if wait > _own_wait(context, try_number):
                return RetryDecision.retry(wait, _first_line(exception))
        return RetryDecision.default()


def _own_wait(context: Context | None, try_number: int) -> timedelta:
    """Return the least time the task waits by itself before it is tried again."""
    if context is None:
        return timedelta(0)
    task = context["task"]
    longest = cast("timedelta | None", task.max_retry_delay)
    factor = float(task.retry_exponential_backoff or 1.0) ** min(try_number - 1, _MOST_DOUBLINGS)
    return min(task.retry_delay * factor, longest or timedelta.max)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


RETRY_POLICY: Final = CopernicusRetryPolicy()
"""Named in the signature of every operator, because ``.partial()`` takes defaults from there."""
