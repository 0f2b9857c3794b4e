"""Retry policy of the operators: fails permanent errors at once and honours ``Retry-After``.

The number and delay of other retries are those of the task (`retries`, `retry_delay`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from airflow.sdk import RetryDecision, RetryPolicy

from copernicus_dataspace.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context

# Covers the service's limits per minute and per hour. Longer waits are cut: a task must not sleep
# for weeks, and a wrong header must not block a run.
LONGEST_WAIT: Final = timedelta(hours=1)

_MOST_DOUBLINGS: Final = 16


class CopernicusRetryPolicy(RetryPolicy):
    """Fails permanent errors, waits as long as the service requests, else uses the task's retries.

    Runs only in the worker: Airflow serializes only that a task has a policy.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow calls by keyword
        context: Context | None = None,
    ) -> RetryDecision:
        """Return the decision for a failed try.

        Uses the wait that the service requested, up to `LONGEST_WAIT`, if it is longer than the
        task's own delay. A shorter wait would use up the task's `retries` too early.
        """
        if isinstance(exception, PermanentError):
            return RetryDecision.fail(_first_line(exception))
        if isinstance(exception, TransientError) and exception.retry_after_s:
            wait = timedelta(seconds=min(exception.retry_after_s, LONGEST_WAIT.total_seconds()))
            if wait > _default_delay(context, try_number):
                return RetryDecision.retry(wait, _first_line(exception))
        return RetryDecision.default()


def _default_delay(context: Context | None, try_number: int) -> timedelta:
    """Return the minimum delay of the task's own retry settings."""
    if context is None:
        return timedelta(0)
    task = context["task"]
    longest = cast("timedelta | None", task.max_retry_delay)
    factor = float(task.retry_exponential_backoff or 1.0) ** min(try_number - 1, _MOST_DOUBLINGS)
    return min(task.retry_delay * factor, longest or timedelta.max)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


RETRY_POLICY: Final = CopernicusRetryPolicy()
"""Default argument of every operator, because ``.partial()`` reads defaults from signatures."""
