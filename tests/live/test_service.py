"""The client against the service; and what the service answers, compared with the emulator."""

from datetime import timedelta

import pytest

from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.catalogue.query import Query
from copernicus_dataspace.models.bands import select_files, stac_assets
from copernicus_dataspace.models.time_range import Window
from copernicus_dataspace.service import ClientOptions, Service
from tests.live.probes import PROBES

pytestmark = pytest.mark.live


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_client_understands_the_answer(probe, visit, emulator_visit, ledger):
    if missing := visit.lacks(probe.service):
        pytest.skip(f"not set: {missing}")
    ledger.emulator[probe.name] = probe.observe(emulator_visit)
    ledger.service[probe.name] = seen = probe.observe(visit)
    if probe.accepted:
        assert seen["the client sees"] in probe.accepted, seen


@pytest.fixture(scope="module")
def client(visit, service_endpoints):
    """Our client, with a session of its own; a refused account is not tried a second time."""
    assert visit.access_token.count(".")
    visit.wait_for_another_code()
    account = Account(visit.username, visit.password, visit.totp_secret or None)
    options = ClientOptions(request_spacing_s=visit.spacing_s)
    with Service(service_endpoints, account, options=options) as running:
        yield running


def test_the_client_logs_in_once_and_then_refreshes(client):
    before = client.statistics.requests
    first = client.tokens.token()
    is_new = client.tokens.renew(first) != first
    assert is_new
    assert client.statistics.requests - before == 2


def test_the_client_finds_the_product_by_name(client, visit):
    product = visit.product
    window = Window(product.sensed, product.sensed + timedelta(seconds=1))
    found = client.catalogue.search(Query(window, product_ids=(product.name,)))
    assert [one.id for one in found] == [product.id]


@pytest.fixture(scope="module")
def files(client, visit):
    return client.downloads.manifest(visit.product)


def test_the_manifest_lists_files_with_checksums(files):
    assert [file for file in files if file.path.endswith("MTD_TL.xml")]
    assert all(file.checksum for file in files)


def test_stac_says_of_the_bands_what_the_manifest_says(client, visit, files):
    if client.stac is None:
        pytest.skip("COPERNICUS_STAC_URL is not set")
    kind = visit.product.product_type
    bands = ["B02", "B03", "TCI"]
    listed = client.stac.files([visit.product], stac_assets(bands, kind))[visit.product.id]
    assert select_files(listed, bands, kind) == select_files(files, bands, kind)


def test_a_small_file_arrives_verified(client, visit, files, tmp_path):
    texts = [file for file in files if file.path.endswith(".xml") and file.size_bytes]
    wanted = min(texts, key=lambda file: file.size_bytes)
    target = tmp_path / wanted.name
    client.downloads.file(visit.product, wanted, target, lambda _: None, lambda: None)
    assert (tmp_path / wanted.name).stat().st_size == wanted.size_bytes
