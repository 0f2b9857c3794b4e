"""What travels: requests, answers, and the journal of both.

Knows nothing of sockets, tokens or products.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qsl

_SECRETS: Final = re.compile(r"(?:(?<=^token=)|(?<=&token=)|(?<=Signature=))[^&]+")


@dataclass(frozen=True, slots=True)
class FilePart:
    """A run of bytes inside a file; ``offset`` and ``size`` in bytes."""

    path: Path
    offset: int
    size: int


Payload = bytes | FilePart


def size_of(payload: Payload) -> int:
    """Length of a payload in bytes."""
    return payload.size if isinstance(payload, FilePart) else len(payload)


def read(payload: Payload) -> bytes:
    """The bytes of a payload."""
    if isinstance(payload, bytes):
        return payload
    with payload.path.open("rb") as file:
        file.seek(payload.offset)
        return file.read(payload.size)


def cut(payload: Payload, start: int, stop: int) -> Payload:
    """The part ``[start, stop)`` of a payload."""
    if isinstance(payload, bytes):
        return payload[start:stop]
    return FilePart(payload.path, payload.offset + start, max(stop - start, 0))


@dataclass(slots=True)
class Request:
    """One request, path percent-decoded, query kept as it came."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes = b""
    flaw: str = ""

    @property
    def options(self) -> list[tuple[str, str]]:
        """Query options in order, decoded; ``+`` is a blank."""
        return parse_qsl(self.query, keep_blank_values=True)

    @property
    def token(self) -> str:
        """Access token of the header or of ``?token=``, empty if there is none."""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
        return dict(self.options).get("token", "")


@dataclass(slots=True)
class Response:
    """One answer and how it is to be sent.

    ``length`` overrides the announced length, ``stop_at`` ends the connection after that
    many bytes of the body, ``reset`` ends it with a TCP reset, ``stall`` is a position in the
    body and the seconds to wait there, ``on_last`` is called before the last bytes leave,
    ``on_sent`` with the number of bytes of each piece of the body; at ``until``, in seconds since
    the epoch, the body ends wherever it is.
    """

    status: int
    payload: Payload = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    stop_at: int | None = None
    reset: bool = False
    silent: bool = False
    stall: tuple[int, float] | None = None
    bytes_per_s: float | None = None
    until: float | None = None
    on_last: Callable[[], None] | None = None
    on_sent: Callable[[int], None] = lambda _: None

    def release(self) -> None:
        """Give back what the answer holds; safe to call twice."""
        give_back, self.on_last = self.on_last, None
        if give_back is not None:
            give_back()


def json_response(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})


class Service(Protocol):
    """One of the stand-in's services."""

    @property
    def name(self) -> str:
        """Identity, catalogue, download, stac or s3."""

    def answer(self, request: Request) -> Response:
        """The service's own answer to a request."""

    def refusal(self, status: int) -> Response:
        """An error answer in the envelope of this service."""


@dataclass(slots=True)
class Record:
    """One line of the journal; times are seconds since the epoch, tokens are blanked."""

    service: str
    method: str
    path: str
    query: str
    user_agent: str
    authorization: bool
    started: float
    range: str = ""
    status: int = 0
    bytes_sent: int = 0
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long the answer took, so far or in all."""
        return (self.ended if self.ended is not None else time.time()) - self.started

    @classmethod
    def of(cls, service: str, request: Request) -> "Record":
        """The journal's line for a request that has just arrived."""
        return cls(
            service=service,
            method=request.method,
            path=request.path,
            query=_SECRETS.sub("***", request.query),
            user_agent=request.headers.get("User-Agent", ""),
            authorization=bool(request.token or request.headers.get("Authorization")),
            started=time.time(),
            range=request.headers.get("Range", ""),
        )
