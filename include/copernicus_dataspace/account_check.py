"""Checks the settings of an account: login, catalogue, STAC, downloads and S3 keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.catalogue.query import Query
from copernicus_dataspace.errors import DataSpaceError, ProductUnavailableError, RateLimitedError
from copernicus_dataspace.limits.retry import BRIEF, RetryPolicy
from copernicus_dataspace.models.manifest import MANIFEST
from copernicus_dataspace.models.time_range import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from copernicus_dataspace.download.transports import Transport
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import Service

_BUSY: Final = (ProductUnavailableError, RateLimitedError)
"""Errors that do not mean that the account is wrong."""
_MAY_DOWNLOAD: Final = ("the account may download", "The account may download.")
_KEYS_OPEN: Final = ("the S3 keys open files", "The S3 keys are accepted.")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        is_good: Whether the check passed.
        words: A sentence about it.
    """

    is_good: bool
    words: str


def check(client: Service, day: date) -> list[CheckResult]:
    """Check login, catalogue, STAC, downloads and S3 keys; return the results in this order.

    Services that are not configured are skipped. Downloads are checked only if the day has a
    product.
    """
    products: list[Product] = []

    def search() -> str:
        listed, first = client.catalogue.peek(Query(sensed=Window.of_days(day, day), online=True))
        products.extend([first] if first else [])
        return f"The catalogue lists {listed} Sentinel-2 products of {day}."

    def log_in() -> str:
        client.tokens.token()
        return "Logged in."

    findings = [_tried(log_in), _tried(search)]
    if client.stac:
        findings.append(_tried(client.stac.check))
    if findings[0].is_good and products:
        findings.append(_tried(lambda: _opened(client.https, products[0], *_MAY_DOWNLOAD)))
    store = client.s3
    if store and products and store.has(products[0]):
        findings.append(_tried(lambda: _opened(store, products[0], *_KEYS_OPEN)))
    elif store:
        findings.append(_tried(store.check))
    return findings


def _tried(trial: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(is_good=True, words=trial())
    except DataSpaceError as error:
        return CheckResult(is_good=False, words=str(error))


def _opened(transport: Transport, product: Product, trial: str, words: str) -> str:
    """Open a file of a product; return the words, or that the check could not be made."""
    what, attempts = f"{product.stem} {MANIFEST}", RetryPolicy(BRIEF).attempts()
    try:
        transport.open(product, MANIFEST, what, {}, attempts).close()
    except _BUSY as error:
        return f"Could not check whether {trial}: {error}"
    return words
