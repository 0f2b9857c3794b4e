"""Faults in pages of the catalogue and of STAC."""

import json
from typing import Any

from copernicus_dataspace_emulator.http.messages import Request

Document = dict[str, Any]


def spoil(document: Document, kind: str, at: float, request: Request) -> None:
    """Modify a page in place; ``at`` is the fraction of rows that a partial page keeps."""
    name = "features" if document.get("type") == "FeatureCollection" else "value"
    rows = document.get(name, [])
    if kind == "repeated_rows":
        half = len(rows) // 2
        document[name] = [*rows[: len(rows) - half], *rows[:half]]
    elif kind == "partial_page":
        document[name] = rows[: int(len(rows) * at)]
        _lead(document, name, None)
    elif kind == "next_link_loop":
        _lead(document, name, _here(request))
    else:
        document.pop(name, None)


def _here(request: Request) -> Document:
    """Return a link to the page itself."""
    query = f"?{request.query}" if request.query else ""
    href = f"http://{request.headers.get('Host', '')}{request.path}{query}"
    link = {"rel": "next", "method": request.method, "href": href}
    return {**link, "body": json.loads(request.body)} if request.method == "POST" else link


def _lead(document: Document, name: str, link: Document | None) -> None:
    """Set or remove the next link of a page."""
    if name == "features":
        kept = [one for one in document.get("links", []) if one["rel"] != "next"]
        document["links"] = kept if link is None else [*kept, link]
    elif link is None:
        document.pop("@odata.nextLink", None)
    else:
        document["@odata.nextLink"] = link["href"]
