"""Knows how a batch of products is named, and how one that fails leaves the others alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from copernicus.links import seen
from dataspace.errors import (
    DataSpaceError,
    PermanentError,
    RateLimitedError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataspace.product import Product

logger = logging.getLogger(__name__)


def describe(products: Sequence[Product]) -> dict[str, Any]:
    """Return what of a batch is shown: its label, and the place the browser link leads to."""
    first = products[0]
    label = (
        _label(first) if len(products) == 1 else f"{len(products)} products from {_label(first)}"
    )
    return {"label": label, "seen": seen(first)}


def each_product(
    products: Sequence[Product], act: Callable[[Product], None], errors: dict[str, str]
) -> None:
    """Act on every product, then raise for those that failed.

    Args:
        products: The batch.
        act: Raises a DataSpaceError for a product that failed.
        errors: Gets the message of each failed product, by stem, as it happens.

    Raises:
        TransientError: At least one product may succeed later.
        PermanentError: Products failed, and none of them may succeed later.
    """
    failed: list[DataSpaceError] = []
    for product in products:
        try:
            act(product)
        except DataSpaceError as error:
            logger.error("%s: %s", type(error).__name__, error)  # noqa: TRY400 - expected kinds
            errors[product.stem] = f"{type(error).__name__}: {error}"
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise _joined(failed, len(products))


def _joined(failed: Sequence[DataSpaceError], of: int) -> DataSpaceError:
    """Return one error for several: one that may pass decides, for only then a retry helps."""
    message = f"{len(failed)} of {of} products failed: " + "; ".join(map(str, failed[:3]))
    limited = [error for error in failed if isinstance(error, RateLimitedError)]
    if limited:
        return RateLimitedError(message, limited[0].retry_after_s)
    if any(isinstance(error, TransientError) for error in failed):
        return TransientError(message)
    return PermanentError(message)


def _label(product: Product) -> str:
    name = product.parsed_name
    if name is None:
        return product.stem
    kind = f"S2{name.platform} {name.level} N{name.baseline}"
    return f"T{name.tile} {product.sensed:%Y-%m-%d %H:%M} {kind}"
