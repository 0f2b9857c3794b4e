"""The STAC service: landing page, two collections, items and search; needs no account.

The body of a 429, the maximum page size and the response to an invalid token are undocumented and
guessed.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from copernicus_dataspace_emulator.holdings.rows import Row, Rows
from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import Request, Response, json_response
from copernicus_dataspace_emulator.http.request_rate import Rate
from copernicus_dataspace_emulator.stac.assets import Addresses
from copernicus_dataspace_emulator.stac.cql_text import CqlError
from copernicus_dataspace_emulator.stac.descriptions import Descriptions, window
from copernicus_dataspace_emulator.stac.fields import Fields, shown
from copernicus_dataspace_emulator.stac.item import COLLECTIONS, Item
from copernicus_dataspace_emulator.stac.options import from_body, from_query
from copernicus_dataspace_emulator.stac.search import InvalidSearchError, listed

ROOT: Final = "/v1"
_GEOJSON: Final = "application/geo+json"
_SCHEMA: Final = "application/schema+json"
_RETRY_AFTER_S: Final = "2"
_KEPT_ITEMS: Final = 2000
_ERRORS: Final = {
    400: ("RequestValidationError", "Bad request"),
    404: ("NotFoundError", "Not found"),
    422: ("RequestValidationError", "Unprocessable"),
    500: ("InternalServerError", "Internal server error"),
}


@dataclass(slots=True)
class Stac:
    """The service at ``/v1``; ``rate`` None is unlimited."""

    listed: Rows
    clock: Callable[[], datetime]
    urls: Callable[[], Addresses]
    rate: Rate | None
    name: str = "stac"
    _items: dict[str, Item] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        """Route a request."""
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
        except (InvalidSearchError, CqlError) as error:
            return _error(400, "RequestValidationError", str(error))

    def refusal(self, status: int) -> Response:
        """Return an error in this service's format, or the gateway's page."""
        if status in gateway.AWAY:
            return gateway.page(status)
        if status in _ERRORS:
            return _error(status, *_ERRORS[status])
        return json_response(status, {"detail": f"HTTP {status}"})

    def _route(self, request: Request, path: str) -> Response:
        about = Descriptions(self.urls().stac)
        if not path:
            return json_response(200, about.root())
        if path == "/conformance":
            return json_response(200, about.conformance())
        if path == "/queryables":
            return json_response(200, about.queryables(""), {"Content-Type": _SCHEMA})
        if path == "/collections":
            return json_response(200, about.collections(*window(request.options)))
        parts = re.fullmatch(r"/collections/([^/]+)(?:/(items|queryables)(?:/([^/]+))?)?", path)
        if parts is None:
            return json_response(404, {"detail": "Not Found"})
        return self._inside(request, *parts.groups())

    def _inside(
        self, request: Request, collection: str, part: str | None, item: str | None
    ) -> Response:
        if collection not in COLLECTIONS.values():
            return _error(404, "NotFoundError", f"Collection {collection} does not exist.")
        if part == "items":
            return self._item(collection, item) if item else self._search(request, collection)
        about = Descriptions(self.urls().stac)
        if part and not item:
            return json_response(200, about.queryables(collection), {"Content-Type": _SCHEMA})
        if item:
            return json_response(404, {"detail": "Not Found"})
        return json_response(200, about.collection(collection))

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
        page, following = search.page(self.listed, self.clock(), self._of)
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
        """Return the item of a row; some are cached."""
        item = self._items.get(row.product.id)
        if item is None or item.product is not row.product:
            item = self._items[row.product.id] = Item(row.product, self.urls())
            for stale in list(self._items)[:-_KEPT_ITEMS]:
                self._items.pop(stale, None)
        return item

    def _link(self, relation: str, place: str) -> dict[str, Any]:
        href = f"{self.urls().stac}/{place}"
        return {"rel": relation, "type": "application/json", "href": href}


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
