"""phidown, with s5cmd, which it runs; its addresses are arguments and a file of settings."""

SCRIPT = """
import json, sys
from phidown.search import CopernicusDataSearcher
from phidown.s5cmd_utils import pull_down

catalogue_url, endpoint_url, folder = sys.argv[1:]
searcher = CopernicusDataSearcher()
searcher.query_by_filter(
    base_url=f"{catalogue_url}/Products", collection_name="SENTINEL-2", product_type="S2MSI2A",
    cloud_cover_threshold=20, start_date="2024-08-01T00:00:00", end_date="2024-08-02T00:00:00",
    aoi_wkt="POLYGON((34.4 40.6, 34.6 40.6, 34.6 40.7, 34.4 40.7, 34.4 40.6))",
    attributes={"relativeOrbitNumber": 107}, top=1, count=True)
found = searcher.execute_query()
first = found.iloc[0]
done = pull_down(first["S3Path"], output_dir=folder, endpoint_url=endpoint_url)
with open("result.json", "w") as file:
    json.dump({"names": sorted(found["Name"]), "first": first["Name"], "done": done}, file)
"""
SETTINGS = """
[default]
aws_access_key_id = {s3_access_key}
aws_secret_access_key = {s3_secret_key}
aws_region = eu-central-1
host_base = eodata.dataspace.copernicus.eu
host_bucket = eodata.dataspace.copernicus.eu
use_https = true
check_ssl_certificate = true
"""


def test_phidown_takes_a_product(peer, emulator, offered, arrived):
    phidown = peer("phidown")
    (phidown.home / ".s5cfg").write_text(SETTINGS.format(**emulator.s3_keys))
    out = phidown.home / "out"
    done = phidown.script(SCRIPT, emulator.catalogue_url, emulator.s3_endpoint_url, out)
    by_name = {product.name: product for product in offered}
    assert done["names"] == sorted(by_name)
    assert done["done"] is True
    product = by_name[done["first"]]
    assert arrived(out / product.name, product) == set(product.files)
