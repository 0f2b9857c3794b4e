import json
from datetime import date

import geopandas
import pytest

from copernicus.hooks import CopernicusHook
from dataspace.errors import ConfigurationError, QueryError
from dataspace_emulator import Fault, make_product

SENSED = "2024-08-01T08:36:01.024Z"


def test_the_test_button_says_that_all_is_well(connected):
    passed, words = CopernicusHook().test_connection()
    assert passed
    assert words.startswith("Logged in. The catalogue lists 0 Sentinel-2 products of ")
    assert connected.grants == {"password": 1}


def test_the_test_button_explains_a_refused_password(emulator, connect):
    connect({**emulator.connection(), "password": "not-the-password"})
    passed, words = CopernicusHook().test_connection()
    assert not passed
    assert "wrong e-mail or password" in words
    assert "not-the-password" not in words


def test_the_test_button_explains_an_outage(connected):
    connected.faults.add(Fault(service="catalogue", status=503, times=None))
    passed, words = CopernicusHook().test_connection()
    assert not passed
    assert "could not be used: catalogue: HTTP 503" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"login": None}, "no login"),
        ({"password": None}, "no password"),
        ({"extra": {"catalogue_url": "nonsense"}}, "catalogue_url is no http or https address"),
        ({"extra": {"request_spacing_s": "soon"}}, "request_spacing_s 'soon'"),
        ({"extra": {"request_spacing_s": -1}}, "request_spacing_s -1"),
        ({"extra": {"max_connections": 0}}, "max_connections 0"),
        ({"extra": {"max_connections": "many"}}, "max_connections 'many'"),
        ({"extra": {"transport": "ftp"}}, "transport 'ftp' is unknown"),
        ({"extra": {"transport": "s3"}}, "needs s3_access_key"),
        ({"extra": {"s3_access_key": "x"}}, "one of s3_access_key and s3_secret_key"),
        ({"extra": {"identity_urll": "http://127.0.0.1:1"}}, "did you mean 'identity_url'"),
    ],
)
def test_an_incomplete_connection_says_what_it_lacks(emulator, connect, changes, words):
    connect({**emulator.connection(), **changes})
    with pytest.raises(ConfigurationError, match=words):
        CopernicusHook().get_conn()
    passed, said = CopernicusHook().test_connection()
    assert not passed
    assert words in said


def test_a_number_beyond_all_bounds_is_a_number(emulator, connect):
    connect({**emulator.connection(), "extra": {"max_connections": "inf"}})
    with CopernicusHook().get_conn(3) as client:
        assert client.connections == 3


@pytest.mark.parametrize("asked", [1, 3, 4])
def test_a_client_has_as_many_connections_as_asked_for(connected, asked):
    with CopernicusHook().get_conn(asked) as client:
        assert client.connections == asked


@pytest.mark.parametrize(("extra", "asked", "most"), [({}, 9, 4), ({"max_connections": 2}, 3, 2)])
def test_more_connections_than_the_account_has_are_refused(emulator, connect, extra, asked, most):
    account = emulator.connection()
    connect({**account, "extra": {**account["extra"], **extra}})
    words = (
        rf"'copernicus_default' allows {most} transfers at once \(max_connections\), "
        rf"{asked} were asked for"
    )
    with pytest.raises(ConfigurationError, match=words):
        CopernicusHook().get_conn(asked)


def test_a_connection_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="'nowhere' does not exist; add it under Admin"):
        CopernicusHook("nowhere").get_conn()


def test_another_connection_can_be_named(emulator, connect):
    connect(emulator.connection(), "second")
    assert CopernicusHook("second").test_connection()[0]


def test_search_frame_holds_one_typed_row_per_product(connected):
    product = connected.add(
        make_product(tile="36TXL", sensed=SENSED, cloud_cover=12.5, content=False)
    )
    frame = CopernicusHook().search_frame(area="lake", first_day="2024-08-01")
    (row,) = frame.to_dict("records")
    assert row["id"] == product.id
    assert row["tile"] == "36TXL"
    assert row["cloud_cover"] == 12.5
    assert row["sensed"].isoformat() == "2024-08-01T08:36:01.024000+00:00"
    assert row["online"]


def test_search_frame_keeps_its_columns_when_empty(connected):
    frame = CopernicusHook().search_frame(tiles=["T36TXL"], first_day="2024-08-01")
    assert len(frame) == 0
    assert str(frame["sensed"].dtype) == "datetime64[ns, UTC]"


def test_search_frame_gives_footprints(connected):
    connected.add(make_product(tile="36TXL", sensed=SENSED, content=False))
    frame = CopernicusHook().search_frame(area="lake", first_day="2024-08-01", geometry=True)
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert frame.crs == "EPSG:4326"
    (footprint,) = frame.geometry
    west, south, east, north = footprint.bounds
    assert west < 34.5 < east
    assert south < 40.63 < north


def test_search_frame_takes_one_tile_and_a_date(connected):
    connected.add(make_product(tile="36TXL", sensed=SENSED, content=False))
    assert len(CopernicusHook().search_frame(tiles="36TXL", first_day=date(2024, 8, 1))) == 1


def test_search_frame_wants_days(connected):
    with pytest.raises(QueryError, match="neither first_day nor last_day"):
        CopernicusHook().search_frame(area="lake")


def test_secrets_do_not_show(connected):
    connection = connected.connection()
    hook = CopernicusHook()
    with hook.get_conn() as client:
        token = client.tokens.token()
        shown = repr([vars(client), vars(hook), vars(client.tokens)])
    assert connection["password"] not in shown
    assert token not in shown
    assert json.dumps(connection["password"]) not in shown
