"""Sentinel-2 retrieval from the Copernicus Data Space Ecosystem.

::

    import copernicus_dataspace

    with copernicus_dataspace.Client("you@example.org", "secret") as client:
        products = client.search(
            area="lake.geojson", first_day="2024-08-01", last_day="2024-08-07", max_cloud_cover=20
        )
        items = client.download(products, bands=["SCL_20m"], to="data/")

Every error is a `DataSpaceError`; all of them can be imported from here, see `errors`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copernicus_dataspace.catalogue.search import Products
    from copernicus_dataspace.client import Client
    from copernicus_dataspace.errors import DataSpaceError, DownloadError
    from copernicus_dataspace.geometry.area import Area
    from copernicus_dataspace.service import ClientOptions

__all__ = ["Area", "Client", "ClientOptions", "DataSpaceError", "DownloadError", "Products"]

_HOMES = {
    "Area": "geometry.area",
    "Client": "client",
    "ClientOptions": "service",
    "Products": "catalogue.search",
}


def __getattr__(name: str) -> Any:
    """Import public names lazily."""
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    if name not in _HOMES and not name.endswith("Error"):
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(home, name)
