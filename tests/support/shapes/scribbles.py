"""Rings through random places, and what they wind round, told without a look at our own code."""

import math
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
    """Return all from where an eye that follows the ring has turned round at the end."""
    faces = shapely.get_parts(shapely.polygonize([shapely.unary_union(polygon.exterior)]))
    return shapely.union_all([face for face in faces if _turns(face, polygon)])


def _turns(face, polygon):
    ((x, y),) = face.representative_point().coords
    angles = [math.atan2(lat - y, lon - x) for lon, lat in polygon.exterior.coords]
    steps = [math.remainder(two - one, math.tau) for one, two in pairwise(angles)]
    return round(sum(steps) / math.tau)
