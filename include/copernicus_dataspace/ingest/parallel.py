"""Runs a function for many products in parallel threads."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from copernicus_dataspace.ingest.product_job import ProductJob
    from copernicus_dataspace.service import Service

T = TypeVar("T")

_THREADS: Final = 4
"""Per connection: while one thread transfers, others verify, or wait for a retry."""


def each(
    pool: ThreadPoolExecutor, act: Callable[[ProductJob], T], jobs: Sequence[ProductJob]
) -> Iterator[tuple[ProductJob, T | Exception]]:
    """Yield each job, as it completes, with what the function returned or raised."""
    futures = {pool.submit(act, job): job for job in jobs}
    for future in as_completed(futures):
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        yield futures[future], error or future.result()


@contextlib.contextmanager
def threads(service: Service) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
    """Yield thread pools for products and for files; an exception in the block ends all work."""
    products = ThreadPoolExecutor(_THREADS * service.connections, "product")
    files = ThreadPoolExecutor(_THREADS * service.connections, "file")
    try:
        yield products, files
    except BaseException:
        service.stop()
        raise
    finally:
        for pool in (products, files):
            pool.shutdown(wait=True, cancel_futures=True)
