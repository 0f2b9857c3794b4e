"""One small file of each of 200 products: against the network's minimum time, late slots, faults.

The network has 80 ms of latency and 20 MB/s for each of the account's 4 connections, so that the
minimum time is known: the token, the listing, and the transfers four at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.support.own_client import delivered, search
from benchmarks.support.service import Service, serving
from benchmarks.support.table import median, rounds, row, seconds
from benchmarks.support.watcher import digests, watching
from copernicus_dataspace.ingest.product_job import DeliveryOptions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from copernicus_dataspace.models.product import Product

NUMBER: Final = 200
CONNECTIONS: Final = 4
LATENCY_S: Final = 0.08
BYTES_PER_S: Final = 20e6
SCL_BYTES: Final = 2_000_000
LATE_S: Final = 2.0
ENDING: Final = "_SCL_20m.jp2"
SCL: Final = DeliveryOptions(("SCL_20m",))

_EACH_S: Final = LATENCY_S + SCL_BYTES / BYTES_PER_S
_ONCE_S: Final = 2 * LATENCY_S
"""The token and the listing."""
FLOOR_S: Final = _ONCE_S + NUMBER * _EACH_S / CONNECTIONS
_TURNS: Final = NUMBER // CONNECTIONS
LATE_FLOOR_S: Final = _ONCE_S + _TURNS * _EACH_S + (_TURNS - 1) * LATE_S

_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"status": 429},
    {"status": 503},
    {"kind": "expired_token"},
    {"kind": "short_body"},
    {"kind": "flipped_bit"},
    {"kind": "reset"},
)
_FAILING: Final = (0, 7, 13)
"""Of 20 products, these fail once: 15 %."""


def fleet(late_release_s: float = 0.0) -> AbstractContextManager[Service]:
    """Run an emulator with the 200 products."""
    recipes = [
        {
            "tile": "36TXL",
            "sensed": f"2024-{1 + number // 28:02}-{1 + number % 28:02}T08:36:01.024Z",
            "scale": 0.0005,
            "sizes": {"SCL_20m": SCL_BYTES},
        }
        for number in range(NUMBER)
    ]
    return serving(
        recipes,
        latency_s=LATENCY_S,
        bytes_per_s=BYTES_PER_S,
        max_connections=CONNECTIONS,
        late_release_s=late_release_s,
    )


def measure(service: Service, scratch: Path) -> None:
    """Compare with the minimum time of the network."""
    products = _warmed(service, scratch)
    service.requests()
    (taken,) = rounds(lambda n: delivered(service.addresses, products, scratch / f"{n}", SCL))
    asked = service.requests() / len(taken) / NUMBER
    check(service, scratch / "0")
    row(
        f"SCL_20m of {NUMBER} products / floor of {FLOOR_S:.2f} s",
        _ratio(taken, FLOOR_S),
        "<= 1.15",
    )
    row("  requests / product, login to logout", f"{asked:.3f}", "<= 1.05")


def measure_late(service: Service, scratch: Path) -> None:
    """Compare with the minimum time if slots are freed late, in one round."""
    products = _warmed(service, None)
    service.requests()
    taken = [delivered(service.addresses, products, scratch, SCL)]
    statuses = service.statuses()
    check(service, scratch)
    refused = sum(count for status, count in statuses.items() if status.endswith(" 429"))
    share = 100 * refused / sum(statuses.values())
    name = f"slots {LATE_S:.0f} s late / floor of {LATE_FLOOR_S:.1f} s"
    row(name, _ratio(taken, LATE_FLOOR_S), "<= 1.2")
    row("  answered 429", f"{share:.1f} % of {sum(statuses.values())} requests", "< 2 %")


def measure_faults(service: Service, scratch: Path) -> None:
    """Let 15 % of the products fail once, and watch for wrong files."""
    products = _warmed(service, scratch)
    right = service.digests(ENDING)
    wrong: set[str] = set()
    numbers: list[int] = []

    def clean(number: int) -> float:
        service.script([])
        return delivered(service.addresses, products, scratch / f"clean{number}", SCL)

    def faulty(number: int) -> float:
        service.script(_faults(products))
        folder = scratch / f"faulty{number}"
        with watching(folder, ENDING, right) as seen:
            taken = delivered(service.addresses, products, folder, SCL)
        wrong.update(seen)
        numbers.append(right_files(service, folder))
        return taken

    service.statuses()
    calm, stormy = rounds(clean, faulty)
    service.script([])
    refused = {
        name: n for name, n in service.statuses().items() if not name.endswith((" 200", " 204"))
    }
    ratio = median(stormy) / median(calm)
    row("15 % fail once / without", f"{ratio:.2f}: {seconds(stormy)}", "<= 1.5")
    row("  right files, least of all rounds", f"{min(numbers)} of {NUMBER}", "all")
    row("  wrong files at any moment", str(len(wrong)), "0")
    row(
        "  answers other than good, all rounds", ", ".join(f"{n} x {s}" for s, n in refused.items())
    )


def _warmed(service: Service, scratch: Path | None) -> list[Product]:
    """Return the products, after the caches of the emulator are filled."""
    products = search(service.addresses)
    if len(products) != NUMBER:
        raise AssertionError(f"expected {NUMBER} products, the catalogue lists {len(products)}")
    if scratch is not None:
        delivered(service.addresses, products[:8], scratch / "warm", SCL)
    return products


def right_files(service: Service, folder: Path) -> int:
    """Return how many products have their file below a folder, with the right checksum."""
    right = service.digests(ENDING)
    found = digests(folder, ENDING, right)
    return sum(found.get(name) == digest for name, digest in right.items())


def check(service: Service, folder: Path) -> None:
    """Check that every product's file exists and is right.

    Raises:
        AssertionError: It is not, so the measurement is invalid.
    """
    number = right_files(service, folder)
    if number != NUMBER:
        raise AssertionError(f"{number} of {NUMBER} files are right")


def _faults(products: list[Product]) -> list[dict[str, Any]]:
    failing = [one for number, one in enumerate(products) if number % 20 in _FAILING]
    return [
        {"service": "download", "match": product.id, **_FAULTS[number % len(_FAULTS)]}
        for number, product in enumerate(failing)
    ]


def _ratio(taken: list[float], floor_s: float) -> str:
    return f"{median(taken) / floor_s:.3f}: {seconds(taken)}"
