"""Tries an installed wheel with all extras; `scripts/release_check.py` runs it.

Delivers a file from the emulator, over both transports, and reads an area file.
"""

import sys
from pathlib import Path

import geopandas
import s3fs
import shapely
from airflow.providers.amazon.aws.fs import s3

import copernicus_dataspace_emulator
from copernicus_dataspace import Area, Client
from copernicus_dataspace_emulator import Emulator, make_product

DAY = "2024-08-01"
LAKE = (34.48, 40.61, 34.52, 40.65)


def a_file_is_delivered(folder):
    with Emulator(now="2026-11-20T12:00:00Z") as emulator:
        emulator.add(make_product(tile="36TXL", sensed=f"{DAY}T08:36:01.024Z", scale=0.003))
        account = emulator.connection(**emulator.s3_keys)
        for transport in ("https", "s3"):
            settings = account["extra"] | {"transport": transport}
            with Client(account["login"], account["password"], **settings) as client:
                products = client.search(area=",".join(map(str, LAKE)), first_day=DAY)
                assert len(products.to_dataframe(geometry=True)) == 1
                to = folder / transport
                (item,) = client.download(products, bands=["SCL_20m"], to=to, progress=False)
                assert item.assets["SCL_20m"].extra_fields["proj:code"] == "EPSG:32636"
                assert len([*to.rglob("*SCL_20m.jp2")]) == 1


def an_area_file_is_read(folder):
    file = folder / "lake.gpkg"
    shapes = geopandas.GeoSeries([shapely.box(*LAKE)], crs="EPSG:4326").to_crs("EPSG:32636")
    shapes.to_file(file)
    assert Area.parse(file)


if __name__ == "__main__":
    assert copernicus_dataspace_emulator.__all__
    assert s3fs.S3FileSystem
    assert "s3" in s3.schemes
    a_file_is_delivered(Path(sys.argv[1]))
    an_area_file_is_read(Path(sys.argv[1]))
