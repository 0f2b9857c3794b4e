"""HTTP requests and responses, and the request log."""

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
    """A range of bytes inside a file; ``offset`` and ``size`` in bytes."""

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
    """A request with percent-decoded path and raw query."""

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
    """A response and how it is sent.

    ``length`` overrides Content-Length, ``stop_at`` closes the connection after that many bytes
    of the body, ``reset`` closes it with a TCP reset, ``stall`` is a position in the body and the
    seconds to wait there, ``on_last`` is called before the last bytes are sent, ``on_sent`` with
    the number of bytes of each chunk; at ``until``, in seconds since the epoch, the body ends.
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
        """Release the resources of the response; idempotent."""
        give_back, self.on_last = self.on_last, None
        if give_back is not None:
            give_back()


def json_response(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})


class Service(Protocol):
    """A service of the emulator."""

    @property
    def name(self) -> str:
        """Identity, catalogue, download, stac or s3."""

    def answer(self, request: Request) -> Response:
        """Return the service's response to a request."""

    def refusal(self, status: int) -> Response:
        """Return an error response in this service's format."""


@dataclass(slots=True)
class Record:
    """An entry of the request log; times are seconds since the epoch, tokens are removed."""

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
        """Duration of the response, so far or in total."""
        return (self.ended if self.ended is not None else time.time()) - self.started

    @classmethod
    def of(cls, service: str, request: Request) -> "Record":
        """Return the log entry of a new request."""
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
