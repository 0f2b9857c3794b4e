"""The STAC service: root, two collections, items and the search, for anyone.

Knows routes and envelopes. Not recorded, and therefore guessed: the body of a 429, the largest
page, the answer to a token that names no item.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from dataspace_emulator.rate import Rate
from dataspace_emulator.rows import Row, Rows
from dataspace_emulator.stac_assets import Addresses
from dataspace_emulator.stac_fields import Fields, shown
from dataspace_emulator.stac_item import COLLECTIONS, Item
from dataspace_emulator.stac_search import (
    InvalidSearchError,
    from_body,
    from_query,
    listed,
)
from dataspace_emulator.wire import Request, Response, json_response

ROOT: Final = "/v1"
_GEOJSON: Final = "application/geo+json"
_RETRY_AFTER_S: Final = "2"
_KEPT_ITEMS: Final = 2000
_TITLES: Final = {"L2A": "Sentinel-2 Level-2A", "L1C": "Sentinel-2 Level-1C"}
_CONFORMANCE: Final = (
    *("core", "collections", "ogcapi-features", "item-search", "item-search#fields"),
    "collection-search",
)
_ERRORS: Final = {
    400: ("RequestValidationError", "Bad request"),
    404: ("NotFoundError", "Not found"),
    422: ("RequestValidationError", "Unprocessable"),
    500: ("InternalServerError", "Internal server error"),
}


@dataclass(slots=True)
class Stac:
    """Answers below ``/v1``; ``rate`` None takes any number of requests."""

    listed: Rows
    clock: Callable[[], datetime]
    urls: Callable[[], Addresses]
    rate: Rate | None
    name: str = "stac"
    _items: dict[str, Item] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        """Route one request."""
        if self.rate is not None and not self.rate.take():
            response = self.refusal(HTTPStatus.TOO_MANY_REQUESTS)
            response.headers["Retry-After"] = _RETRY_AFTER_S
            return response
        path = request.path.removeprefix(ROOT).rstrip("/")
        if not request.path.startswith(ROOT):
            return json_response(404, {"detail": "Not Found"})
        if request.method != "GET" and (request.method, path) != ("POST", "/search"):
            return self.refusal(405)
        try:
            return self._search(request) if path == "/search" else self._route(request, path)
        except InvalidSearchError as error:
            return _error(400, "RequestValidationError", str(error))

    def refusal(self, status: int) -> Response:
        """An error in this service's envelope."""
        if status in _ERRORS:
            return _error(status, *_ERRORS[status])
        return json_response(status, {"detail": f"HTTP {status}"})

    def _route(self, request: Request, path: str) -> Response:
        if not path:
            return json_response(200, self._root())
        if path == "/collections":
            every = [self._collection(level) for level in COLLECTIONS]
            links = [self._link("root", ""), self._link("self", "collections")]
            document = {"collections": every, "links": links, "numberReturned": len(every)}
            return json_response(200, document)
        parts = re.fullmatch(r"/collections/([^/]+)(?:(/items)(?:/([^/]+))?)?", path)
        if parts is None:
            return json_response(404, {"detail": "Not Found"})
        return self._inside(request, *parts.groups())

    def _inside(
        self, request: Request, collection: str, items: str | None, item: str | None
    ) -> Response:
        level = next((level for level, name in COLLECTIONS.items() if name == collection), None)
        if level is None:
            return _error(404, "NotFoundError", f"Collection {collection} does not exist.")
        if item:
            return self._item(collection, item)
        if items:
            return self._search(request, collection)
        return json_response(200, self._collection(level))

    def _item(self, collection: str, name: str) -> Response:
        now = self.clock()
        for row in reversed(self.listed.named(f"{name}.SAFE")):
            if COLLECTIONS[row.product.facts.level] == collection and listed(row, now):
                document = shown(self._of(row), Fields())
                return json_response(200, document, {"Content-Type": _GEOJSON})
        message = f"Item {name} in Collection {collection} does not exist."
        return _error(404, "NotFoundError", message)

    def _search(self, request: Request, collection: str = "") -> Response:
        options = request.options
        body: dict[str, Any] = {}
        if request.method == "POST":
            body = _body(request)
            search = from_body(body)
        else:
            given = [*options, ("collections", collection)] if collection else options
            search = from_query(given)
        page, following = search.page(self.listed, self.clock())
        features = [shown(self._of(row), search.fields) for row in page]
        place = request.path.removeprefix(f"{ROOT}/")
        links = [self._link("root", ""), self._link("self", place)]
        if following:
            links.append(self._next(request, place, body, following))
        document = {
            "type": "FeatureCollection",
            "features": features,
            "links": links,
            "numberReturned": len(features),
        }
        return json_response(200, document, {"Content-Type": _GEOJSON})

    def _next(
        self, request: Request, place: str, body: dict[str, Any], token: str
    ) -> dict[str, Any]:
        link: dict[str, Any] = {"rel": "next", "type": _GEOJSON, "method": request.method}
        href = f"{self.urls().stac}/{place}"
        if request.method == "POST":
            return {**link, "href": href, "body": {**body, "token": token}}
        kept = [pair for pair in request.options if pair[0] != "token"]
        return {**link, "href": f"{href}?{urlencode([*kept, ('token', token)])}"}

    def _of(self, row: Row) -> Item:
        """The item of a row; some are kept, because they are asked for again."""
        item = self._items.get(row.product.id)
        if item is None:
            item = self._items[row.product.id] = Item(row.product, self.urls())
            for stale in list(self._items)[:-_KEPT_ITEMS]:
                self._items.pop(stale, None)
        return item

    def _link(self, relation: str, place: str) -> dict[str, Any]:
        href = f"{self.urls().stac}/{place}"
        return {"rel": relation, "type": "application/json", "href": href}

    def _root(self) -> dict[str, Any]:
        search = {"type": _GEOJSON, "title": "STAC search", "href": f"{self.urls().stac}/search"}
        return {
            "type": "Catalog",
            "id": "stac-fastapi",
            "title": "CDSE STAC API",
            "description": "STAC of a local Copernicus Data Space",
            "stac_version": "1.1.0",
            "conformsTo": [f"https://api.stacspec.org/v1.0.0/{name}" for name in _CONFORMANCE],
            "links": [
                self._link("self", ""),
                self._link("root", ""),
                self._link("data", "collections"),
                *(self._link("child", f"collections/{name}") for name in COLLECTIONS.values()),
                *({"rel": "search", "method": method, **search} for method in ("GET", "POST")),
            ],
        }

    def _collection(self, level: str) -> dict[str, Any]:
        name = COLLECTIONS[level]
        return {
            "type": "Collection",
            "id": name,
            "title": _TITLES[level],
            "description": _TITLES[level],
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


def _error(status: int, code: str, description: str) -> Response:
    return json_response(status, {"code": code, "description": description})


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise InvalidSearchError("body: JSON decode error") from error
    if not isinstance(body, dict):
        raise InvalidSearchError("body: Input should be an object")
    return body
