"""Puts products into a store as a run would have left them, without a run."""

import hashlib
from datetime import UTC, datetime

from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.stac.delivered_files import DeliveredFile, Delivery
from copernicus_dataspace.stac.item import ITEM_NAME, item_of
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path

SENSED = datetime(2024, 8, 1, 8, 36, 1, 24000, tzinfo=UTC)
CREATED = datetime(2024, 8, 2, 3, tzinfo=UTC)
INGEST = "sentinel2_daily"
RING = [[34.0, 44.0], [35.0, 44.0], [35.0, 45.0], [34.0, 45.0], [34.0, 44.0]]
FOOTPRINT = {"type": "Polygon", "coordinates": [RING]}
FILES = {"SCL_20m": b"scene classes", "B04_10m": b"red as it was seen"}


def held_product(number=0, baseline="0511", tile="36TXL", generated="20240801T120000", **changes):
    name = f"S2A_MSIL2A_20240801T083601_N{baseline}_R064_T{tile}_{generated}.SAFE"
    facts = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "name": name,
        "product_type": "S2MSI2A",
        "sensed": SENSED,
        "published": datetime(2024, 8, 1, 14, tzinfo=UTC),
        "size_bytes": 9,
        "checksum": Checksum("MD5", "ab" * 16),
        "cloud_cover": 12.5,
        "footprint": FOOTPRINT,
    }
    return Product(**{**facts, **changes})


def file_name(product, band):
    return f"T{product.tile}_20240801T083601_{band}.jp2"


def delivery(product, files=FILES, ingests=(INGEST,), created=CREATED):
    """Return what an item says of some bytes by band."""
    paths = {band: f"GRANULE/IMG_DATA/{file_name(product, band)}" for band in files}
    delivered = {
        paths[band]: DeliveredFile(
            path=paths[band],
            name=file_name(product, band),
            size_bytes=len(content),
            checksum=Checksum("SHA-256", hashlib.sha256(content).hexdigest()),
            source_url=f"https://download.invalid/{band}",
        )
        for band, content in files.items()
    }
    return Delivery(
        selection={band: (path,) for band, path in paths.items()},
        files=delivered,
        owner=INGEST,
        run_id="scheduled__2024-08-01",
        stamp="1",
        ingests=tuple(ingests),
        created=created,
    )


def hold(store, product, ingests=(INGEST,), files=FILES, zipped=None):
    """Let a store hold a product's files, its item, and its zip where there is one."""
    folder = bands_dir(product)
    for band, content in files.items():
        store.write(f"{folder}/{file_name(product, band)}", content)
    item = item_of(delivery(product, files, ingests), product, CREATED)
    store.write(f"{folder}/{ITEM_NAME}", item)
    if zipped is not None:
        store.write(kept_zip_path(product), zipped)
    return product
