"""Products for a rehearsal: some per day over one place, as in a plausible orbit.

Deterministic: the same days and place always give the same products.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from copernicus_dataspace_emulator.products.recipe import Recipe, milliseconds
from copernicus_dataspace_emulator.products.tile import covering, tile

_FIRST_DAY_OF_C: Final = date(2025, 1, 21)
_LOCAL_HOUR: Final = 10.9  # local solar time of the pass
_DEGREES_AN_HOUR: Final = 15
_ORBIT: Final = timedelta(minutes=100)
_BETWEEN_PLATFORMS: Final = timedelta(minutes=5)
_JITTER: Final = timedelta(seconds=1, milliseconds=24)
_CLEAREST, _CLOUDIEST_WANTED = 1.5, 17
_CLOUDY: Final = 82.5
_BASELINES: Final = ((date(2026, 5, 1), "05.12"), (date(2024, 7, 23), "05.11"))
_FIRST_BASELINE: Final = "05.10"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Products per day: ``clear`` and ``cloudy`` L2A products and their L1C.

    ``place`` is longitude and latitude in degrees; imagery smaller than a tile is centred on it.
    """

    place: tuple[float, float]
    tiles: Sequence[str]
    clear: int
    cloudy: int
    scale: float

    @classmethod
    def over(
        cls, area: tuple[float, float, float, float], *, clear: int, cloudy: int, scale: float
    ) -> "Rehearsal":
        """Over the centre of an area given as west, south, east, north in degrees."""
        west, south, east, north = area
        middle = ((west + east) / 2, (south + north) / 2)
        return cls(middle, covering(*middle), clear, cloudy, scale)

    @classmethod
    def at(cls, names: Sequence[str], *, clear: int, cloudy: int, scale: float) -> "Rehearsal":
        """In given tiles; the place is the centre of the first."""
        first = tile(names[0])
        ring = first.footprint()["coordinates"][0]
        middle = ((ring[0][0] + ring[2][0]) / 2, (ring[0][1] + ring[2][1]) / 2)
        return cls(middle, names, clear, cloudy, scale)

    def recipes(self, first: date, last: date) -> Iterator[Recipe]:
        """The products of each day from ``first`` to ``last``, both included."""
        for offset in range((last - first).days + 1):
            yield from self._day(first + timedelta(days=offset))

    def _day(self, day: date) -> Iterator[Recipe]:
        platforms = "ABC" if day >= _FIRST_DAY_OF_C else "AB"
        passes = (
            (orbit, place, platform, name)
            for orbit in itertools.count()
            for place, platform in enumerate(platforms)
            for name in self.tiles
        )
        wanted_passes = itertools.islice(passes, self.clear + self.cloudy)
        for number, (orbit, place, platform, name) in enumerate(wanted_passes):
            seed = day.toordinal() * 100 + number
            wanted = _CLEAREST + seed * 7 % (_CLOUDIEST_WANTED * 10) / 10
            sensed = self._first_pass(day) + orbit * _ORBIT + place * _BETWEEN_PLATFORMS
            for level in ("L2A", "L1C"):
                yield Recipe(
                    tile=name,
                    sensed=milliseconds(sensed),
                    level=level,
                    platform=platform,
                    baseline=_baseline(day),
                    cloud_cover=wanted if number < self.clear else _CLOUDY,
                    scale=self.scale,
                    around=self.place,
                    seed=seed,
                )

    def _first_pass(self, day: date) -> datetime:
        hours = (_LOCAL_HOUR - self.place[0] / _DEGREES_AN_HOUR) % 24
        midnight = datetime.combine(day, time(), UTC)
        return midnight + timedelta(minutes=round(hours * 60)) + _JITTER


def _baseline(day: date) -> str:
    return next((name for since, name in _BASELINES if day >= since), _FIRST_BASELINE)
