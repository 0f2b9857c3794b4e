import json
from pathlib import Path

import copernicus_dataspace

service = json.loads(Path("emulator.json").read_text())

with copernicus_dataspace.Client(
    service["login"],
    service["password"],
    identity_url=service["identity_url"],
    catalogue_url=service["catalogue_url"],
    download_url=service["download_url"],
    stac_url=service["stac_url"],
) as client:
    products = client.search(
        area="include/areas/lake.geojson", first_day="2024-08-01", max_cloud_cover=20
    )
    print(len(products), "products")
    items = client.download(products, bands=["SCL_20m"], to="data/tutorial")

for item in items:
    print(item.id, item.properties["eo:cloud_cover"])
