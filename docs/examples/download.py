import copernicus_dataspace

with copernicus_dataspace.Client("you@example.org", "secret") as client:
    products = client.search(
        area="lake.geojson", first_day="2024-08-01", last_day="2024-08-07", max_cloud_cover=20
    )
    items = client.download(products, bands=["SCL_20m"], to="data/")
