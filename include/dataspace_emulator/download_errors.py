"""Error bodies of the download service: those of today, and those of 2023 and 2024."""

import uuid
from dataclasses import dataclass
from typing import Final, Literal

from dataspace_emulator import gateway
from dataspace_emulator.wire import Response, json_response

Cause = Literal[
    "bad path", "no token", "expired", "audience", "forbidden", "unknown product", "no file",
    "bad id", "too many",
]  # fmt: skip

_TODAY: Final[dict[Cause, tuple[int, str, str]]] = {
    "bad path": (400, "DAT-ZIP-104", "Malformed OData request path"),
    "no token": (401, "DAT-ZIP-604", "Token not found"),
    "expired": (401, "DAT-ZIP-109", "Token is expired"),
    "audience": (401, "DAT-ZIP-609", "Token audience not allowed"),
    "forbidden": (403, "DAT-ZIP-608", "Access forbidden"),
    "unknown product": (404, "DAT-ZIP-915", "No objects to stream"),
    "no file": (404, "DAT-ZIP-915", "No objects to stream"),
    "bad id": (422, "DAT-ZIP-111", "Invalid product id"),
    "too many": (429, "DAT-ZIP-100", "Max session number exceeded"),
}
_LEGACY: Final[dict[Cause, tuple[int, str]]] = {
    "bad path": (400, "Invalid odata path"),
    "no token": (401, "Unauthorized"),
    "expired": (401, "Expired signature!"),
    "audience": (401, "Unauthorized"),
    "forbidden": (403, "Forbidden"),
    "unknown product": (404, "Product not found in catalogue"),
    "no file": (404, "Not Found"),
    "bad id": (422, "Invalid odata path"),
    "too many": (429, "Max session number 4 exceeded."),
}
_OF_STATUS: Final[dict[int, Cause]] = {
    400: "bad path",
    401: "expired",
    403: "forbidden",
    404: "no file",
    422: "bad id",
    429: "too many",
}


@dataclass(frozen=True, slots=True)
class Errors:
    """Makes error answers, in the bodies of 2023 and 2024 if they are to be ``legacy``."""

    legacy: bool = False

    def because(self, cause: Cause) -> Response:
        """The answer to a request that is refused for a cause."""
        if self.legacy:
            status, detail = _LEGACY[cause]
            return json_response(status, {"detail": detail})
        return _today(*_TODAY[cause])

    def of(self, status: int) -> Response:
        """The answer with a status, whatever its cause."""
        if status in gateway.AWAY:
            return gateway.page(status)
        if status in _OF_STATUS:
            return self.because(_OF_STATUS[status])
        if self.legacy:
            return json_response(status, {"detail": f"HTTP {status}"})
        return _today(status, "DAT-ZIP-500", f"HTTP {status}")


def _today(status: int, code: str, message: str) -> Response:
    document = {"trace-id": uuid.uuid4().hex, "code": code, "message": message}
    return json_response(status, document)
