"""Label and results of a batch of products, and the state of its task."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_copernicus.links import browser_arguments
from copernicus_dataspace.errors import (
    DataSpaceError,
    InProgressError,
    PermanentError,
    QuotaReachedError,
    RateLimitedError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copernicus_dataspace.ingest.staging import Staged
    from copernicus_dataspace.models.product import Product

_MAX_LISTED: Final = 3
_QUOTA_RETRY_DELAY: Final = timedelta(hours=1)
_IN_PROGRESS_RETRY_DELAY: Final = timedelta(seconds=30)
_STATES: Final = {True: "downloaded and verified", False: "already exists"}

logger = logging.getLogger(__name__)


def describe(products: Sequence[Product]) -> dict[str, Any]:
    """Return the label of a batch, and the arguments of its browser link (``seen``)."""
    first = products[0]
    label = (
        _label(first) if len(products) == 1 else f"{len(products)} products from {_label(first)}"
    )
    return {"label": label, "seen": browser_arguments(first)}


class BatchOutcomes:
    """The results of the products of a batch; each is also logged.

    Attributes:
        succeeded: Products without errors.
        errors: Messages of the failed products, by product stem.
        quota: The error if the account's quota is used up.
        in_progress: Errors of products that another run is downloading, by product stem.
    """

    def __init__(self, total: int) -> None:
        """Create results for a batch of `total` products."""
        self.succeeded: list[Product] = []
        self.errors: dict[str, str] = {}
        self.quota: QuotaReachedError | None = None
        self.in_progress: dict[str, InProgressError] = {}
        self._errors: list[Exception] = []
        self._total = total

    def fetched(self, staged: Staged) -> None:
        """Add the result of a product's download."""
        if isinstance(staged.error, QuotaReachedError):
            self.quota = staged.error
        elif staged.error is not None:
            self.failed(staged.product, staged.error)
        else:
            self.succeeded.append(staged.product)
            logger.info("%s: %s.", staged.product.stem, _STATES[staged.is_new])

    def failed(self, product: Product, error: Exception) -> None:
        """Add the error of a product."""
        if isinstance(error, InProgressError):
            self.in_progress[product.stem] = error
            return
        if isinstance(error, DataSpaceError):
            logger.error("%s: %s", type(error).__name__, error)
        else:
            logger.error("%s failed unexpectedly", product.stem, exc_info=error)
        self.errors[product.stem] = f"{type(error).__name__}: {error}"
        self._errors.append(error)

    def end(self) -> None:
        """Return if all products succeeded; else raise the error that sets the task's state.

        Raises:
            AirflowRescheduleException: Products wait for the quota or for other runs; the task
                releases its worker and pool slots, and continues later.
            TransientError: Products failed, and a retry may succeed.
            PermanentError: Products failed, and no retry can succeed.
            Exception: An unexpected error occurred.
        """
        if self.quota:
            _reschedule(_QUOTA_RETRY_DELAY, str(self.quota))
        self._raise_any()
        if self.in_progress:
            reasons = " ".join(map(str, [*self.in_progress.values()][:_MAX_LISTED]))
            _reschedule(
                _IN_PROGRESS_RETRY_DELAY,
                f"{len(self.in_progress)} of {self._total} products wait: {reasons}",
            )

    def _raise_any(self) -> None:
        expected = [error for error in self._errors if isinstance(error, DataSpaceError)]
        unexpected = [error for error in self._errors if not isinstance(error, DataSpaceError)]
        if unexpected:
            raise unexpected[0]
        if len(expected) == 1:
            raise expected[0]
        if expected:
            reasons = "; ".join([*self.errors.values()][:_MAX_LISTED])
            message = f"{len(expected)} of {self._total} products failed: {reasons}"
            raise _combined(expected, message)


def _reschedule(after: timedelta, reason: str) -> NoReturn:
    later = datetime.now(UTC) + after
    logger.warning("%s The task is rescheduled for %s.", reason, f"{later:%H:%M:%S} UTC")
    raise AirflowRescheduleException(later)  # type: ignore[no-untyped-call]


def _combined(failed: Sequence[DataSpaceError], message: str) -> DataSpaceError:
    """Return one error for several; it is transient if any of them is."""
    transient = [error for error in failed if isinstance(error, TransientError)]
    if not transient:
        return PermanentError(message)
    retry_after_s = max(error.retry_after_s or 0.0 for error in transient)
    is_limited = any(isinstance(error, RateLimitedError) for error in transient)
    return (RateLimitedError if is_limited else TransientError)(message, retry_after_s or None)


def _label(product: Product) -> str:
    name = product.parsed_name
    if name is None:
        return product.stem
    kind = f"S2{name.platform} {name.level} N{name.baseline}"
    return f"T{name.tile} {product.sensed:%Y-%m-%d %H:%M} {kind}"
