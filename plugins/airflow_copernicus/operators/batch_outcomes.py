"""Knows how a batch of products is named, and how one that fails leaves the others alone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_copernicus.links import seen
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

_NAMED: Final = 3
_QUOTA_AGAIN: Final = timedelta(hours=1)
_CLAIMED_AGAIN: Final = timedelta(seconds=30)
_STATES: Final = {True: "fetched and verified", False: "is there already"}

logger = logging.getLogger(__name__)


def describe(products: Sequence[Product]) -> dict[str, Any]:
    """Return what of a batch is shown: its label, and the place the browser link leads to."""
    first = products[0]
    label = (
        _label(first) if len(products) == 1 else f"{len(products)} products from {_label(first)}"
    )
    return {"label": label, "seen": seen(first)}


class BatchOutcomes:
    """What became of the products of a batch, told in the log too.

    Attributes:
        good: Products that went well.
        errors: Messages of the others, by product stem.
        quota: Why products were not begun, where the account may not move more.
        leased: Why others were not, by product stem: another run has them in its hands.
    """

    def __init__(self, of: int) -> None:
        """Begin with none out of so many products."""
        self.good: list[Product] = []
        self.errors: dict[str, str] = {}
        self.quota: QuotaReachedError | None = None
        self.in_progress: dict[str, InProgressError] = {}
        self._errors: list[Exception] = []
        self._of = of

    def fetched(self, staged: Staged) -> None:
        """Note what became of the fetch of a product."""
        if isinstance(staged.error, QuotaReachedError):
            self.quota = staged.error
        elif staged.error is not None:
            self.failed(staged.product, staged.error)
        else:
            self.good.append(staged.product)
            logger.info("%s: %s.", staged.product.stem, _STATES[staged.is_new])

    def failed(self, product: Product, error: Exception) -> None:
        """Note the error of a product."""
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
        """End the task well where all went well.

        Raises:
            AirflowRescheduleException: Products wait for the quota, or for other runs; the task
                leaves its worker and its slots, and looks again later.
            TransientError: At least one product may succeed later.
            PermanentError: Products failed, and none of them may succeed later.
            Exception: Something failed that nobody foresaw.
        """
        if self.quota:
            _come_back(_QUOTA_AGAIN, str(self.quota))
        self._raise_any()
        if self.in_progress:
            named = " ".join(map(str, [*self.in_progress.values()][:_NAMED]))
            _come_back(
                _CLAIMED_AGAIN, f"{len(self.in_progress)} of {self._of} products wait: {named}"
            )

    def _raise_any(self) -> None:
        foreseen = [error for error in self._errors if isinstance(error, DataSpaceError)]
        unforeseen = [error for error in self._errors if not isinstance(error, DataSpaceError)]
        if unforeseen:
            raise unforeseen[0]
        if len(foreseen) == 1:
            raise foreseen[0]
        if foreseen:
            named = "; ".join([*self.errors.values()][:_NAMED])
            message = f"{len(foreseen)} of {self._of} products failed: {named}"
            raise _joined(foreseen, message)


def _come_back(after: timedelta, reason: str) -> NoReturn:
    later = datetime.now(UTC) + after
    logger.warning("%s This task looks again at %s.", reason, f"{later:%H:%M:%S} UTC")
    raise AirflowRescheduleException(later)  # type: ignore[no-untyped-call]


def _joined(failed: Sequence[DataSpaceError], message: str) -> DataSpaceError:
    """Return one error for several: one that may pass decides, for only then a retry helps."""
    passing = [error for error in failed if isinstance(error, TransientError)]
    if not passing:
        return PermanentError(message)
    asked_s = max(error.retry_after_s or 0.0 for error in passing)
    is_limited = any(isinstance(error, RateLimitedError) for error in passing)
    return (RateLimitedError if is_limited else TransientError)(message, asked_s or None)


def _label(product: Product) -> str:
    name = product.parsed_name
    if name is None:
        return product.stem
    kind = f"S2{name.platform} {name.level} N{name.baseline}"
    return f"T{name.tile} {product.sensed:%Y-%m-%d %H:%M} {kind}"
