import copernicus_dataspace

with copernicus_dataspace.Client("you@example.org", "secret") as client:
    products = client.search(
        area="34.48,40.62,34.52,40.65", first_day="2024-08-01", last_day="2024-08-07"
    )
table = products.to_dataframe()
print(table[["sensed", "tile", "cloud_cover", "size_bytes"]])
clear = [product for product in products if product.cloud_cover < 20]
