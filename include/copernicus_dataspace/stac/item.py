"""Writes and reads the STAC item of a delivered product.

https://github.com/radiantearth/stac-spec; fields that STAC does not define begin with
``dataspace:``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.geometry.footprint import bounds, geojson
from copernicus_dataspace.json_records import from_json, read_json, to_json
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import check_distinct
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.stac.delivered_files import DeliveredFile, Delivery
from copernicus_dataspace.stac.image_header import SUFFIX, Raster
from copernicus_dataspace.storage.layout import CATALOGS, catalog_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ITEM_NAME: Final = "item.json"
STAC_VERSION: Final = "1.1.0"
_UP: Final = "../" * 6
"""Relative path from a product's folder to the root of the store."""

_EXTENSIONS: Final = {
    "file:": "file/v2.1.0",
    "eo:": "eo/v1.1.0",
    "grid:": "grid/v1.1.0",
    "proj:": "projection/v2.0.0",
    "sat:": "sat/v1.0.0",
    "published": "timestamps/v1.1.0",
    "processing:": "processing/v1.2.0",
    "product:": "product/v1.0.0",
}
"""Extensions by the prefix of their fields."""
_NODATA: Final = 0
"""Of all images on the tile's grid."""
_MEDIA_TYPES: Final = {
    "jp2": "image/jp2",
    "xml": "application/xml",
    "safe": "application/xml",
    "html": "text/html",
    "jpg": "image/jpeg",
    "gml": "application/gml+xml",
}
_IMAGE: Final = re.compile(r"(L2A_)?T\d{2}[A-Z]{3}_\d{8}T\d{6}_(?P<band>[A-Z0-9]+(_\d0m)?)\.jp2")
_FIRST_NORTHERN_BAND: Final = "N"
_PRODUCT_FIELDS: Final = {
    "id": "dataspace:product_id",
    "name": "dataspace:product_name",
    "product_type": "product:type",
    "sensed": "datetime",
    "published": "published",
    "size_bytes": "dataspace:product_size",
    "cloud_cover": "eo:cloud_cover",
}
"""Fields of an item's properties by the name in `Product`."""


@dataclass(frozen=True, slots=True)
class _Item:
    properties: dict[str, Any]
    assets: dict[str, dict[str, Any]]
    geometry: dict[str, Any] | None


def item_of(delivery: Delivery, product: Product, now: datetime) -> bytes:
    """Return the item of a delivered product as JSON; `now` is its ``updated``."""
    outline = geojson(product.footprint)
    box = bounds(outline)
    assets: dict[str, dict[str, Any]] = {}
    for file in delivery.files.values():
        key = _asset_key(file)
        assets[file.name if key in assets else key] = _asset(file)
    properties = _properties(product) | _provenance(delivery, now)
    document = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": _extensions(properties, assets),
        "id": product.stem,
        "geometry": outline,
        **({"bbox": list(box)} if box else {}),
        "properties": properties,
        "links": _links(product),
        "assets": assets,
        "collection": product.product_type,
    }
    return json.dumps(document, indent=2).encode()


def delivery_of(content: bytes | None) -> Delivery | None:
    """Return the delivery an item describes; None if there is no item or it is damaged."""
    try:
        item = read_json(content, _Item)
        properties = item.properties
        files = [_file_of(asset) for asset in item.assets.values()]
        check_distinct([ITEM_NAME, *(file.name for file in files)], "An item")
        owner = properties["dataspace:dag_id"]
        delivery = {
            "selection": properties["dataspace:selection"],
            "files": {},
            "owner": owner,
            "run_id": properties["dataspace:run_id"],
            "stamp": properties["dataspace:stamp"],
            "ingests": properties.get("dataspace:ingests", [owner]),
            "created": properties.get("created"),
            "scheduled": properties.get("dataspace:scheduled", []),
        }
        described = from_json(delivery, Delivery)
    except (ValueError, KeyError):
        return None
    return replace(described, files={file.path: file for file in files})


def product_of(content: bytes) -> Product:
    """Return the product of an item, with the fields the item has.

    Raises:
        ValueError: It is not an item of ours, or damaged.
    """
    item = read_json(content, _Item)
    fields = {name: item.properties.get(key) for name, key in _PRODUCT_FIELDS.items()}
    listed = from_json(item.properties.get("dataspace:product_checksum", ""), str)
    algorithm, _, value = listed.partition(" ")
    checksum = Checksum.parse(algorithm, value)
    return from_json(
        {**fields, "footprint": item.geometry, "checksum": checksum and to_json(checksum)}, Product
    )


def _extensions(
    properties: Mapping[str, Any], assets: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the extensions whose fields are used: some must not be declared otherwise."""
    fields = {*properties}.union(*assets.values())
    return [
        f"https://stac-extensions.github.io/{extension}/schema.json"
        for prefix, extension in _EXTENSIONS.items()
        if any(field.startswith(prefix) for field in fields)
    ]


def _links(product: Product) -> list[dict[str, str]]:
    day = catalog_path(product.product_type, product.sensed.date())
    targets = {
        "root": "catalog.json",
        "parent": day,
        "collection": f"{CATALOGS}/{product.product_type}/collection.json",
    }
    return [
        {"rel": rel, "href": f"{_UP}{path}", "type": "application/json"}
        for rel, path in targets.items()
    ]


def _properties(product: Product) -> dict[str, Any]:
    name = product.parsed_name
    values: dict[str, Any] = {
        "datetime": product.sensed.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "product:type": product.product_type,
        "published": product.published.isoformat() if product.published else None,
        "eo:cloud_cover": product.cloud_cover,
        "dataspace:product_id": product.id,
        "dataspace:product_name": product.name,
        "dataspace:product_checksum": str(product.checksum) if product.checksum else None,
        "dataspace:product_size": product.size_bytes,
    }
    if name:
        values |= {
            "platform": f"sentinel-2{name.platform.lower()}",
            "processing:version": name.baseline,
            "grid:code": f"MGRS-{name.tile}",
            "proj:code": f"EPSG:{_utm(name.tile)}",
            "sat:relative_orbit": name.relative_orbit,
        }
    return {key: value for key, value in values.items() if value is not None}


def _provenance(delivery: Delivery, now: datetime) -> dict[str, Any]:
    created = {"created": delivery.created.isoformat()} if delivery.created else {}
    return created | {
        "updated": now.isoformat(),
        "dataspace:selection": {band: list(paths) for band, paths in delivery.selection.items()},
        "dataspace:ingests": list(delivery.ingests),
        "dataspace:scheduled": list(delivery.scheduled),
        "dataspace:dag_id": delivery.owner,
        "dataspace:run_id": delivery.run_id,
        "dataspace:stamp": delivery.stamp,
    }


def _utm(tile: str) -> int:
    """Return the EPSG code of an MGRS tile: UTM of its zone and hemisphere."""
    is_northern = tile[2] >= _FIRST_NORTHERN_BAND
    return (32600 if is_northern else 32700) + int(tile[:2])


def _asset_key(file: DeliveredFile) -> str:
    image = _IMAGE.fullmatch(file.name)
    return image["band"] if image else file.name


def _asset(file: DeliveredFile) -> dict[str, Any]:
    media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2].lower())
    return {
        "href": f"./{file.name}",
        **({"type": media_type} if media_type else {}),
        "file:size": file.size_bytes,
        "file:checksum": file.checksum.multihash(),
        "file:local_path": file.path,
        "dataspace:checksum_algorithm": file.checksum.algorithm,
        "dataspace:checksum": file.checksum.value,
        "dataspace:source": file.source_url,
        **(file.raster.fields() if file.raster else {}),
        **({"nodata": _NODATA} if _IMAGE.fullmatch(file.name) else {}),
        "roles": ["data" if file.name.endswith(SUFFIX) else "metadata"],
    }


def _file_of(asset: Mapping[str, Any]) -> DeliveredFile:
    file = {
        "path": asset["file:local_path"],
        "name": from_json(asset["href"], str).removeprefix("./"),
        "size_bytes": asset["file:size"],
        "checksum": {
            "algorithm": asset["dataspace:checksum_algorithm"],
            "value": asset["dataspace:checksum"],
        },
        "source_url": asset["dataspace:source"],
    }
    return replace(from_json(file, DeliveredFile), raster=Raster.of_asset(asset))
