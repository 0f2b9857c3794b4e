import copernicus_dataspace

with copernicus_dataspace.Client("you@example.org", "secret") as client:
    products = client.search(tiles=["36TXL"], first_day="2024-08-01", last_day="2024-08-07")
    try:
        items = client.download(products, bands=["SCL_20m"], to="data/")
    except copernicus_dataspace.DownloadError as error:
        items = error.items
        for product, reason in error.errors.items():
            print(f"{product}: {reason}")
