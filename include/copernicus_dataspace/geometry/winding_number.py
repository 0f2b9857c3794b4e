"""Point-in-polygon tests by winding number, also for rings that cross themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_MOST_BANDS: Final = 512
_MOST_ENTRIES: Final = 8
"""Maximum average number of bands per edge."""


class RingIndex:
    """The rings of polygons, valid or not; inside is what a shell but no hole encloses.

    Edges are indexed by latitude bands, so that a test need not visit all of them.
    """

    def __init__(self, area: BaseGeometry) -> None:
        rings, self._owner = shapely.get_rings(shapely.get_parts(area), return_index=True)
        self._is_shell = np.diff(self._owner, prepend=-1) > 0
        positions, ring = shapely.get_coordinates(rings, return_index=True)
        is_edge = np.diff(ring) == 0
        self._ring = ring[1:][is_edge]
        self._edges = np.hstack([positions[:-1], positions[1:]])[is_edge]
        self._south, self._north = positions[:, 1].min(), positions[:, 1].max()
        self._count = _MOST_BANDS
        while self._crossed()[1].sum() >= _MOST_ENTRIES * len(self._edges):
            self._count //= 2
        first, number = self._crossed()
        before = np.cumsum(number) - number
        band = np.arange(number.sum()) + np.repeat(first - before, number)
        order = np.argsort(band, kind="stable")
        self._by_band = np.repeat(np.arange(len(number)), number)[order]
        self._begin = np.searchsorted(band[order], np.arange(self._count + 1))

    def enclose(self, ground: BaseGeometry) -> bool:
        """Tell whether any part of a geometry that intersects no edge of the rings is inside."""
        parts = shapely.get_parts(ground)
        return any(self._is_inside(shapely.get_coordinates(part)[0]) for part in parts)

    def _crossed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the southernmost band of each edge, and the number of bands it crosses."""
        bands = np.sort(self._bands(self._edges[:, 1::2]), axis=1)
        return bands[:, 0], bands[:, 1] - bands[:, 0] + 1

    def _bands(self, lat: Any) -> NDArray[np.int64]:
        share = (lat - self._south) / (self._north - self._south)
        bands: NDArray[np.int64] = np.minimum(share * self._count, self._count - 1).astype(np.int64)
        return bands

    def _is_inside(self, place: NDArray[np.float64]) -> bool:
        if not self._south <= place[1] <= self._north:
            return False
        band = int(self._bands(place[1]))
        near = self._by_band[self._begin[band] : self._begin[band + 1]]
        lon0, lat0, lon1, lat1 = (self._edges[near] - [*place, *place]).T
        rises = (lat1 >= 0).astype(int) - (lat0 >= 0)
        is_east = (lon0 * lat1 - lon1 * lat0) * rises > 0
        turns = np.bincount(self._ring[near][is_east], rises[is_east], len(self._owner)) != 0
        shells, holes = (self._owner[turns & one] for one in (self._is_shell, ~self._is_shell))
        return bool({*shells} - {*holes})
