"""smart-sentinel-downloader: its README's script; its addresses are environment variables."""

import hashlib

import pytest

SCRIPT = """
import json, sys
from smart_sentinel import AuthenticationManager, CDSEClient, Downloader

client = CDSEClient(auth_manager=AuthenticationManager("user@example.org", "correct horse"))
scenes = client.search(
    collection="sentinel-2-l2a", bbox=[34.4, 40.6, 34.6, 40.7],
    start_date="2024-08-01", end_date="2024-08-01", limit=5)
names = [scene.name for scene in scenes]
id = client.get_product(sys.argv[2]).id
downloader = Downloader(client=client, download_dir=sys.argv[1])
results = downloader.download_selective_bands(product_id_or_name=id, bands="SCL")
results.append(downloader.download_product_zip(id))
with open("result.json", "w") as file:
    json.dump({"names": sorted(names), "status": [one.status for one in results]}, file)
"""


@pytest.fixture
def addresses(emulator):
    return {
        "CDSE_IDENTITY_URL": f"{emulator.identity_url}/protocol/openid-connect/token",
        "CDSE_CATALOGUE_URL": emulator.catalogue_url,
        "CDSE_DOWNLOAD_URL": emulator.download_url,
        "CDSE_ZIPPER_URL": emulator.download_url,
        "CDSE_STAC_URL": emulator.stac_url,
        "CDSE_S3_ENDPOINT": emulator.s3_endpoint_url,
    }


def test_smart_sentinel_downloader_takes_bands_and_a_zip(peer, addresses, emulator, offered):
    """It is asked by an id: for a name of STAC, which lacks ``.SAFE``, the catalogue has none."""
    client = peer("smart-sentinel-downloader")
    product = offered[0]
    done = client.script(SCRIPT, client.home / "out", product.name, **addresses)
    assert {one.name.removesuffix(".SAFE") for one in offered} <= set(done["names"])
    assert set(done["status"]) == {"SUCCESS"}
    held = {path.name: path for path in client.home.glob("out/**/*") if path.is_file()}
    zipped = held.pop(f"{product.name}.zip").read_bytes()
    assert hashlib.md5(zipped, usedforsecurity=False).hexdigest() == product.md5
    files = {path.rpartition("/")[2]: path for path in product.files}
    assert {name[-11:] for name in held} == {"SCL_20m.jp2", "SCL_60m.jp2"}
    assert all(file.read_bytes() == product.read(files[name]) for name, file in held.items())
