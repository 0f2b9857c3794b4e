"""The download service: whole products, node listings, and single files.

Checks requests in the same order as the service.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from copernicus_dataspace_emulator.download.errors import Cause, Errors
from copernicus_dataspace_emulator.download.transfer_limits import Lanes
from copernicus_dataspace_emulator.holdings.rows import Rows
from copernicus_dataspace_emulator.http.byte_ranges import UnsatisfiableError, partial
from copernicus_dataspace_emulator.http.messages import (
    Payload,
    Request,
    Response,
    json_response,
    size_of,
)
from copernicus_dataspace_emulator.identity.tokens import Tokens, Verdict
from copernicus_dataspace_emulator.products.product import Product

RANGES: Final = frozenset({"ignored", "honoured", "refused", "unsatisfiable"})
_PATH: Final = re.compile(r"/odata/v1/Products\(([^/]*)\)((?:/Nodes\([^/]*\))*)/(\$value|Nodes)")
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NODE: Final = re.compile(r"Nodes\(([^/]*)\)")
_REFUSALS: Final[dict[Verdict, Cause]] = {
    "unknown": "no token",
    "expired": "expired",
    "wrong audience": "audience",
}


@dataclass(frozen=True, slots=True)
class Download:
    """The service at ``/odata/v1``; HEAD is refused.

    ``ranges`` is the response to Range: "ignored" (without an ETag), "honoured", "refused" with
    501, or always "unsatisfiable".
    """

    listed: Rows
    tokens: Tokens
    lanes: Lanes
    clock: Callable[[], datetime]
    public_url: Callable[[], str]
    ranges: str
    errors: Errors
    cuts_at_expiry: bool
    name: str = "download"

    def __post_init__(self) -> None:
        if self.ranges not in RANGES:
            raise ValueError(f"Unknown ranges {self.ranges!r}: {sorted(RANGES)}")

    def answer(self, request: Request) -> Response:
        """Route a request."""
        if request.method != "GET":
            return Response(405, headers={"Allow": "GET"})
        match = _PATH.fullmatch(request.path)
        if match is None:
            return self.errors.because("bad path")
        product_id, nodes, last = match.groups()
        if _ID.fullmatch(product_id) is None:
            return self.errors.because("bad id")
        names = _NODE.findall(nodes)
        if any(not name or name[0] in "'\"" for name in names):
            return self.errors.because("bad path")
        product = self._find(product_id)
        if last == "Nodes":
            return self._nodes(product, product_id, names)
        return self._authorised(request, product, names)

    def refusal(self, status: int) -> Response:
        """Return an error in this service's format."""
        return self.errors.of(status)

    def _find(self, product_id: str) -> Product | None:
        row = self.listed.find(product_id.lower())
        if row is None or row.product.facts.published > self.clock():
            return None
        return row.product

    def _nodes(self, product: Product | None, product_id: str, names: list[str]) -> Response:
        if product is None or not product.is_offered:
            return self.errors.because(_absence(product))
        content, path = product.content, "/".join(names[1:])
        if not names:
            children: dict[str, tuple[int, int]] | None = {
                content.top: (0, len(content.children("") or {}))
            }
        else:
            children = content.children(path) if names[0] == content.top else None
        if children is None:
            return self.errors.because("no file")
        here = "".join(f"/Nodes({quote(name)})" for name in names)
        base = f"{self.public_url()}/Products({product_id}){here}"
        rows = [
            {
                "Id": name,
                "Name": name,
                "ContentLength": size,
                "ChildrenNumber": below,
                "Nodes": {"uri": f"{base}/Nodes({quote(name)})/Nodes"},
            }
            for name, (size, below) in children.items()
        ]
        return json_response(200, {"result": rows})

    def _authorised(self, request: Request, product: Product | None, names: list[str]) -> Response:
        verdict, account = self.tokens.judge(request.token, request.flaw)
        if verdict != "valid":
            return self.errors.because(_REFUSALS[verdict])
        if product is None or not product.is_offered:
            return self.errors.because(_absence(product))
        response = self._bytes(request, product, names)
        if response.status >= HTTPStatus.BAD_REQUEST:
            return response
        if self.cuts_at_expiry:
            response.until = self.tokens.expiry(request.token)
        return response if self.lanes.enter(account, response) else self.errors.because("too many")

    def _bytes(self, request: Request, product: Product, names: list[str]) -> Response:
        payload = _payload(product, names)
        if payload is None:
            return self.errors.because("no file")
        file_name = names[-1] if names else f"{product.name}.zip"
        headers = {
            "Content-Type": "application/octet-stream" if names else "application/zip",
            "Content-Disposition": f"attachment; filename={file_name}",
        }
        response = Response(200, payload, headers)
        return self._ranged(request, product, names, response) or response

    def _ranged(
        self, request: Request, product: Product, names: list[str], response: Response
    ) -> Response | None:
        """Add a validator and apply the Range header, or refuse it."""
        if self.ranges == "ignored":
            return None
        about = f"{product.id}/{'/'.join(names)}/{size_of(response.payload)}".encode()
        response.headers["ETag"] = f'"{hashlib.md5(about, usedforsecurity=False).hexdigest()}"'
        part = "Range" in request.headers and request.flaw != "whole"
        if self.ranges == "refused":
            return self.refusal(501) if part else None
        if self.ranges == "unsatisfiable":
            return self._unsatisfiable(size_of(response.payload)) if part else None
        response.headers["Accept-Ranges"] = "bytes"
        try:
            partial(request, response)
        except UnsatisfiableError as error:
            return self._unsatisfiable(error.size)
        return None

    def _unsatisfiable(self, size: int) -> Response:
        refused = self.refusal(416)
        refused.headers["Content-Range"] = f"bytes */{size}"
        return refused


def _absence(product: Product | None) -> Cause:
    """Return the cause why a product cannot be downloaded."""
    if product is None:
        return "unknown product"
    return "no file" if product.facts.online is not False else "offline"


def _payload(product: Product, names: list[str]) -> Payload | None:
    """Return the zip, or the file at a path of nodes; None if it does not exist."""
    content = product.content
    if not names:
        return content.whole()
    path = "/".join(names[1:])
    if names[0] != content.top or path not in content.members:
        return None
    return content.payload(path)
