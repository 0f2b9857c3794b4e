"""Records of one run (search result, attempts, deliveries) as small JSON files in the store.

The steps of a run pass references to these records instead of the tables themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import NotStagedError
from copernicus_dataspace.json_records import Amount, Count, read_json, read_json_or, write_json
from copernicus_dataspace.models.product import Product

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store


FEW_BATCHES: Final = 8
"""Up to this number of products, each product is a batch of its own."""
_BATCH: Final = 25
"""Products per batch otherwise."""
_MOST_BATCHES: Final = 200
"""Maximum number of batches of a run.

Each batch costs a scheduler about a quarter of a second and a worker about two seconds, and
schedulers limit their number (to 1024 in the one this was measured with).
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Transfer statistics of one attempt to download a batch.

    Attributes:
        requests: Requests sent, including those for tokens.
        bytes_transferred: Bytes of bodies received.
        seconds: Wall time.
        errors: Message by product stem, for the products that failed.
        moving_s: Seconds spent transferring, summed over connections.
        waiting_s: Seconds spent waiting, summed over connections.
        retries: Requests repeated after a temporary error.
        rate_limited: Responses with status 429.
    """

    requests: Count
    bytes_transferred: Count
    seconds: Amount
    errors: Mapping[str, str]
    moving_s: Amount = 0.0
    waiting_s: Amount = 0.0
    retries: Count = 0
    rate_limited: Count = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Delivered files of one product.

    Attributes:
        files: Number of files, without the item.
        bytes: Their total size.
        folder: URI of their folder.
    """

    files: Count
    bytes: Count
    folder: str


class RunRecords:
    """The records of one search of a run; a damaged record counts as missing."""

    def __init__(self, store: Store, run: RunLayout, search_id: str) -> None:
        """Use the run's folder of the store; a run may have several searches with different ids."""
        self._store = store
        self._run_dir = run.records_dir
        self._dir = f"{run.records_dir}/{run.name_of(search_id)}"

    @property
    def address(self) -> str:
        """URI of the records."""
        return self._store.uri(self._dir)

    @property
    def folder(self) -> str:
        """Folder of the records, relative to the root of the store."""
        return self._dir

    def clear(self) -> None:
        """Remove the records of an earlier attempt of the search."""
        self._store.delete(self._dir)
        self._write("begun", {})

    def begin(
        self, search: Mapping[str, Any], products: Sequence[Product]
    ) -> dict[str, Sequence[Product]]:
        """Write the search result; return the batches by key."""
        batches = {f"{number:04}": batch for number, batch in enumerate(_batches(products))}
        for key, batch in batches.items():
            self._write(f"products/{key}", batch)
        self._write("search", search)
        return batches

    def search(self) -> dict[str, Any] | None:
        """Return the search as passed to `begin`; None if the search has not finished."""
        return read_json_or(self._content("search"), dict[str, Any], None)

    def products(self, key: str) -> list[Product]:
        """Return the products of a batch.

        Raises:
            NotStagedError: There is no such batch, or it is damaged.
        """
        try:
            return read_json(self._content(f"products/{key}"), list[Product])
        except ValueError as error:
            message = (
                f"{self._store.uri(self._dir)}/products/{key}.json is missing or damaged: was it "
                "changed, or does output_uri differ from that of the search? Run the search again."
            )
            raise NotStagedError(message) from error

    def all_products(self) -> list[Product]:
        """Return the products of all batches, in the order of the search."""
        keys = sorted(self._names("products"))
        return [product for key in keys for product in self.products(key)]

    def add_attempt(self, key: str, attempt: Attempt) -> None:
        """Write the statistics of an attempt at a batch."""
        name = f"{key}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        self._write(f"attempts/{name}", attempt)

    def attempts(self) -> list[Attempt]:
        """Return all attempts, those of a batch in order."""
        contents = (self._content(f"attempts/{name}") for name in sorted(self._names("attempts")))
        attempts = (read_json_or(content, Attempt, None) for content in contents)
        return [attempt for attempt in attempts if attempt]

    def add_delivered(self, key: str, delivered: Mapping[str, Delivered]) -> None:
        """Write the delivered products of a batch, by product stem."""
        self._write(f"delivered/{key}", delivered)

    def delivered(self) -> dict[str, Delivered]:
        """Return the delivered products, by product stem."""
        delivered: dict[str, Delivered] = {}
        for name in self._names("delivered"):
            delivered |= read_json_or(self._content(f"delivered/{name}"), dict[str, Delivered], {})
        return delivered

    def add_handed_over(self, key: str, stems: Collection[str]) -> None:
        """Write which products of a batch were delivered before its download has finished."""
        self._write(f"handed_over/{key}", sorted({*stems, *self.handed_over(key)}))

    def handed_over(self, key: str) -> frozenset[str]:
        """Return the stems of the products of a batch that earlier attempts have delivered."""
        return read_json_or(self._content(f"handed_over/{key}"), frozenset[str], frozenset())

    def write_summary(self, summary: Mapping[str, Any], text: str) -> str:
        """Write the run's summary as JSON and as text; return the URI of the JSON."""
        self._store.write(f"{self._run_dir}/summary.txt", text.encode())
        self._store.write(f"{self._run_dir}/summary.json", write_json(summary, indent=1))
        return self._store.uri(f"{self._run_dir}/summary.json")

    def _names(self, kind: str) -> list[str]:
        found = self._store.sizes(f"{self._dir}/{kind}")
        return [name.removesuffix(".json") for name in found if name.endswith(".json")]

    def _write(self, name: str, value: Any) -> None:
        self._store.write(f"{self._dir}/{name}.json", write_json(value, indent=1))

    def _content(self, name: str) -> bytes | None:
        return self._store.read(f"{self._dir}/{name}.json")


def _batches(products: Sequence[Product]) -> list[Sequence[Product]]:
    """Divide products evenly into batches: single products while they are few."""
    count = min(len(products), max(FEW_BATCHES, -(-len(products) // _BATCH)), _MOST_BATCHES)
    starts = [len(products) * number // count for number in range(count + 1)] if count else [0]
    return [products[start:end] for start, end in itertools.pairwise(starts)]
