"""The emulator as a program for `benchmarks.support.service`.

Reads settings and recipes as one line of JSON, writes its URLs once all products are generated,
then responds to each line. Ends at the end of its input.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from copernicus_dataspace_emulator import Emulator, Fault, make_product

if TYPE_CHECKING:
    from copernicus_dataspace_emulator.products.product import Product


class _Program:
    def __init__(self, emulator: Emulator, products: list[Product]) -> None:
        self._emulator = emulator
        self._products = products

    def addresses(self, _about: Any = None) -> dict[str, str]:
        extra: dict[str, str] = self._emulator.connection(**self._emulator.s3_keys)["extra"]
        return extra

    def statuses(self, _about: Any) -> dict[str, int]:
        seen = list(self._emulator.requests)
        del self._emulator.requests[: len(seen)]
        return Counter(f"{record.service} {record.status}" for record in seen)

    def script(self, faults: list[dict[str, Any]]) -> None:
        self._emulator.faults.clear()
        for fault in faults:
            self._emulator.faults.add(Fault(**fault))

    def digests(self, ending: str) -> dict[str, str]:
        return {
            product.name.removesuffix(".SAFE"): hashlib.sha256(product.read(path)).hexdigest()
            for product in self._products
            for path in product.files
            if path.endswith(ending)
        }


def _made(emulator: Emulator, recipe: dict[str, Any]) -> Product:
    """Offer a product with files and digests computed in advance."""
    product = emulator.add(make_product(**recipe))
    if product.has_bytes:
        for path in product.files:
            product.member(path, "MD5")
    return product


def main() -> None:
    """Serve until the input ends."""
    settings, recipes = json.loads(sys.stdin.readline())
    with Emulator(**settings) as emulator:
        program = _Program(emulator, [_made(emulator, recipe) for recipe in recipes])
        _write(program.addresses())
        for line in sys.stdin:
            what, about = json.loads(line)
            _write(getattr(program, what)(about))


def _write(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
