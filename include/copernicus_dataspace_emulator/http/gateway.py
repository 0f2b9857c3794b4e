"""Error pages of the gateway in front of a service (nginx)."""

from http import HTTPStatus
from typing import Final

from copernicus_dataspace_emulator.http.messages import Response

AWAY: Final = frozenset({502, 503, 504})
"""Status codes of a gateway whose service does not respond."""


def page(status: int) -> Response:
    """Return the gateway's HTML page for a status."""
    title = f"{status} {HTTPStatus(status).phrase}"
    head = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    body = f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>"
    return Response(status, f"{head}{body}\r\n".encode(), {"Content-Type": "text/html"})
