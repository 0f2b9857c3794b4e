"""Prints the table: measurement, value and goal."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS: Final = 3
MB: Final = 1e6


def row(figure: str, measured: str, goal: str = "") -> None:
    """Print one figure."""
    print(f"{figure:48} {measured:52} {goal}".rstrip(), flush=True)


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(list(values))


def rounds(*ways: Callable[[int], float], number: int = ROUNDS) -> list[list[float]]:
    """Return the results of all rounds; the alternatives take turns on the same machine."""
    taken = [[way(index) for way in ways] for index in range(number)]
    return [list(values) for values in zip(*taken, strict=True)]


def seconds(values: Iterable[float]) -> str:
    """Return the median of some times, and their spread."""
    times = sorted(values)
    spread = f" ({times[0]:.2f} to {times[-1]:.2f})" if len(times) > 1 else ""
    return f"{median(times):.2f} s{spread}"
