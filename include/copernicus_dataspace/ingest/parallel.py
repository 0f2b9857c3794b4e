"""Does one thing for many products at once, in threads that end together."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from copernicus_dataspace.ingest.product_folder import Shelf
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import DataSpaceClient

T = TypeVar("T")

_THREADS: Final = 4
"""For each connection: while one moves bytes, others verify, or wait before another try."""


def each(
    pool: ThreadPoolExecutor,
    act: Callable[[Shelf], T],
    shelves: Sequence[Shelf],
    told: Callable[[Product, bool | Exception], None],
) -> Iterator[tuple[Shelf, T]]:
    """Yield each shelf with what the act returned, as it is done; those that fail are told."""
    futures = {pool.submit(act, shelf): shelf for shelf in shelves}
    for future in as_completed(futures):
        error = future.exception()
        if error is None:
            yield futures[future], future.result()
        elif isinstance(error, Exception):
            told(futures[future].product, error)
        else:
            raise error


@contextlib.contextmanager
def threads(
    client: DataSpaceClient,
) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
    """Give threads for products and for files; when the caller is interrupted, all end soon."""
    connections = client.connections
    products = ThreadPoolExecutor(_THREADS * connections, "product")
    files = ThreadPoolExecutor(_THREADS * connections, "file")
    try:
        yield products, files
    except BaseException:
        client.stop()
        raise
    finally:
        for pool in (products, files):
            pool.shutdown(wait=True, cancel_futures=True)
