"""Downloads products and delivers each as soon as it is complete; shows a progress bar."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final, cast

from tqdm import tqdm

from copernicus_dataspace.errors import DataSpaceError, DownloadError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.stac.static_catalog import refresh_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pystac

    from copernicus_dataspace.ingest.product_job import ProductJob
    from copernicus_dataspace.ingest.staging import Progress, Staged
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import Service

_NAMED: Final = 3


def download(jobs: Sequence[ProductJob], service: Service, progress: Progress) -> list[pystac.Item]:
    """Download and deliver products, and update the static catalogue; return their items.

    Args:
        jobs: The products, in one store and for one run, with the same options.
        service: Service to download from.
        progress: Creates the progress callback of each product.

    Raises:
        DownloadError: Some products failed; the others were downloaded.
    """
    delivery = _Delivery(jobs)
    with contextlib.closing(stage(jobs, service, progress)) as done:
        for staged in done:
            delivery.take(staged)
    if delivery.products:
        refresh_all(jobs[0].store, delivery.products)
    return delivery.items()


@contextlib.contextmanager
def progress_bar(*, is_shown: bool = True) -> Iterator[Progress]:
    """Show a bar for all transfers together; its total grows with each transfer that begins."""
    with tqdm(total=0, unit="B", unit_scale=True, desc="Sentinel-2", disable=not is_shown) as bar:

        def begin(_name: str, total_bytes: int | None) -> Callable[[int], None]:
            bar.total += total_bytes or 0
            return cast("Callable[[int], None]", bar.update)

        yield begin


class _Delivery:
    """Delivers products as they are downloaded, and collects the errors."""

    def __init__(self, jobs: Iterable[ProductJob]) -> None:
        self._jobs = {job.product.id: job for job in jobs}
        self._errors: dict[str, Exception] = {}

    @property
    def products(self) -> list[Product]:
        """Products that were delivered."""
        return [job.product for job in self._jobs.values() if job.product.stem not in self._errors]

    def take(self, staged: Staged) -> None:
        """Deliver a downloaded product."""
        error = staged.error
        if error is None:
            try:
                deliver(self._jobs[staged.product.id])
            except DataSpaceError as failed:
                error = failed
        if isinstance(error, DataSpaceError):
            error.product = staged.product.stem
        if error is not None:
            self._errors[staged.product.stem] = error

    def items(self) -> list[pystac.Item]:
        """Return the items of all products.

        Raises:
            DownloadError: Some have failed.
        """
        items = [_item(self._jobs[product.id]) for product in self.products]
        if not self._errors:
            return items
        named = "; ".join(f"{stem}: {error}" for stem, error in [*self._errors.items()][:_NAMED])
        others = "the others were downloaded" if items else "none was downloaded"
        message = f"{len(self._errors)} of {len(self._jobs)} products failed, {others}: {named}"
        raise DownloadError(message, items, self._errors)


def _item(job: ProductJob) -> pystac.Item:
    import pystac  # noqa: PLC0415 - slow to import

    item = pystac.Item.from_dict(json.loads(job.store.read(job.item_path) or b""))
    item.set_self_href(job.store.uri(job.item_path).removeprefix("file://"))
    return item
