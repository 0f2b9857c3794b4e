"""Converts products to DataFrames; the only module that needs pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from copernicus_dataspace.errors import MissingPackageError
from copernicus_dataspace.geometry.footprint import polygons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copernicus_dataspace.models.product import Product

_COLUMNS = {
    "id": "string",
    "name": "string",
    "product_type": "string",
    "platform": "string",
    "tile": "string",
    "relative_orbit": "Int64",
    "baseline": "string",
    "sensed": "datetime64[ns, UTC]",
    "published": "datetime64[ns, UTC]",
    "cloud_cover": "Float64",
    "size_bytes": "Int64",
    "md5": "string",
    "online": "boolean",
}


def to_frame(products: Sequence[Product], *, geometry: bool = False) -> pd.DataFrame:
    """Return one row per product, in the given order; columns are typed even without rows.

    Args:
        products: The products.
        geometry: Whether to return a GeoDataFrame with the footprints, in EPSG:4326: valid, cut at
            180 degrees, None if unusable.
    """
    rows = [_row(product) for product in products]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    if not geometry:
        return frame
    MissingPackageError.check("geopandas", "dataframe", "a table with footprints")
    import geopandas  # noqa: PLC0415 - slow to import, and seldom asked for

    shapes = [polygons(product.footprint) for product in products]
    return geopandas.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4326")


def _row(product: Product) -> dict[str, Any]:
    name = product.parsed_name
    return {
        "id": product.id,
        "name": product.name,
        "product_type": product.product_type,
        "platform": f"S2{name.platform}" if name else None,
        "tile": name.tile if name else None,
        "relative_orbit": name.relative_orbit if name else None,
        "baseline": name.baseline if name else None,
        "sensed": product.sensed,
        "published": product.published,
        "cloud_cover": product.cloud_cover,
        "size_bytes": product.size_bytes,
        "md5": product.checksum.value if product.checksum else None,
        "online": product.online,
    }
