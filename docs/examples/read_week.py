import odc.stac
import pystac

august = pystac.Catalog.from_file("data/stac/S2MSI2A/2024/08/catalog.json")
week = [item for item in august.get_items(recursive=True) if item.datetime.day <= 7]
scl = odc.stac.load(week, bands=["SCL_20m"], groupby="solar_day")["SCL_20m"]
