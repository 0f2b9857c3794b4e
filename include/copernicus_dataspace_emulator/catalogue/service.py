"""The catalogue service: entity sets, single products, attributes, quicklooks, redirects."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from copernicus_dataspace_emulator.catalogue.attributes import ATTRIBUTES, attributes_of
from copernicus_dataspace_emulator.catalogue.pages import (
    InvalidOptionError,
    Lists,
    Query,
    parse_query,
)
from copernicus_dataspace_emulator.catalogue.product_json import asset_id, entity
from copernicus_dataspace_emulator.catalogue.subscription_service import SubscriptionPaths
from copernicus_dataspace_emulator.catalogue.wkt import RefusedError
from copernicus_dataspace_emulator.holdings.rows import Row, Rows
from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import Request, Response, json_response
from copernicus_dataspace_emulator.http.request_rate import Rate

ROOT: Final = "/odata/v1"
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_COMMA_LIST_SINCE: Final = datetime(2024, 9, 24, tzinfo=UTC)
_METHODS: Final = frozenset({"GET", "POST"})


def _detail(message: str) -> dict[str, str]:
    return {"message": message, "request_id": str(uuid.uuid4())}


def _not_found(what: str) -> Response:
    return json_response(404, {"detail": _detail(f"{what} not found.")})


@dataclass(slots=True)
class Catalogue:
    """The service at ``/odata/v1``; URLs are the public ones.

    ``rewritten`` maps product ids to functions that modify the row.
    """

    listed: Rows
    deleted: Rows
    clock: Callable[[], datetime]
    public_url: Callable[[], str]
    download_url: Callable[[], str]
    rewritten: Mapping[str, Callable[[Any], Any]]
    subscriptions: SubscriptionPaths
    rate: Rate | None
    explains_errors: bool
    name: str = "catalogue"
    _lists: Lists = field(init=False)

    def __post_init__(self) -> None:
        self._lists = Lists(self.clock)

    def answer(self, request: Request) -> Response:
        """Route a request; errors become the service's error bodies."""
        if not request.headers.get("User-Agent"):
            return gateway.page(403)
        if self.rate is not None and not self.rate.take():
            return self.refusal(429)
        path = request.path.removeprefix(ROOT + "/")
        try:
            return self.subscriptions.answer(request, path) or self._route(request, path)
        except InvalidOptionError as error:
            return json_response(422, {"detail": [error.detail]})
        except RefusedError as error:
            detail = _detail(str(error)) if self.explains_errors else str(error)
            return json_response(error.status, {"detail": detail})

    def refusal(self, status: int) -> Response:
        """Return an error in this service's format, or the gateway's page."""
        if status in gateway.AWAY:
            return gateway.page(status)
        return json_response(status, {"detail": _detail(f"HTTP {status}")})

    def _route(self, request: Request, path: str) -> Response:
        if request.method not in _METHODS:
            return self.refusal(405)
        if request.method == "POST":
            known = path == "Products/OData.CSC.FilterList"
            return self._named(request) if known else self.refusal(405)
        if path in {"Products", "DeletedProducts"}:
            return self._list(path, request)
        if path == "Attributes":
            return json_response(200, _attribute_list(ATTRIBUTES))
        single = re.fullmatch(r"(Products|Assets|Attributes)\(([^/]*)\)(?:/(.+))?", path)
        if single is None or path == request.path:
            return _not_found("Resource")
        return self._single(request, single[1], single[2], single[3] or "")

    def _single(self, request: Request, kind: str, key: str, rest: str) -> Response:
        if kind == "Attributes":
            known = None if rest else attributes_of(key)
            if known is None:
                return _not_found(f"Collection {key}")
            return json_response(200, _attribute_list(known))
        if _ID.fullmatch(key) is None:
            raise InvalidOptionError(
                {
                    "type": "uuid_parsing",
                    "loc": ["path", "id"],
                    "msg": "Input should be a valid UUID",
                    "input": key,
                }
            )
        if kind == "Assets":
            return self._quicklook(key) if rest == "$value" else _not_found("Resource")
        if rest:
            if rest != "$value" and not rest.startswith("Nodes"):
                return _not_found("Resource")
            query = f"?{request.query}" if request.query else ""
            target = f"{self.download_url()}/Products({key})/{rest}{query}"
            return Response(301, headers={"Location": target})
        return self._product(request, key)

    def _list(self, listing: str, request: Request) -> Response:
        query = parse_query(request.options, listing)
        rows = self.listed if listing == "Products" else self.deleted
        page = self._lists.page(rows, query, listing)
        document = self._document(listing, page.rows, query)
        if query.count:
            document["@odata.count"] = page.total
        document["value"] = document.pop("value")
        if page.announced:
            document["@odata.nextLink"] = query.next_link(f"{self.public_url()}/{listing}")
        return json_response(200, document)

    def _document(self, listing: str, rows: list[Row], query: Query) -> dict[str, Any]:
        now = self.clock()
        return {
            "@odata.context": f"$metadata#{listing}{_expanded(query, now)}",
            "value": [self._row(row, now, query) for row in rows],
        }

    def _row(self, row: Row, now: datetime, query: Query) -> Any:
        document = entity(row, now, self.public_url(), query.expand, query.select)
        return self.rewritten.get(row.product.id, _as_it_is)(document)

    def _product(self, request: Request, key: str) -> Response:
        query = parse_query(request.options, "Products")
        row = self.listed.find(key.lower())
        if row is None or row.product.facts.published > self.clock():
            return _not_found(f"Product with id {key}")
        now = self.clock()
        document = self._row(row, now, query)
        if isinstance(document, dict):
            context = f"$metadata#Products{_expanded(query, now)}/$entity"
            document = {"@odata.context": context, **document}
        return json_response(200, document)

    def _quicklook(self, key: str) -> Response:
        for row in self.listed.all():
            if asset_id(row.product) == key.lower():
                return Response(200, row.product.quicklook(), {"Content-Type": "image/jpeg"})
        return _not_found(f"Asset with id {key}")

    def _named(self, request: Request) -> Response:
        query = parse_query(request.options, "Products")
        try:
            names = {str(wanted["Name"]) for wanted in json.loads(request.body)["FilterProducts"]}
        except (ValueError, KeyError, TypeError) as error:
            detail = {"type": "missing", "loc": ["body", "FilterProducts"], "msg": "Field required"}
            raise InvalidOptionError({**detail, "input": None}) from error
        now = self.clock()
        rows = [
            row
            for row in self.listed.all()
            if row.product.name in names and row.product.facts.published <= now
        ]
        return json_response(200, self._document("Products", rows, query))


def _as_it_is(row: Any) -> Any:
    return row


def _expanded(query: Query, now: datetime) -> str:
    names = [f"{name}()" for name in dict.fromkeys(query.expand)]
    if now < _COMMA_LIST_SINCE:
        return "".join(f"({name})" for name in names)
    return f"({','.join(names)})" if names else ""


def _attribute_list(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "ValueType": kind} for name, kind in attributes.items()]
