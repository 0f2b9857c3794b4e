"""Reads vector files with GDAL, in a subprocess with only the drivers for the file's suffix.

GDAL chooses the driver by the content: a KML or a zip with a virtual dataset could make it open any
URL. Drivers can be restricted only before GDAL starts, hence the subprocess.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_KML: Final = ("LIBKML", "KML")
_DRIVERS: Final = {
    ".gpkg": ("GPKG",),
    ".shp": ("ESRI Shapefile",),
    ".kml": _KML,
    ".kmz": _KML,
    ".fgb": ("FlatGeobuf",),
    ".zip": ("ESRI Shapefile", "GPKG", "FlatGeobuf", *_KML),
}
"""Drivers by suffix; none of them follows references out of the file."""
_LONGEST_S: Final = 300.0


def read_layers(path: Path, wanted: str | None) -> dict[str, Any] | None:
    """Return the shapes of a file's layers, or of one layer; None if it cannot be read.

    Args:
        path: A file with one of `area_files.SUFFIXES`, except GeoJSON.
        wanted: Name of a layer, in normal form C; None for all layers with shapes.

    Returns:
        ``names`` of all layers with shapes, and ``layers``: for each wanted one ``crs`` as code or
        WKT, and ``shapes`` as WKB in hexadecimal digits.
    """
    import pyogrio  # noqa: PLC0415 - slow to import, and most areas are GeoJSON

    others = set(pyogrio.list_drivers()) - set(_DRIVERS[path.suffix.lower()])
    environment = {**os.environ, "GDAL_SKIP": ",".join(sorted(others))}
    asked = [str(path.absolute()), *([] if wanted is None else [wanted])]
    try:
        done = subprocess.run(  # noqa: S603 - our own file, and an existing path
            [sys.executable, "-P", __file__, *asked],
            env=environment,
            capture_output=True,
            check=True,
            timeout=_LONGEST_S,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _main(path: str, wanted: str | None = None) -> None:
    import pyogrio  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    # A table without a geometry column has None for the type.
    named = [(i, name) for i, (name, kind) in enumerate(pyogrio.list_layers(path)) if kind]
    layers = []
    for i in (i for i, name in named if wanted in (None, unicodedata.normalize("NFC", name))):
        meta, _, encoded, _ = pyogrio.raw.read(path, layer=i, columns=[], force_2d=True)
        shapes = shapely.from_wkb([one for one in encoded if one is not None], on_invalid="fix")
        layers.append({"crs": meta["crs"] or "", "shapes": [*shapely.to_wkb(shapes, hex=True)]})
    json.dump({"names": [name for _, name in named], "layers": layers}, sys.stdout)


if __name__ == "__main__":
    _main(*sys.argv[1:])
