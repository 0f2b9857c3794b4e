"""Kinds of scripted faults, each a short function.

A kind receives the fault and the request; most modify the service's response. Kinds that only the
service can implement mark the request.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from copernicus_dataspace_emulator.faults.pages import spoil
from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import (
    Request,
    Response,
    Service,
    cut,
    read,
    size_of,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A scripted fault of a service.

    ``times`` None means always; ``skip`` is a number of matching requests to skip first;
    ``match`` is a substring of the decoded ``path?query``, or a regular expression for it;
    ``at`` is a position in the body as a fraction, ``seconds`` the length of a stall,
    ``bytes_per_s`` the speed of a trickle, ``retry_after`` seconds or an HTTP date, ``patch`` the
    members of a page that are replaced. A "status" has the error body of the service, 502 to 504
    that of the gateway, like any status of kind "gateway". Kinds that begin with ``range_`` apply
    only to requests with a Range.
    """

    service: str
    kind: str = "status"
    status: int = 500
    times: int | None = 1
    skip: int = 0
    match: str = ""
    retry_after: int | str | None = None
    at: float = 0.5
    seconds: float = 1.0
    bytes_per_s: float = 100.0
    location: str = "http://127.0.0.1:9/elsewhere"
    patch: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown fault kind {self.kind!r}: one of {', '.join(sorted(KINDS))}")
        if self.service not in {"identity", "catalogue", "download", "stac", "s3"}:
            raise ValueError(f"Unknown service {self.service!r}")

    def befalls(self, service: str, request: Request) -> bool:
        """Tell whether this fault applies to the request."""
        if self.kind.startswith("range_") and "Range" not in request.headers:
            return False
        target = f"{request.path}?{'&'.join('='.join(pair) for pair in request.options)}"
        if service != self.service or self.match in target:
            return service == self.service
        try:
            return re.search(self.match, target) is not None
        except re.error:  # a plain substring, such as "Nodes("
            return False


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its service."""

    service: Service
    request: Request

    def proceed(self) -> Response:
        """Return the service's normal response."""
        return self.service.answer(self.request)


Kind = Callable[[Fault, Call], Response]


def _status(fault: Fault, call: Call) -> Response:
    return _later(call.service.refusal(fault.status), fault)


def _gateway(fault: Fault, _call: Call) -> Response:
    return _later(gateway.page(fault.status), fault)


def _later(response: Response, fault: Fault) -> Response:
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _reset(_fault: Fault, _call: Call) -> Response:
    return Response(0, silent=True, reset=True)


def _cut_short(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.stop_at = int(size_of(response.payload) * fault.at)
    response.reset = fault.kind == "reset_body"
    return response


def _short_length(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.payload = cut(response.payload, 0, int(size_of(response.payload) * fault.at))
    return response


def _flip(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    body = bytearray(read(response.payload))
    if body:
        body[min(int(len(body) * fault.at), len(body) - 1)] ^= 1
    response.payload = bytes(body)
    return response


def _zeros(_fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.payload = bytes(size_of(response.payload))
    return response


def _replaced(body: bytes, content_type: str) -> Kind:
    def answer(_fault: Fault, _call: Call) -> Response:
        return Response(200, body, {"Content-Type": content_type})

    return answer


def _blocked(fault: Fault, _call: Call) -> Response:
    page = (
        b"<html><body>Sorry, client: you have been blocked. Session limit exceeded.</body></html>"
    )
    return Response(fault.status, page, {"Content-Type": "text/html"})


def _stall(fault: Fault, call: Call) -> Response:
    time.sleep(fault.seconds)
    return call.proceed()


def _stall_body(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.stall = (int(size_of(response.payload) * fault.at), fault.seconds)
    return response


def _trickle(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.bytes_per_s = fault.bytes_per_s
    return response


def _redirect(fault: Fault, _call: Call) -> Response:
    return Response(302, headers={"Location": fault.location})


def _redirect_loop(_fault: Fault, call: Call) -> Response:
    query = f"?{call.request.query}" if call.request.query else ""
    return Response(302, headers={"Location": f"{call.request.path}{query}"})


def _page(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    document = json.loads(read(response.payload))
    spoil(document, fault.kind, fault.at, call.request)
    response.payload = json.dumps(document).encode()
    return response


def _patched(fault: Fault, call: Call) -> Response:
    response = call.proceed()
    response.payload = json.dumps(json.loads(read(response.payload)) | dict(fault.patch)).encode()
    return response


def _range(fault: Fault, call: Call) -> Response:
    call.request.flaw = "whole"
    response = call.proceed()
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", call.request.headers.get("Range", ""))
    if asked is None or response.status != HTTPStatus.OK:
        return response
    size = size_of(response.payload)
    start, stop = int(asked[1]), min(int(asked[2] or size - 1) + 1, size)
    if fault.kind == "range_501":
        response.release()
        return call.service.refusal(501)
    if fault.kind == "range_416" or start >= size:
        response.release()
        refused = call.service.refusal(416)
        refused.headers["Content-Range"] = f"bytes */{size}"
        return refused
    if fault.kind == "range_206_wrong":  # another part than requested
        start, stop = 0, stop - start
    response.status = 206
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response.payload = cut(response.payload, start, stop)
    if fault.kind == "range_changed":  # the file has changed
        response.headers["ETag"] = '"00000000000000000000000000000000"'
        response.payload = bytes(byte ^ 1 for byte in read(response.payload))
    return response


def _flaw(fault: Fault, call: Call) -> Response:
    call.request.flaw = fault.kind
    return call.proceed()


KINDS: Final[dict[str, Kind]] = {
    "status": _status,
    "gateway": _gateway,
    "reset": _reset,
    "reset_body": _cut_short,
    "short_body": _cut_short,
    "short_length": _short_length,
    "flipped_bit": _flip,
    "zeros": _zeros,
    "json": _replaced(b'{"code":"DAT-ZIP-000","message":"internal"}', "application/json"),
    "html": _replaced(b"<html><body>Maintenance</body></html>", "text/html"),
    "malformed_json": _replaced(b'{"@odata.context":"$metadata#Products","value":[{', "text/json"),
    "blocked": _blocked,
    "stall": _stall,
    "stall_body": _stall_body,
    "trickle": _trickle,
    "redirect": _redirect,
    "redirect_loop": _redirect_loop,
    "repeated_rows": _page,
    "next_link_loop": _page,
    "partial_page": _page,
    "no_value": _page,
    "patched_page": _patched,
    "range_206": _range,
    "range_206_wrong": _range,
    "range_416": _range,
    "range_501": _range,
    "range_changed": _range,
    "wrong_audience": _flaw,
    "expired_token": _flaw,
}
