import pytest

from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.http.endpoints import Endpoints

REHEARSAL = Endpoints.resolve(
    identity_url="http://127.0.0.1:1/auth/realms/CDSE/",
    catalogue_url="http://127.0.0.1:2/odata/v1",
    download_url="http://127.0.0.1:3/odata/v1",
)
REAL = "https://stac.dataspace.copernicus.eu/v1"


def test_defaults_are_the_real_service():
    endpoints = Endpoints.resolve(identity_url=None, catalogue_url="")
    assert endpoints.require("download_url").startswith("https://download.dataspace.copernicus.eu")


def test_one_override_switches_the_rest_off():
    endpoints = Endpoints.resolve(catalogue_url="http://localhost:8000/odata/v1")
    with pytest.raises(ConfigurationError, match="download_url is not set although"):
        endpoints.require("download_url")
    assert not endpoints.owns("https://download.dataspace.copernicus.eu/x")


def test_trailing_slashes_do_not_matter():
    assert REHEARSAL.require("identity_url") == "http://127.0.0.1:1/auth/realms/CDSE"


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("http://127.0.0.1:3/anything", True),
        ("http://127.0.0.1:4/anything", False),
        ("https://127.0.0.1:3/anything", False),
        ("http://127.0.0.1:3@evil.example/x", False),
        ("http://evil.example/127.0.0.1:3", False),
    ],
)
def test_a_rehearsal_owns_only_its_own_hosts_and_ports(url, owned):
    assert REHEARSAL.owns(url) is owned


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("https://zipper.dataspace.copernicus.eu/odata/v1/Products(x)/$value", True),
        ("https://download.dataspace.copernicus.eu:443/x", True),
        ("http://download.dataspace.copernicus.eu/x", False),
        ("https://download.dataspace.copernicus.eu:8443/x", False),
        ("https://user@download.dataspace.copernicus.eu/x", False),
        ("https://dataspace.copernicus.eu.evil.example/x", False),
        ("https://evildataspace.copernicus.eu/x", False),
        ("//evil.example/x", False),
    ],
)
def test_the_real_service_owns_its_domain_by_https(url, owned):
    assert Endpoints().owns(url) is owned


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "nonsense", "http://", "https://u:p@host/x", "https://h/x?y"]
)
def test_malformed_addresses_are_refused(url):
    with pytest.raises(ConfigurationError, match="catalogue_url"):
        Endpoints.resolve(catalogue_url=url)


@pytest.mark.parametrize(
    ("entered", "asked", "setting"),
    [
        (None, f"{REAL}/x", None),
        (None, "https://zipper.dataspace.copernicus.eu/x", None),
        (REAL, f"{REAL}/x", None),
        (REAL.replace("stac.", "stack."), "https://stack.dataspace.copernicus.eu/x", "stac_url"),
        ("http://emulator:9446/v1", "http://emulator:9446/v1/search", "stac_url"),
        ("http://emulator:9446/v1", "http://emulator:9447/v1/search", None),
    ],
)
def test_only_what_was_entered_may_be_misspelt(entered, asked, setting):
    assert Endpoints.resolve(stac_url=entered).setting_of(asked) == setting
