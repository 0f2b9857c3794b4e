"""What answers in a service's place while that is away, or refuses a request before it: nginx."""

from http import HTTPStatus
from typing import Final

from copernicus_dataspace_emulator.http.messages import Response

AWAY: Final = frozenset({502, 503, 504})
"""Statuses of a gateway whose service does not answer."""


def page(status: int) -> Response:
    """The gateway's page about a status, as HTML."""
    title = f"{status} {HTTPStatus(status).phrase}"
    head = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    body = f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>"
    return Response(status, f"{head}{body}\r\n".encode(), {"Content-Type": "text/html"})
