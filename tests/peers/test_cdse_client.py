"""cdse-client: up to the refusal that an OAuth client meets at the download service.

It searches in the catalogue of Sentinel Hub, which the emulator has not: STAC stands for it.
"""

import pytest

SCRIPT = """
import json, sys
from cdse import CDSEClient
from cdse.exceptions import DownloadError

client = CDSEClient(client_id="sh-1234", client_secret="secret", output_dir=sys.argv[1])
products = client.search(
    bbox=[34.4, 40.6, 34.6, 40.7], start_date="2024-08-01", end_date="2024-08-02",
    collection="sentinel-2-l2a", cloud_cover_max=20, limit=5, coverage="any")
names = [product.name for product in products if product.datetime.day == 1]
by_name = client.search_by_name(f"{names[0]}.SAFE")
by_id = client.search_by_id(by_name.id)
try:
    refused = str(client.download(products[0]))
except DownloadError as error:
    refused = str(error)
with open("result.json", "w") as file:
    json.dump({"names": sorted(names), "same": by_id.name == by_name.name,
               "refused": refused}, file)
"""


@pytest.fixture
def cdse_client(peer, hosts, emulator):
    client = peer("cdse-client")
    sentinel_hub = "https://sh.dataspace.copernicus.eu/api/v1/catalog/1.0.0"
    client.renamed("cdse", hosts | {sentinel_hub: emulator.stac_url})
    return client


def test_cdse_client_searches_and_is_refused_the_bytes(cdse_client, offered):
    out = cdse_client.home / "out"
    done = cdse_client.script(SCRIPT, out, OAUTHLIB_INSECURE_TRANSPORT="1")
    assert done["names"] == sorted(product.name.removesuffix(".SAFE") for product in offered)
    assert done["same"]
    assert "401" in done["refused"]
    assert "DAT-ZIP-609" in done["refused"]
    assert not list(out.iterdir())
