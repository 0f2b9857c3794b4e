"""Error bodies of the download service: current ones, and those of 2023 and 2024."""

import uuid
from dataclasses import dataclass
from typing import Final, Literal

from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import Response, json_response

Cause = Literal[
    "bad path", "no token", "expired", "audience", "forbidden", "unknown product", "offline",
    "no file", "bad id", "too many",
]  # fmt: skip

_TODAY: Final[dict[Cause, tuple[int, str, str]]] = {
    "bad path": (400, "DAT-ZIP-104", "Malformed OData request path"),
    "no token": (401, "DAT-ZIP-604", "Token not found"),
    "expired": (401, "DAT-ZIP-109", "Token is expired"),
    "audience": (401, "DAT-ZIP-609", "Token audience not allowed"),
    "forbidden": (403, "DAT-ZIP-608", "Access forbidden"),
    "unknown product": (404, "DAT-ZIP-915", "No objects to stream"),
    "offline": (404, "DAT-ZIP-915", "No objects to stream"),
    "no file": (404, "DAT-ZIP-915", "No objects to stream"),
    "bad id": (422, "DAT-ZIP-111", "Invalid product id"),
    "too many": (429, "DAT-ZIP-100", "Max session number exceeded"),
}
_LEGACY: Final[dict[Cause, str]] = {
    "bad path": "Invalid odata path",
    "no token": "Unauthorized",
    "expired": "Expired signature!",
    "audience": "Unauthorized",
    "forbidden": "Forbidden",
    "unknown product": "Product not found in catalogue",
    "offline": "Not Found",
    "no file": "Not Found",
    "bad id": "Invalid odata path",
    "too many": "Max session number 4 exceeded.",
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
    """Creates error responses; with ``legacy`` in the format of 2023 and 2024.

    Offline products get ``offline_status``; ``retry_after_s`` is sent with too many transfers.
    """

    legacy: bool
    offline_status: int
    retry_after_s: int | None

    def because(self, cause: Cause) -> Response:
        """Return the response for a cause."""
        status, code, message = _TODAY[cause]
        response = _today(status, code, message)
        if self.legacy:
            response = json_response(status, {"detail": _LEGACY[cause]})
        if cause == "offline":
            response.status = self.offline_status
        if cause == "too many" and self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        return response

    def of(self, status: int) -> Response:
        """Return the response for a status."""
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
