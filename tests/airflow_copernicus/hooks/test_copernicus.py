import json
import re
from datetime import UTC, date, datetime, timedelta

import geopandas
import pytest

from airflow_copernicus.hooks.copernicus import CopernicusHook
from copernicus_dataspace.errors import ConfigurationError, CredentialsError, QueryError
from copernicus_dataspace_emulator import Fault, make_product
from copernicus_dataspace_emulator.s3 import signature

SENSED = "2024-08-01T08:36:01.024Z"


def test_the_test_button_says_that_all_is_well(connected):
    passed, words = CopernicusHook().test_connection()
    assert passed
    assert words.startswith("Logged in. The catalogue lists 0 Sentinel-2 products of ")
    assert words.endswith(". The STAC API responds.")
    assert connected.grants == {"password": 1}
    assert connected.requests[-1].path.endswith("/logout")


def yesterday():
    return (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT08:36:01.024Z")


@pytest.fixture
def offering(emulator, connect):
    """A service of today with a product of yesterday, and the account's S3 keys."""
    emulator.now = None
    emulator.add(make_product(tile="36TXL", sensed=yesterday(), scale=0.003))
    connect(emulator.connection(**emulator.s3_keys))
    return emulator


def test_the_test_button_tries_all_that_the_connection_names(offering):
    passed, words = CopernicusHook().test_connection()
    assert passed
    assert "lists 1 Sentinel-2 products" in words
    assert words.endswith(
        "The STAC API responds. The account may download. The S3 keys are accepted."
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("download", status=403, times=None), "this account has no right to it"),
        (
            Fault("identity", "wrong_audience", times=None),
            "the token of an account with a password",
        ),
        (Fault("stac", status=503, times=None), "STAC: HTTP 503"),
        (Fault("catalogue", status=503, times=None), "catalogue: HTTP 503"),
    ],
    ids=str,
)
def test_the_test_button_says_first_what_does_not_work(offering, fault, words):
    offering.faults.add(fault)
    passed, said = CopernicusHook().test_connection()
    assert not passed
    assert words in said.partition("Logged in.")[0]
    assert "S3 keys are accepted" in said


def test_the_test_button_tries_the_s3_keys(emulator, connect):
    connect(emulator.connection(s3_access_key="unknown", s3_secret_key="to them"))
    passed, words = CopernicusHook().test_connection()
    assert not passed
    assert "correct s3_access_key and s3_secret_key" in words


def test_keys_that_the_store_denies_are_not_called_accepted(emulator, connect):
    connect(emulator.connection(**emulator.s3_keys))
    emulator.faults.add(Fault("s3", status=403, times=None))
    _, words = CopernicusHook().test_connection()
    assert "The S3 keys are valid, but have no access to files; there was no product" in words
    assert "accepted" not in words


def test_the_test_button_says_that_a_clock_is_wrong(offering, monkeypatch):
    monkeypatch.setattr(signature, "MOST_SKEW", timedelta(seconds=-1))
    passed, words = CopernicusHook().test_connection()
    assert not passed
    assert "RequestTimeTooSkewed" in words


def test_a_busy_account_is_a_good_one(offering):
    offering.faults.add(Fault("download", status=429, times=None))
    passed, words = CopernicusHook().test_connection()
    assert passed
    assert "Could not check whether the account may download: " in words


def test_the_test_button_makes_tasks_try_again(connected):
    connected.faults.add(Fault("identity", status=401))
    hook = CopernicusHook()
    for _ in range(2):
        with hook.get_conn() as client, pytest.raises(CredentialsError):
            client.service.tokens.token()
    assert len(connected.requests) == 1
    assert hook.test_connection()[0]
    with hook.get_conn() as client:
        assert client.service.tokens.token()


def test_the_test_button_explains_a_refused_password(emulator, connect):
    connect({**emulator.connection(), "password": "not-the-password"})
    passed, words = CopernicusHook().test_connection()
    assert not passed
    assert "wrong e-mail or password" in words
    assert "not-the-password" not in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"login": None}, "no Account e-mail (login)"),
        ({"password": None}, "no Account password"),
        (
            {"extra": {"catalogue_url": "nonsense"}},
            "Catalogue URL (catalogue_url) is not an http or https URL",
        ),
        ({"extra": {"request_spacing_s": "soon"}}, "(request_spacing_s) 'soon'"),
        (
            {"extra": {"request_spacing_s": -1}},
            "Minimum request interval (s) (request_spacing_s) -1",
        ),
        ({"extra": {"quota_gb": "all"}}, "30-day download quota (GB) (quota_gb) 'all'"),
        ({"extra": {"max_connections": 0}}, "Maximum concurrent transfers (max_connections) 0"),
        ({"extra": {"max_connections": "many"}}, "(max_connections) 'many'"),
        ({"extra": {"transport": "ftp"}}, "File transport (transport) 'ftp' is unknown"),
        ({"extra": {"transport": "s3"}}, "needs S3 access key (s3_access_key)"),
        ({"extra": {"s3_access_key": "x"}}, "(s3_access_key) and S3 secret key (s3_secret_key)"),
        ({"extra": {"identity_urll": "http://127.0.0.1:1"}}, "did you mean 'identity_url'"),
    ],
)
def test_a_connection_that_cannot_be_used_is_described_as_in_its_form(
    emulator, connect, changes, words
):
    connect({**emulator.connection(), **changes})
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        CopernicusHook().get_conn()
    passed, said = CopernicusHook().test_connection()
    assert not passed
    assert words in said


def test_a_number_beyond_all_bounds_is_a_number(emulator, connect):
    connect({**emulator.connection(), "extra": {"max_connections": "inf"}})
    with CopernicusHook().get_conn(3) as client:
        assert client.service.connections == 3


@pytest.mark.parametrize("asked", [1, 3, 4])
def test_a_client_has_as_many_connections_as_asked_for(connected, asked):
    with CopernicusHook().get_conn(asked) as client:
        assert client.service.connections == asked


@pytest.mark.parametrize(("extra", "asked", "most"), [({}, 9, 4), ({"max_connections": 2}, 3, 2)])
def test_more_connections_than_the_account_has_are_refused(emulator, connect, extra, asked, most):
    account = emulator.connection()
    connect({**account, "extra": {**account["extra"], **extra}})
    words = (
        rf"'copernicus_default': .*\(max_connections\) is {most}, but {asked} concurrent transfers"
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
    with pytest.raises(QueryError, match="none of first_day, last_day"):
        CopernicusHook().search_frame(area="lake")


def test_secrets_do_not_show(connected):
    connection = connected.connection()
    hook = CopernicusHook()
    with hook.get_conn() as client:
        token = client.service.tokens.token()
        shown = repr([vars(client), vars(client.service), vars(hook), vars(client.service.tokens)])
    assert connection["password"] not in shown
    assert token not in shown
    assert json.dumps(connection["password"]) not in shown
