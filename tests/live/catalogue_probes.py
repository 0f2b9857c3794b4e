"""Questions to the catalogue: pages, refusals, dates as they may be written, deleted products."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import requests
from urllib3.util import SKIP_HEADER

from copernicus_dataspace.models.time_range import format_instant
from tests.live.facts import Facts, document
from tests.live.probe import REFUSED_QUESTION, SUCCESS, Probes
from tests.live.visit import COLLECTION, LEVEL, UNKNOWN_ID, Visit

PROBES = Probes("catalogue")

NO_AGENT: Final = {"User-Agent": SKIP_HEADER}
"""A request without the header, which else urllib3 would add."""

_PAGE: Final = 20
_FEW: Final = 5
_EAST: Final = timezone(timedelta(hours=2))


@PROBES.ask("search page", SUCCESS)
def search_page(visit: Visit) -> tuple[requests.Response, Facts]:
    page = document(visit.search)
    if not isinstance(page, dict):
        return visit.search, {}
    link = visit.clean(str(page.get("@odata.nextLink", "none")))
    attributes = (one for row in page.get("value", ()) for one in row.get("Attributes", ()))
    return visit.search, {
        "nextLink": _without_filter(link),
        "attributes": frozenset(f"{one.get('Name')}:{one.get('ValueType')}" for one in attributes),
    }


@PROBES.ask("one product")
def one_product(visit: Visit) -> requests.Response:
    expand = [("$expand", name) for name in ("Attributes", "Assets", "Locations")]
    return visit.get(visit.url("catalogue", f"Products({visit.product.id})"), params=expand)


@PROBES.ask("search, $top=1001", REFUSED_QUESTION)
def top_too_large(visit: Visit) -> requests.Response:
    return _search(visit, **{"$filter": COLLECTION, "$top": "1001"})


@PROBES.ask("search, $skip=10001", REFUSED_QUESTION)
def skip_too_large(visit: Visit) -> requests.Response:
    return _search(visit, **{"$filter": COLLECTION, "$skip": "10001"})


@PROBES.ask("search, syntax error", REFUSED_QUESTION)
def syntax_error(visit: Visit) -> requests.Response:
    moment = "datetime'2024-01-01T00:00:00.000Z'"
    return _search(visit, **{"$filter": f"{COLLECTION} and ContentDate/Start ge {moment}"})


@PROBES.ask("search, unknown field in $select", REFUSED_QUESTION)
def unknown_field(visit: Visit) -> requests.Response:
    options = {"$filter": f"{COLLECTION} and Id eq {UNKNOWN_ID}", "$select": "OrbitNumber"}
    return _search(visit, **options)


@PROBES.ask("search, unknown collection", REFUSED_QUESTION)
def unknown_collection(visit: Visit) -> requests.Response:
    options = {"$filter": f"Collection/Name eq 'Sentinel2' and Id eq {UNKNOWN_ID}", "$top": "1"}
    return _search(visit, **options)


@PROBES.ask("one product, unknown id")
def unknown_in_catalogue(visit: Visit) -> requests.Response:
    return visit.get(visit.url("catalogue", f"Products({UNKNOWN_ID})"))


@PROBES.ask("bytes asked of the catalogue")
def redirect(visit: Visit) -> requests.Response:
    return visit.get(visit.url("catalogue", f"Products({visit.product.id})/$value"))


@PROBES.ask("search, no User-Agent")
def no_agent(visit: Visit) -> requests.Response:
    options = {"$filter": f"{COLLECTION} and Id eq {UNKNOWN_ID}"}
    return visit.get(visit.url("catalogue", "Products"), params=options, headers=NO_AGENT)


@PROBES.ask("two pages, no $orderby")
def unordered_pages(visit: Visit) -> tuple[requests.Response, Facts]:
    """Tell whether rows without an order have one all the same, or are given twice."""
    day = _day_of(visit)
    sensed = f"ContentDate/Start ge {format_instant(day)}"
    sensed += f" and ContentDate/Start lt {format_instant(day + timedelta(days=1))}"
    options = {"$filter": f"{COLLECTION} and {LEVEL} and {sensed}", "$top": str(_PAGE)}
    first, second = _search(visit, **options), _search(visit, **options, **{"$skip": str(_PAGE)})
    rows = [*_rows(first), *_rows(second)]
    ids = [row.get("Id") for row in rows]
    repeated = "some" if len(set(ids)) < len(ids) else "none"
    return second, {"order": _order(rows), "rows given twice": repeated}


def _ask_by_date(name: str, form: str, accepted: tuple[str, ...]) -> None:
    """Add a probe that asks for the product by the midnight before it, written in one way."""

    @PROBES.ask(f"search, date {name}", accepted)
    def by_date(visit: Visit) -> tuple[requests.Response, Facts]:
        day = _day_of(visit)
        since = form.format(day, day.astimezone(_EAST))
        text = f"{COLLECTION} and Id eq {visit.product.id} and ContentDate/Start ge {since}"
        answer = _search(visit, **{"$filter": text})
        return answer, {"found": str(len(_rows(answer)))} if answer.ok else {}


_ask_by_date("as the client writes it", "{0:%Y-%m-%dT%H:%M:%S.000Z}", SUCCESS)
_ask_by_date("without fraction", "{0:%Y-%m-%dT%H:%M:%SZ}", ())
_ask_by_date("with microseconds", "{0:%Y-%m-%dT%H:%M:%S.000000Z}", ())
_ask_by_date("without zone", "{0:%Y-%m-%dT%H:%M:%S}", ())
_ask_by_date("of another zone", "{1:%Y-%m-%dT%H:%M:%S+02:00}", ())
_ask_by_date("without seconds", "{0:%Y-%m-%dT%H:%MZ}", ())
_ask_by_date("without time", "{0:%Y-%m-%d}", ())
_ask_by_date("in quotes", "'{0:%Y-%m-%dT%H:%M:%S.000Z}'", ())


@PROBES.ask("deleted products", SUCCESS)
def deleted(visit: Visit) -> tuple[requests.Response, Facts]:
    options = {
        "$filter": COLLECTION,
        "$orderby": "DeletionDate desc",
        "$top": str(_FEW),
        "$expand": "Attributes",
    }
    answer = visit.get(visit.url("catalogue", "DeletedProducts"), params=options)
    causes = frozenset(str(row.get("DeletionCause")) for row in _rows(answer))
    return answer, {"causes": causes} if causes else {}


@PROBES.ask("deleted products, by time of deletion", SUCCESS)
def deleted_since(visit: Visit) -> requests.Response:
    since = format_instant(visit.now - timedelta(days=30))
    text = f"{COLLECTION} and DeletionDate ge {since}"
    options = {"$filter": text, "$orderby": "DeletionDate", "$top": "1"}
    return visit.get(visit.url("catalogue", "DeletedProducts"), params=options)


@PROBES.ask("deleted products, by time of publication", REFUSED_QUESTION)
def deleted_by_publication(visit: Visit) -> requests.Response:
    options = {"$filter": COLLECTION, "$orderby": "PublicationDate", "$top": "1"}
    return visit.get(visit.url("catalogue", "DeletedProducts"), params=options)


def _search(visit: Visit, **options: str) -> requests.Response:
    return visit.get(visit.url("catalogue", "Products"), params=options)


def _day_of(visit: Visit) -> datetime:
    """Return the midnight, in UTC, before the product was sensed."""
    return visit.product.sensed.replace(hour=0, minute=0, second=0, microsecond=0)


def _rows(answer: requests.Response) -> list[dict[str, Any]]:
    page = document(answer)
    rows = page.get("value") if isinstance(page, dict) else None
    return [row for row in rows or () if isinstance(row, dict)]


def _order(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what rows are in order of; dates of one form are in order as texts."""
    values = {name: [str(row.get(name)) for row in rows] for name in ("Id", "PublicationDate")}
    values["ContentDate/Start"] = [str((row.get("ContentDate") or {}).get("Start")) for row in rows]
    for name, listed in values.items():
        for way, wanted in (("asc", sorted(listed)), ("desc", sorted(listed, reverse=True))):
            if len(set(listed)) > 1 and listed == wanted:
                return f"{name} {way}"
    return "none that is known"


def _without_filter(link: str) -> str:
    """Return a link with its options sorted, and without the question they ask."""
    address, _, query = link.partition("?")
    options = sorted(one for one in query.split("&") if one)
    shown = [f"{one.split('=')[0]}=…" if "filter=" in one else one for one in options]
    return f"{address}?{'&'.join(shown)}" if shown else address
