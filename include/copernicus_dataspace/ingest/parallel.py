"""Does one thing for many products at once, in threads that end together."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from copernicus_dataspace.ingest.product_folder import Shelf
    from copernicus_dataspace.service import Service

T = TypeVar("T")

_THREADS: Final = 4
"""For each connection: while one moves bytes, others verify, or wait before another try."""


def each(
    pool: ThreadPoolExecutor, act: Callable[[Shelf], T], shelves: Sequence[Shelf]
) -> Iterator[tuple[Shelf, T | Exception]]:
    """Yield each shelf, as it is done, with what the act returned or raised."""
    futures = {pool.submit(act, shelf): shelf for shelf in shelves}
    for future in as_completed(futures):
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        yield futures[future], error or future.result()


@contextlib.contextmanager
def threads(service: Service) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
    """Give threads for products and for files; when the caller is interrupted, all end soon."""
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
