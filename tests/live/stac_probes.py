"""Questions to STAC: items, pages, options of a search, refusals; asked for by anyone."""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests

from copernicus_dataspace.models.time_range import format_instant
from tests.live.catalogue_probes import NO_AGENT
from tests.live.facts import Facts, document
from tests.live.probe import SUCCESS, Probes
from tests.live.visit import Visit

PROBES = Probes("stac")

_COLLECTION: Final = "sentinel-2-l2a"
_CLOUDS: Final = "eo:cloud_cover"


@PROBES.ask("STAC, root")
def root(visit: Visit) -> tuple[requests.Response, Facts]:
    answer = visit.get(visit.url("stac", ""))
    body = document(answer)
    classes = body.get("conformsTo") if isinstance(body, dict) else None
    return answer, {"conforms to": frozenset(map(str, classes or ()))}


@PROBES.ask("STAC, item")
def item(visit: Visit) -> requests.Response:
    return visit.get(_place(visit, visit.product.stem))


@PROBES.ask("STAC, unknown item")
def unknown_item(visit: Visit) -> requests.Response:
    return visit.get(_place(visit, "no-such-item"))


@PROBES.ask("STAC, files of a product, as the client asks", SUCCESS)
def files(visit: Visit) -> requests.Response:
    fields = {"include": ["id", "assets.SCL_20m"]}
    return _search(visit, ids=[visit.product.stem], fields=fields, limit=1)


@PROBES.ask("STAC, page of a search", SUCCESS)
def page(visit: Visit) -> tuple[requests.Response, Facts]:
    answer = _search(visit, datetime=_recently(visit), limit=1)
    return answer, {"next": _next(answer)}


@PROBES.ask("STAC, page of a search by GET")
def page_by_get(visit: Visit) -> tuple[requests.Response, Facts]:
    options = {"collections": _COLLECTION, "datetime": _recently(visit), "limit": "1"}
    answer = visit.get(visit.url("stac", "search"), params=options)
    return answer, {"next": _next(answer)}


@PROBES.ask("STAC, unknown collection")
def unknown_collection(visit: Visit) -> requests.Response:
    return _search(visit, collections=["SENTINEL-2"], limit=1)


@PROBES.ask("STAC, limit=100000")
def limit_too_large(visit: Visit) -> requests.Response:
    return _search(visit, ids=[visit.product.stem], limit=100_000)


@PROBES.ask("STAC, sortby")
def sortby(visit: Visit) -> requests.Response:
    order = [{"field": "properties.datetime", "direction": "asc"}]
    return _search(visit, datetime=_recently(visit), sortby=order, limit=1)


@PROBES.ask("STAC, query")
def query(visit: Visit) -> requests.Response:
    return _search(visit, ids=[visit.product.stem], query={_CLOUDS: {"lte": 100}}, limit=1)


@PROBES.ask("STAC, filter")
def cql2(visit: Visit) -> requests.Response:
    clear = {"op": "<=", "args": [{"property": _CLOUDS}, 100]}
    return _search(
        visit, ids=[visit.product.stem], filter=clear, **{"filter-lang": "cql2-json"}, limit=1
    )


@PROBES.ask("STAC, no User-Agent")
def no_agent(visit: Visit) -> requests.Response:
    return visit.get(_place(visit, visit.product.stem), headers=NO_AGENT)


def _place(visit: Visit, name: str) -> str:
    return visit.url("stac", f"collections/{_COLLECTION}/items/{name}")


def _recently(visit: Visit) -> str:
    """Return the interval around the product, of which another one may be a page's second."""
    sensed, day = visit.product.sensed, timedelta(days=1)
    return f"{format_instant(sensed - day)}/{format_instant(sensed + day)}"


def _search(visit: Visit, **body: Any) -> requests.Response:
    asked = {"collections": [_COLLECTION], **body}
    return visit.send("POST", visit.url("stac", "search"), json=asked)


def _next(answer: requests.Response) -> str:
    """Return how the next page is to be asked for: by which method, with what of its own."""
    body = document(answer)
    links = body.get("links", ()) if isinstance(body, dict) else ()
    for link in links:
        if isinstance(link, dict) and link.get("rel") == "next":
            own = {*parse_qs(urlsplit(str(link.get("href"))).query), *(link.get("body") or ())}
            return f"{link.get('method')} with {', '.join(sorted(own))}"
    return "none"
