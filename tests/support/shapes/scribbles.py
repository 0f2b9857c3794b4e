"""Rings through random places, and what they wind round, told without a look at our own code."""

from fractions import Fraction
from itertools import pairwise

import shapely
from hypothesis import assume
from hypothesis import strategies as st

ANYWHERE = st.integers(-150, 150)


@st.composite
def scribbles(draw, lon=ANYWHERE):
    """Give a ring through random places, which crosses itself as often as not."""
    west, south = draw(lon), draw(st.integers(-60, 60))
    size = draw(st.sampled_from([0.01, 1, 20]))
    place = st.tuples(st.integers(0, 12), st.integers(0, 12))
    ring = draw(st.lists(place, min_size=5, max_size=40, unique=True))
    drawn = shapely.Polygon([(west + size * x / 12, south + size * y / 12) for x, y in ring])
    assume(wound_round(drawn).area > 1e-9)  # corners on one line are no area
    return drawn


def wound_round(polygon):
    """Return all faces of the ring's lines that the ring winds round, by exact arithmetic."""
    lines = shapely.unary_union(polygon.exterior, grid_size=1e-9)
    faces = shapely.get_parts(shapely.polygonize([lines]))
    return shapely.union_all([face for face in faces if _turns(face, polygon)])


def _turns(face, polygon):
    ((x, y),) = face.representative_point().coords
    ring = [
        (Fraction(lon) - Fraction(x), Fraction(lat) - Fraction(y))
        for lon, lat in polygon.exterior.coords
    ]
    return sum(_passes(*edge) for edge in pairwise(ring))


def _passes(begin, end):
    """Return 1 or -1 where an edge passes the origin on its east, upward or downward."""
    (x0, y0), (x1, y1) = begin, end
    upward = (y1 >= 0) - (y0 >= 0)
    return upward if (x0 * y1 - x1 * y0) * upward > 0 else 0
