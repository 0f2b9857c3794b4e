"""Measures speed, memory and requests against the emulator, side by side with plain tools.

    make bench                      # everything
    make bench ARGS='fleet late'    # some parts; --help lists them

Prints one row per figure: what, measured, goal. Ratios are taken within one run; nothing here is
a test, because another machine gives other numbers.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.rows import (
    areas,
    cluster,
    fleet,
    other_clients,
    reconcile,
    search,
    single_product,
    volume,
)
from benchmarks.support.table import row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from benchmarks.support.service import Service

    Parts = Mapping[str, Callable[[Service, Path], None]]


def _limited(service: Service, scratch: Path) -> None:
    volume.measure_bands(service, scratch, volume.BYTES_PER_S)


def _parsing(_service: Service, _scratch: Path) -> None:
    single_product.measure_parsing()


def _areas(_service: Service, scratch: Path) -> None:
    areas.measure(scratch)


_FULL: Final[Parts] = {
    "one": single_product.measure_single,
    "parsing": _parsing,
    "areas": _areas,
    "zip": volume.measure_zip,
    "bands": volume.measure_bands,
}
_SLOW: Final[Parts] = {"slow-bands": _limited}
_FLEET: Final[Parts] = {
    "fleet": fleet.measure,
    "faults": fleet.measure_faults,
    "cdsetool": other_clients.measure_cdsetool,
    "s5cmd": other_clients.measure_s5cmd,
}
_LATE: Final[Parts] = {"late": fleet.measure_late}
_SEARCH: Final[Parts] = {"search": search.measure_search}
_MONTH: Final[Parts] = {"reconcile": reconcile.measure_month}
_YEAR: Final[Parts] = {"reconcile-year": reconcile.measure_year}
_CLUSTER: Final[Parts] = {"overhead": cluster.measure_overhead}
_SERVICES: Final[tuple[tuple[Callable[[], AbstractContextManager[Service]], Parts], ...]] = (
    (volume.tile, _FULL),
    (
        lambda: volume.tile(bytes_per_s=volume.BYTES_PER_S, latency_s=volume.LATENCY_S),
        _SLOW,
    ),
    (fleet.fleet, _FLEET),
    (lambda: fleet.fleet(fleet.LATE_S), _LATE),
    (search.listing, _SEARCH),
    (reconcile.month, _MONTH),
    (reconcile.year, _YEAR),
    (cluster.service, _CLUSTER),
)
"""What needs which service; each is started once, and none beside another."""


def main() -> None:
    """Run the parts that are asked for."""
    names = [name for _, parts in _SERVICES for name in parts]
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}")
    chosen = options.parse_args().parts or names
    if unknown := set(chosen) - set(names):
        options.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    logging.disable(logging.WARNING)  # of faults that are wanted
    began = time.perf_counter()
    row("figure", "measured", "goal")
    for serve, parts in _SERVICES:
        wanted = [measure for name, measure in parts.items() if name in chosen]
        if wanted:
            _run(serve, wanted)
    row("all of this", f"{(time.perf_counter() - began) / 60:.1f} min")


def _run(
    serve: Callable[[], AbstractContextManager[Service]],
    measures: list[Callable[[Service, Path], None]],
) -> None:
    with serve() as service:
        for measure in measures:
            with tempfile.TemporaryDirectory() as folder:
                measure(service, Path(folder))


if __name__ == "__main__":
    main()
