"""Writes and reads the STAC item of a delivered product.

https://github.com/radiantearth/stac-spec; fields that STAC does not define begin with
``dataspace:``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import UNREADABLE
from copernicus_dataspace.geometry.footprint import bounds, geojson
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import check_distinct
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.models.time_range import parse_instant
from copernicus_dataspace.stac.delivered_files import (
    DeliveredFile,
    Delivery,
    selection_of,
    text_of,
    texts_of,
)
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
    if content is None:
        return None
    try:
        item = json.loads(content)
        properties = item["properties"]
        created, owner = properties.get("created"), text_of(properties["dataspace:dag_id"])
        files = [_file_of(asset) for asset in item["assets"].values()]
        check_distinct([ITEM_NAME, *(file.name for file in files)], "An item")
        return Delivery(
            selection=selection_of(properties["dataspace:selection"]),
            files={file.path: file for file in files},
            owner=owner,
            run_id=text_of(properties["dataspace:run_id"]),
            stamp=text_of(properties["dataspace:stamp"]),
            ingests=texts_of(properties.get("dataspace:ingests", [owner])),
            created=parse_instant(created) if created else None,
            scheduled=texts_of(properties.get("dataspace:scheduled", [])),
        )
    except UNREADABLE:
        return None


def product_of(content: bytes) -> Product:
    """Return the product of an item, with the fields the item has.

    Raises:
        `errors.UNREADABLE`: It is not an item of ours, or damaged.
    """
    item = json.loads(content)
    properties = item["properties"]
    algorithm, _, value = properties.get("dataspace:product_checksum", "").partition(" ")
    published = properties.get("published")
    return Product(
        id=properties["dataspace:product_id"],
        name=properties["dataspace:product_name"],
        product_type=properties["product:type"],
        sensed=parse_instant(properties["datetime"]),
        published=parse_instant(published) if published else None,
        size_bytes=properties.get("dataspace:product_size"),
        checksum=Checksum.parse(algorithm, value),
        cloud_cover=properties.get("eo:cloud_cover"),
        footprint=item["geometry"],
    ).checked()


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
    algorithm, value = asset["dataspace:checksum_algorithm"], asset["dataspace:checksum"]
    checksum = Checksum.parse(algorithm, value)
    if checksum is None:
        message = f"{asset['href']} has no usable checksum: {algorithm} {value}"
        raise ValueError(message)
    return DeliveredFile(
        path=asset["file:local_path"],
        name=asset["href"].removeprefix("./"),
        size_bytes=asset["file:size"],
        checksum=checksum,
        source_url=text_of(asset["dataspace:source"]),
        raster=Raster.of_asset(asset),
    )
