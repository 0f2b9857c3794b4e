import pytest
from shapely.geometry import Point, shape

from copernicus_dataspace_emulator.products.tile import covering, tile


@pytest.mark.parametrize(
    ("name", "epsg", "left", "top"),
    [
        ("33TVM", 32633, 399960, 5200020),
        ("56JMM", 32756, 399960, 6700000),
        ("53JQJ", 32753, 699960, 6900040),
        ("48LWP", 32748, 499980, 8900020),
        ("T22HBD", 32722, 199980, 5900020),
        ("36TXL", 32636, 600000, 4600020),
    ],
)
def test_corners_are_those_of_real_products(name, epsg, left, top):
    place = tile(name)
    assert (place.epsg, place.left, place.top) == (epsg, left, top)


@pytest.mark.parametrize("name", ["36TXI", "61TXL", "36TAL", "TXL", "36TXLL", ""])
def test_what_is_no_tile_is_refused(name):
    with pytest.raises(ValueError, match="Not an MGRS tile"):
        tile(name)


def test_the_lake_lies_in_two_tiles():
    assert covering(34.50, 40.63) == ["36TXK", "36TXL"]
    for name in ("36TXK", "36TXL"):
        assert shape(tile(name).footprint()).contains(Point(34.50, 40.63))


@pytest.mark.parametrize(
    ("lon", "lat"), [(13.9, 46.5), (-51.5, -37.5), (151.2, -29.5), (34.5, 40.63)]
)
def test_tiles_hold_the_points_they_cover(lon, lat):
    found = covering(lon, lat)
    assert found
    for name in found:
        assert shape(tile(name).footprint()).buffer(0.01).contains(Point(lon, lat))
