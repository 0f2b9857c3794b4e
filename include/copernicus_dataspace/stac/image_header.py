"""Reads the grid of an image from its JP2 header, for STAC's projection extension."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.json_records import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

SUFFIX: Final = ".jp2"
_DRIVER: Final = "JP2OpenJPEG"
"""Only this GDAL driver is used: some others open URLs that a file contains."""
_HEADER_BYTES: Final = 65_536
"""Bytes to read; headers of real products have about four thousand."""
_FIELDS: Final = {
    "code": "proj:code",
    "shape": "proj:shape",
    "transform": "proj:transform",
    "data_type": "data_type",
}
"""Fields of a STAC asset by the name in `Raster`."""


@dataclass(frozen=True, slots=True)
class Raster:
    """The grid of an image.

    Attributes:
        code: Coordinate reference system, such as ``EPSG:32636``.
        shape: Rows and columns.
        transform: From column and row to metres, the first two rows of the matrix.
        data_type: Data type of a pixel, as in numpy.
    """

    code: str
    shape: tuple[int, int]
    transform: tuple[float, ...]
    data_type: str

    @classmethod
    def of_header(cls, header: bytes) -> Self | None:
        """Parse the beginning of a JP2; None if it is damaged or has no georeference."""
        import rasterio  # noqa: PLC0415 - slow to import
        from rasterio.errors import RasterioError  # noqa: PLC0415
        from rasterio.io import MemoryFile  # noqa: PLC0415

        try:
            with MemoryFile(header) as memory, rasterio.open(memory.name, driver=_DRIVER) as image:
                epsg = image.crs.to_epsg() if image.crs else None
                transform = tuple(image.transform)[:6]
                raster = cls(f"EPSG:{epsg}", image.shape, transform, image.dtypes[0])
        except (RasterioError, ValueError):
            return None
        return raster if epsg else None

    @classmethod
    def of_asset(cls, asset: Mapping[str, Any]) -> Self | None:
        """Return what `fields` wrote into a STAC asset; None if there is none.

        Raises:
            ValueError: It is damaged.
        """
        if "proj:transform" not in asset:
            return None
        return from_json({name: asset.get(key) for name, key in _FIELDS.items()}, cls)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a STAC asset."""
        values = {**to_json(self), "shape": [*self.shape], "transform": [*self.transform]}
        return {key: values[name] for name, key in _FIELDS.items()}


def raster_at(store: Store, path: str) -> Raster | None:
    """Return the grid of a file; None if it is not an image or cannot be read.

    Raises:
        StorageUnavailableError: The store cannot be read now.
    """
    if not path.endswith(SUFFIX):
        return None
    raster = Raster.of_header(store.head(path, _HEADER_BYTES))
    if raster is None:
        logger.warning("%s: no georeference in its header; its item has no proj:transform.", path)
    return raster
