"""Keeps what one run found, fetched and delivered, as small JSON files in the store.

Tasks hand each other references to these records instead of the tables themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import UNREADABLE, NotStagedError
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.stac.delivered_files import text_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

_MOST: Final = 1e15
"""Of anything that is counted or measured; NaN is not less."""
_FEW_BATCHES: Final = 8
"""Up to so many products have a mapped task instance each."""
_BATCH: Final = 25
"""Products that share an instance where they are more; the last ones may be fewer."""
_MOST_BATCHES: Final = 200
"""Mapped task instances a run has at most, however many products there are.

Each instance costs the scheduler about a quarter of a second and a worker some two seconds, and
Airflow refuses more than 1024.
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try at fetching a batch moved.

    Attributes:
        requests: Requests sent, for tokens too.
        bytes_transferred: Bytes of bodies received.
        seconds: Wall time.
        errors: Message by product stem, for the products that failed.
        moving_s: Seconds spent on requests and their bodies, summed over connections.
        waiting_s: Seconds spent waiting for the service, and before other tries, summed likewise.
        retries: Times that something was asked for again after an error that may pass.
        rate_limited: Answers that said too many requests.
    """

    requests: int
    bytes_transferred: int
    seconds: float
    errors: Mapping[str, str]
    moving_s: float = 0.0
    waiting_s: float = 0.0
    retries: int = 0
    rate_limited: int = 0

    def __post_init__(self) -> None:
        _check_numbers(self, int, "requests", "bytes_transferred", "retries", "rate_limited")
        _check_numbers(self, int | float, "seconds", "moving_s", "waiting_s")
        for text in (*self.errors, *self.errors.values()):
            text_of(text)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What stands of one product after its extraction.

    Attributes:
        files: Number of delivered files, the item not counted.
        bytes: Their size.
        folder: Address of the folder that holds them.
    """

    files: int
    bytes: int
    folder: str

    def __post_init__(self) -> None:
        _check_numbers(self, int, "files", "bytes")
        text_of(self.folder)


class RunRecords:
    """The records of one search of a run; one that is damaged counts as not there."""

    def __init__(self, store: Store, run: RunLayout, search_id: str) -> None:
        """Use the run's folder of the store; a run may hold several searches, told apart by id."""
        self._store = store
        self._run_dir = run.records_dir
        self._dir = f"{run.records_dir}/{run.name_of(search_id)}"

    @property
    def address(self) -> str:
        """Where the records lie."""
        return self._store.uri(self._dir)

    @property
    def folder(self) -> str:
        """Folder of the records, below the root of the store."""
        return self._dir

    def clear(self) -> None:
        """Forget an earlier try of the search, so that nothing of it is taken for this one's."""
        self._store.delete(self._dir)
        self._write("begun", {})

    def begin(
        self, search: Mapping[str, Any], products: Sequence[Product]
    ) -> dict[str, Sequence[Product]]:
        """Write what the search found; return the batches by their keys."""
        batches = {f"{number:04}": batch for number, batch in enumerate(_batches(products))}
        for key, batch in batches.items():
            self._write(f"products/{key}", [product.to_json() for product in batch])
        self._write("search", search)
        return batches

    def search(self) -> dict[str, Any] | None:
        """Return what `begin` was given about the search; None where it never ended."""
        found = self._read("search")
        return found if isinstance(found, dict) else None

    def products(self, key: str) -> list[Product]:
        """Return the products of a batch.

        Raises:
            NotStagedError: The search of this run has no such batch, or it is damaged.
        """
        try:
            return [Product.from_json(record) for record in self._read(f"products/{key}")]
        except UNREADABLE as error:
            message = (
                f"{self._store.uri(self._dir)}/products/{key}.json is not there or is damaged: was "
                "it changed, or does output_uri differ between the search and this task? Clear "
                "the search."
            )
            raise NotStagedError(message) from error

    def all_products(self) -> list[Product]:
        """Return the products of all batches, in the order of the search."""
        keys = sorted(self._names("products"))
        return [product for key in keys for product in self.products(key)]

    def add_attempt(self, key: str, attempt: Attempt) -> None:
        """Note what one try at a batch moved."""
        name = f"{key}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        self._write(f"attempts/{name}", asdict(attempt))

    def attempts(self) -> list[Attempt]:
        """Return all tries, those of one batch in their order."""
        attempts = []
        for name in sorted(self._names("attempts")):
            with contextlib.suppress(*UNREADABLE):
                attempts.append(Attempt(**self._read(f"attempts/{name}")))
        return attempts

    def add_delivered(self, key: str, delivered: Mapping[str, Delivered]) -> None:
        """Note what stands of the products of a batch, by product stem."""
        self._write(f"delivered/{key}", {stem: asdict(one) for stem, one in delivered.items()})

    def delivered(self) -> dict[str, Delivered]:
        """Return what stands, by product stem."""
        delivered = {}
        for name in self._names("delivered"):
            with contextlib.suppress(*UNREADABLE):
                for stem, one in self._read(f"delivered/{name}").items():
                    delivered[stem] = Delivered(**one)
        return delivered

    def add_handed_over(self, key: str, stems: Collection[str]) -> None:
        """Note which products of a batch were put in place before its download has ended."""
        self._write(f"handed_over/{key}", sorted({*stems, *self.handed_over(key)}))

    def handed_over(self, key: str) -> frozenset[str]:
        """Return the stems of the products of a batch that earlier tries have put in place."""
        with contextlib.suppress(*UNREADABLE):
            return frozenset(texts_of(self._read(f"handed_over/{key}")))
        return frozenset()

    def write_summary(self, summary: Mapping[str, Any], text: str) -> str:
        """Write the run's summary as JSON and as text; return the address of the JSON."""
        content = json.dumps(summary, indent=1).encode()
        self._store.write(f"{self._run_dir}/summary.txt", text.encode())
        self._store.write(f"{self._run_dir}/summary.json", content)
        return self._store.uri(f"{self._run_dir}/summary.json")

    def _names(self, kind: str) -> list[str]:
        found = self._store.sizes(f"{self._dir}/{kind}")
        return [name.removesuffix(".json") for name in found if name.endswith(".json")]

    def _write(self, name: str, value: Any) -> None:
        content = json.dumps(value, indent=1).encode()
        self._store.write(f"{self._dir}/{name}.json", content)

    def _read(self, name: str) -> Any:
        try:
            return json.loads(self._store.read(f"{self._dir}/{name}.json") or b"")
        except (ValueError, RecursionError):
            return None


def _check_numbers(record: Any, kind: Any, *names: str) -> None:
    for name in names:
        number = getattr(record, name)
        if not isinstance(number, kind) or not 0 <= number < _MOST:
            message = f"{name} is {str(getattr(record, name))[:60]!r}."
            raise TypeError(message)


def _batches(products: Sequence[Product]) -> list[Sequence[Product]]:
    """Share products out evenly: one each while they are few, never too many batches."""
    count = min(len(products), max(_FEW_BATCHES, -(-len(products) // _BATCH)), _MOST_BATCHES)
    starts = [len(products) * number // count for number in range(count + 1)] if count else [0]
    return [products[start:end] for start, end in itertools.pairwise(starts)]
