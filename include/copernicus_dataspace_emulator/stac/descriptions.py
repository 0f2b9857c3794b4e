"""Landing page, conformance, collections and queryables of the STAC API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from copernicus_dataspace_emulator.stac.item import COLLECTIONS, DATES
from copernicus_dataspace_emulator.stac.search import InvalidSearchError

_TITLES: Final = {
    "sentinel-2-l2a": "Sentinel-2 Level-2A",
    "sentinel-2-l1c": "Sentinel-2 Level-1C",
}
_STAC: Final = "https://api.stacspec.org/v1.0.0"
_CQL2: Final = "http://www.opengis.net/spec/cql2/1.0/conf"
_FEATURES: Final = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
_CONFORMANCE: Final = (
    *(f"{_STAC}/{name}" for name in ("core", "collections", "ogcapi-features", "item-search")),
    *(f"{_STAC}/item-search#{name}" for name in ("fields", "filter", "query", "sort")),
    f"{_STAC}/collection-search",
    *(f"{_CQL2}/{name}" for name in ("cql2-text", "cql2-json", "basic-cql2")),
    *(f"{_FEATURES}/{name}" for name in ("filter", "features-filter")),
)
_NUMBERS: Final = ("eo:cloud_cover", "eo:snow_cover", "gsd", "view:sun_elevation")
_INTEGERS: Final = ("sat:absolute_orbit", "sat:relative_orbit")
_TEXTS: Final = (
    *("id", "collection", "platform", "constellation", "grid:code", "product:type"),
    *("processing:level", "processing:version", "sat:orbit_state", "eopf:datatake_id"),
)
_MOST_COLLECTIONS: Final = 200
_LIMIT: Final = 10

Document = dict[str, Any]


def window(options: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Limit and offset of a list of collections.

    Raises:
        InvalidSearchError: A number is invalid or out of range.
    """
    given = dict(options)
    limit, offset = given.get("limit", str(_LIMIT)), given.get("offset", "0")
    if not limit.isdecimal() or not 0 < int(limit) <= _MOST_COLLECTIONS:
        raise InvalidSearchError(f"limit: Input should be an integer from 1 to {_MOST_COLLECTIONS}")
    if not offset.isdecimal():
        raise InvalidSearchError("offset: Input should be an integer from 0")
    return int(limit), int(offset)


@dataclass(frozen=True, slots=True)
class Descriptions:
    """Documents of the service at a URL."""

    url: str

    def root(self) -> Document:
        """The landing page."""
        search = {
            "type": "application/geo+json",
            "title": "STAC search",
            "href": f"{self.url}/search",
        }
        queryables = {
            **self._link("http://www.opengis.net/def/rel/ogc/1.0/queryables", "queryables"),
            "type": "application/schema+json",
        }
        return {
            "type": "Catalog",
            "id": "stac-fastapi",
            "title": "CDSE STAC API",
            "description": "STAC of a local Copernicus Data Space",
            "stac_version": "1.1.0",
            **self.conformance(),
            "links": [
                self._link("self", ""),
                self._link("root", ""),
                self._link("data", "collections"),
                self._link("conformance", "conformance"),
                queryables,
                *(self._link("child", f"collections/{name}") for name in _TITLES),
                *({"rel": "search", "method": method, **search} for method in ("GET", "POST")),
            ],
        }

    def conformance(self) -> Document:
        """The conformance classes."""
        return {"conformsTo": list(_CONFORMANCE)}

    def collections(self, limit: int, offset: int) -> Document:
        """A page of collections, with links."""
        names = list(COLLECTIONS.values())
        shown = [self.collection(name) for name in names[offset : offset + limit]]
        links = [self._link("root", ""), self._link("self", "collections")]
        if offset + limit < len(names):
            links.append(self._link("next", f"collections?limit={limit}&offset={offset + limit}"))
        return {"collections": shown, "links": links, "numberReturned": len(shown)}

    def collection(self, name: str) -> Document:
        """One collection."""
        return {
            "type": "Collection",
            "id": name,
            "title": _TITLES[name],
            "description": _TITLES[name],
            "license": "other",
            "stac_version": "1.1.0",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]},
            },
            "links": [
                self._link("items", f"collections/{name}/items"),
                self._link("parent", ""),
                self._link("root", ""),
                self._link("self", f"collections/{name}"),
            ],
        }

    def queryables(self, collection: str) -> Document:
        """The queryables of one or all collections; other properties are accepted too."""
        place = f"collections/{collection}/queryables" if collection else "queryables"
        kinds = {
            **{name: {"type": "string"} for name in _TEXTS},
            **{name: {"type": "string", "format": "date-time"} for name in DATES},
            **{name: {"type": "number"} for name in _NUMBERS},
            **{name: {"type": "integer"} for name in _INTEGERS},
        }
        shape = {"geometry": {"$ref": "https://geojson.org/schema/Geometry.json"}}
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{self.url}/{place}",
            "type": "object",
            "title": "STAC Queryables.",
            "properties": {**shape, **kinds},
            "additionalProperties": True,
        }

    def _link(self, relation: str, place: str) -> dict[str, str]:
        return {"rel": relation, "type": "application/json", "href": f"{self.url}/{place}"}
