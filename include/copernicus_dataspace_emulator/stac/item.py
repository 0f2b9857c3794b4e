"""STAC items, built lazily, so that only requested parts are computed."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from copernicus_dataspace_emulator.products.product import Product
from copernicus_dataspace_emulator.products.recipe import FOREVER, instant
from copernicus_dataspace_emulator.stac.assets import Addresses, Asset, asset, asset_paths

COLLECTIONS: Final = {"L2A": "sentinel-2-l2a", "L1C": "sentinel-2-l1c"}
_STATISTICS: Final = {
    "nodata": "NODATA_PIXEL",
    "saturated_defective": "SATURATED_DEFECTIVE_PIXEL",
    "dark_area": "(?:CAST_SHADOW|DARK_FEATURES)",
    "cloud_shadow": "CLOUD_SHADOW",
    "vegetation": "VEGETATION",
    "not_vegetated": "NOT_VEGETATED",
    "water": "WATER",
    "unclassified": "UNCLASSIFIED",
    "medium_proba_clouds": "MEDIUM_PROBA_CLOUDS",
    "high_proba_clouds": "HIGH_PROBA_CLOUDS",
    "thin_cirrus": "THIN_CIRRUS",
}
_LAUNCHES: Final = {"A": "2015-028A", "B": "2017-013A", "C": "2024-157A"}
_ANGLES: Final = {
    "view:azimuth": 104.5,
    "view:incidence_angle": 4.1,
    "view:sun_azimuth": 142.8,
    "view:sun_elevation": 61.5,
}
_EXTENSIONS: Final = (
    *("alternate-assets/v1.2.0", "authentication/v1.1.0", "eo/v2.0.0", "file/v2.1.0"),
    *("grid/v1.1.0", "processing/v1.2.0", "product/v1.0.0", "projection/v2.0.0"),
    *("raster/v2.0.0", "sat/v1.1.0", "storage/v2.0.0", "timestamps/v1.1.0", "view/v1.1.0"),
)
DATES: Final = (
    *("created", "expires", "updated", "datetime", "published", "start_datetime", "end_datetime"),
    *("processing:datetime", "eopf:origin_datetime"),
)
"""Properties that are dates."""
_TRACES: Final = "https://trace.dataspace.copernicus.eu/api/v1/traces/name"


@dataclass(eq=False)
class Item:
    """The item of a product; computed parts are cached."""

    product: Product
    urls: Addresses
    _assets: dict[str, Asset] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name of the product without ``.SAFE``."""
        return self.product.name.removesuffix(".SAFE")

    @property
    def collection(self) -> str:
        """The collection the item is in."""
        return COLLECTIONS[self.product.facts.level]

    @property
    def product_id(self) -> str:
        """Product id in the item."""
        if self.product.facts.stac != "other_id":
            return self.product.id
        return str(uuid.uuid5(uuid.UUID(self.product.id), "other"))

    @cached_property
    def parts(self) -> Mapping[str, Callable[[], Any]]:
        """Functions that build the top-level parts."""
        return {
            "id": lambda: self.id,
            "bbox": lambda: list(self.product.geometry.bounds),
            "type": lambda: "Feature",
            "links": lambda: self._own_links,
            "assets": lambda: {key: self.asset(key) for key in self._paths},
            "geometry": lambda: self.product.facts.footprint or None,
            "collection": lambda: self.collection,
            "properties": lambda: self._properties,
            "stac_version": lambda: "1.1.0",
            "stac_extensions": lambda: [
                "https://cs-si.github.io/eopf-stac-extension/v1.2.0/schema.json",
                *(f"https://stac-extensions.github.io/{one}/schema.json" for one in _EXTENSIONS),
            ],
        }

    def at(self, path: tuple[str, ...]) -> Any:
        """Return the value at a path of names; None if it is missing."""
        name, *rest = path
        if name not in self.parts:
            return None
        if name == "assets" and rest:
            value: Any = self.asset(rest.pop(0))
        elif name == "properties" and rest:
            value = self._property(rest.pop(0))
        else:
            value = self.parts[name]()
        for step in rest:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def asset(self, key: str) -> Asset | None:
        """Return an asset; None for an unknown key."""
        if key not in self._paths:
            return None
        if key not in self._assets:
            path = self._paths[key]
            self._assets[key] = asset(self.product, self.product_id, key, path, self.urls)
        return self._assets[key]

    def links(self) -> list[dict[str, str]]:
        """The links that the service adds to each item."""
        here = f"{self.urls.stac}/collections/{self.collection}"
        return [
            {"rel": "collection", "type": "application/json", "href": here},
            {"rel": "parent", "type": "application/json", "href": here},
            {"rel": "root", "type": "application/json", "href": f"{self.urls.stac}/"},
            {"rel": "self", "type": "application/geo+json", "href": f"{here}/items/{self.id}"},
        ]

    @cached_property
    def _paths(self) -> dict[str, str]:
        return asset_paths(self.product)

    @cached_property
    def _own_links(self) -> list[dict[str, Any]]:
        return [
            {
                "rel": "enclosure",
                "href": f"s3:/{self.product.facts.s3_path}/",
                "type": "application/x-directory",
                "title": "S3 path to source directory",
                "auth:refs": ["s3"],
                "storage:refs": ["cdse-s3", "creodias-s3"],
            },
            {
                "rel": "version-history",
                "href": f"{_TRACES}/{self.product.name}.zip",
                "type": "application/json",
                "title": "Product history record from the CDSE traceability service",
            },
        ]

    def value(self, name: str) -> Any:
        """Return the value a filter or order compares: a property, or a part of the item."""
        if name == "geometry":
            return self.product.geometry
        if name in {"id", "collection"}:
            return self.parts[name]()
        if name in DATES:
            return instant(str(self._plain[name]))
        return self._property(name)

    def _property(self, name: str) -> Any:
        return self._plain[name] if name in self._plain else self._properties.get(name)

    @cached_property
    def _properties(self) -> dict[str, Any]:
        return {
            **self._plain,
            **self._cover(),
            "_private": {
                "product_uuid": self.product_id,
                "product_name": self.product.name,
                "product_size": self.product.zip_size,
            },
        }

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """The properties that need no generated product."""
        facts = self.product.facts
        told, sensed = facts.attributes, _date(facts.sensed)
        platform = str(told["platformSerialIdentifier"])
        return {
            "gsd": 10,
            "created": _date(facts.origin),
            "expires": FOREVER,
            "updated": _date(facts.modified),
            "datetime": sensed,
            "platform": f"sentinel-2{platform.lower()}",
            "grid:code": f"MGRS-{told['tileId']}",
            "published": _date(facts.published),
            "instruments": ["msi"],
            "constellation": "sentinel-2",
            "start_datetime": sensed,
            "end_datetime": sensed,
            **({"eo:cloud_cover": told["cloudCover"]} if "cloudCover" in told else {}),
            "product:type": told["productType"],
            "product:timeliness": "PT24H",
            "product:timeliness_category": "NRT",
            "processing:level": f"L{facts.level[1]}",
            "processing:version": facts.baseline,
            "processing:datetime": _date(facts.generated),
            "processing:facility": "ESA",
            "sat:orbit_state": "descending",
            "sat:absolute_orbit": told["orbitNumber"],
            "sat:relative_orbit": told["relativeOrbitNumber"],
            "sat:platform_international_designator": _LAUNCHES[platform],
            "eopf:datatake_id": told["productGroupId"],
            "eopf:datastrip_id": told.get("datastripId", ""),
            "eopf:instrument_mode": told["operationalMode"],
            "eopf:origin_datetime": _date(facts.origin),
            **_ANGLES,
            **self._schemes(),
        }

    def _cover(self) -> dict[str, Any]:
        """Snow cover and class percentages from the product's metadata."""
        if self.product.facts.level != "L2A" or not self.product.has_bytes:
            return {}
        text = self.product.read("MTD_MSIL2A.xml").decode()
        statistics = {name: _percentage(text, element) for name, element in _STATISTICS.items()}
        return {"eo:snow_cover": _percentage(text, "SNOW_ICE"), "statistics": statistics}

    def _schemes(self) -> dict[str, Any]:
        discovery = f"{self.urls.identity}/.well-known/openid-configuration"
        store = {"platform": self.urls.s3, "requester_pays": False, "type": "custom-s3"}
        other = {"platform": "https://eodata.cloudferro.com", "requester_pays": True}
        return {
            "auth:schemes": {
                "s3": {"type": "s3"},
                "oidc": {"type": "openIdConnect", "openIdConnectUrl": discovery},
            },
            "storage:schemes": {
                "cdse-s3": {"title": "Copernicus Data Space Ecosystem S3", **store},
                "creodias-s3": {"title": "CREODIAS S3", **other, "type": "custom-s3"},
            },
        }


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _percentage(text: str, element: str) -> float:
    found = re.search(rf"<{element}_PERCENTAGE>([^<]+)<", text)
    return float(found[1]) if found else 0.0
