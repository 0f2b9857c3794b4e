"""Catalogue rows as JSON in the service's format.

The format has changed over time; it depends on the time of the response, not of the row.
"""

import hashlib
import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import shapely

from copernicus_dataspace_emulator.catalogue.attributes import ATTRIBUTES
from copernicus_dataspace_emulator.holdings.rows import Row
from copernicus_dataspace_emulator.products.product import Product
from copernicus_dataspace_emulator.products.recipe import FOREVER, instant, milliseconds

_SIX_DIGITS_SINCE: Final = datetime(2024, 9, 2, tzinfo=UTC)
_ZULU_SINCE: Final = datetime(2025, 3, 17, tzinfo=UTC)
_EVICTION_SINCE: Final = datetime(2024, 7, 31, tzinfo=UTC)
_CHECKSUM_AFTER: Final = timedelta(seconds=60)
_BINARY: Final = "application/octet-stream"

Entity = dict[str, Any]


def date_text(moment: datetime, now: datetime) -> str:
    """Return a date in the format of a response."""
    if now < _SIX_DIGITS_SINCE:
        return milliseconds(moment)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def asset_id(product: Product) -> str:
    """Return the id of the product's quicklook."""
    return str(uuid.uuid5(uuid.UUID(product.id), "quicklook"))


def entity(
    row: Row, now: datetime, base_url: str, expand: Collection[str], select: Collection[str]
) -> Entity:
    """Return a row; only selected fields are computed, so products need not be generated."""
    fields = _deleted_fields(row, now) if row.deleted else _fields(row, now)
    if select and "*" not in select:
        wanted = {"GeoFootprint" if name == "Geofootprint" else name for name in select} | {"Id"}
        fields = {name: value for name, value in fields.items() if name in wanted}
    document: Entity = {"@odata.mediaContentType": _BINARY}
    document |= {name: value() for name, value in fields.items()}
    if "Attributes" in expand:
        document["Attributes"] = _attributes(row.product, now)
    if "Assets" in expand:
        document["Assets"] = [_quicklook(row.product, base_url)]
    if "Locations" in expand:
        document["Locations"] = [_location(row.product, now, base_url)]
    return document


def _fields(row: Row, now: datetime) -> dict[str, Callable[[], Any]]:
    product, facts = row.product, row.product.facts
    return {
        "Id": lambda: product.id,
        "Name": lambda: product.name,
        "ContentType": lambda: _BINARY,
        "ContentLength": lambda: _length(product),
        "OriginDate": lambda: date_text(facts.origin, now),
        "PublicationDate": lambda: date_text(facts.published, now),
        "ModificationDate": lambda: date_text(facts.modified, now),
        **({} if facts.online is None else {"Online": lambda: facts.online}),
        "EvictionDate": lambda: _eviction(facts.eviction, now),
        "S3Path": lambda: product.facts.s3_path,
        "Checksum": lambda: _checksum(product, now),
        **_shape(product, now),
    }


def _deleted_fields(row: Row, now: datetime) -> dict[str, Callable[[], Any]]:
    product = row.product
    return {
        "Id": lambda: product.id,
        "Name": lambda: product.name,
        "ContentType": lambda: _BINARY,
        "ContentLength": lambda: _length(product),
        "OriginDate": lambda: date_text(product.facts.origin, now),
        "DeletionDate": lambda: date_text(row.deleted or now, now),
        "DeletionCause": lambda: row.cause,
        "Checksum": lambda: _checksum(product, now),
        **_shape(product, now),
    }


def _eviction(date: str | None, now: datetime) -> str | None:
    """Return the eviction date; its format for permanent products has changed twice."""
    if date != FOREVER:
        return date
    return date_text(instant(date), now) if now >= _EVICTION_SINCE else ""


def _shape(product: Product, now: datetime) -> dict[str, Callable[[], Any]]:
    start = date_text(product.facts.sensed, now)
    return {
        "ContentDate": lambda: {"Start": start, "End": start},
        "Footprint": lambda: _geography(product),
        "GeoFootprint": lambda: product.facts.footprint or None,
    }


def _geography(product: Product) -> str | None:
    if not product.facts.footprint:
        return None
    wkt = shapely.to_wkt(product.geometry, rounding_precision=-1)
    return f"geography'SRID=4326;{wkt}'"


def _length(product: Product) -> int:
    return 0 if product.facts.checksum == "none" and not product.has_bytes else product.zip_size


def _checksum(product: Product, now: datetime) -> list[dict[str, str]]:
    kind, when = product.facts.checksum, product.facts.digested
    is_early = now < product.facts.published + _CHECKSUM_AFTER
    if kind == "none" or (kind == "late" and is_early):
        return []
    if kind == "corrected" and is_early:
        kind = "wrong"
    value = {"N/A": "N/A", "zeros": "0" * 32, "wrong": "f" * 32}.get(kind) or product.md5
    date = f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"
    md5 = {"Value": value, "Algorithm": "MD5", "ChecksumDate": date}
    if kind == "md5":
        return [md5]
    # The second algorithm is a dummy, not a digest of the product.
    other = hashlib.sha256(value.encode()).hexdigest()
    return [md5, {"Value": other, "Algorithm": "BLAKE3", "ChecksumDate": date}]


def _attributes(product: Product, now: datetime) -> list[Entity]:
    return [
        {
            "@odata.type": f"#OData.CSC.{ATTRIBUTES[name]}Attribute",
            "Name": name,
            "Value": _attribute_date(name, value, now) if isinstance(value, datetime) else value,
            "ValueType": ATTRIBUTES[name],
        }
        for name, value in product.facts.attributes.items()
    ]


def _attribute_date(name: str, moment: datetime, now: datetime) -> str:
    if name == "processingDate" and now < _ZULU_SINCE:
        return moment.isoformat(timespec="seconds")
    return date_text(moment, now)


def _quicklook(product: Product, base_url: str) -> Entity:
    number = asset_id(product)
    return {
        "Type": "QUICKLOOK",
        "Id": number,
        "DownloadLink": f"{base_url}/Assets({number})/$value",
        "S3Path": product.facts.s3_path,
    }


def _location(product: Product, now: datetime, base_url: str) -> Entity:
    return {
        "FormatType": "Extracted",
        "DownloadLink": f"{base_url}/Products({product.id})/$value",
        "ContentLength": _length(product),
        "Checksum": _checksum(product, now),
        "S3Path": product.facts.s3_path,
    }
