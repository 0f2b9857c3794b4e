"""HTTP interface of the catalogue's subscriptions."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from copernicus_dataspace_emulator.catalogue.subscriptions import Subscriptions
from copernicus_dataspace_emulator.catalogue.wkt import RefusedError
from copernicus_dataspace_emulator.http.messages import Request, Response, json_response

_PATH: Final = re.compile(r"Subscriptions(?:\(([^/]*)\)(?:/(Read|Ack))?)?")
_MOST_READ: Final = 20


@dataclass(frozen=True, slots=True)
class SubscriptionPaths:
    """The service at ``/odata/v1/Subscriptions``; ``account`` is that of the token, or empty."""

    subscriptions: Subscriptions
    account: Callable[[Request], str]

    def answer(self, request: Request, path: str) -> Response | None:
        """Return the response; None for other paths.

        Raises:
            RefusedError: The request is refused.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        owner = self.account(request)
        if not owner:
            return _told(401, "Unauthorized")
        try:
            return self._route(request, owner, match[1], match[2])
        except LookupError as error:
            return _told(404, f"{error.args[0]} not found.")

    def _route(
        self, request: Request, owner: str, number: str | None, what: str | None
    ) -> Response:
        """Route a request of an account."""
        held, options = self.subscriptions, dict(request.options)
        of_all: dict[str, Callable[[], Response]] = {
            "POST": lambda: json_response(201, held.make(owner, request.body)),
            "GET": lambda: json_response(200, held.all_of(owner)),
        }
        one = number or ""
        of_one: dict[tuple[str, str | None], Callable[[], object]] = {
            ("PATCH", None): lambda: held.change(owner, one, request.body),
            ("GET", "Read"): lambda: held.read(owner, one, _top(options.get("$top", "1"))),
            ("POST", "Ack"): lambda: held.acknowledge(owner, one, options.get("$ackid", "")),
        }
        if number is None and request.method in of_all:
            return of_all[request.method]()
        if number is not None and (request.method, what) in of_one:
            return json_response(200, of_one[request.method, what]())
        return _told(405, "Method Not Allowed")


def _top(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_READ:
        raise RefusedError(422, f"Input should be an integer from 1 to {_MOST_READ}")
    return int(text)


def _told(status: int, message: str) -> Response:
    return json_response(status, {"detail": {"message": message, "request_id": str(uuid.uuid4())}})
