"""The HTTP/1.1 server, and faults of the network."""

import math
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final
from urllib.parse import unquote

from copernicus_dataspace_emulator.faults.script import Faults
from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import (
    FilePart,
    Payload,
    Record,
    Request,
    Response,
    Service,
    cut,
    size_of,
)

# nginx, in front of the services, accepts request lines of 8 KiB by default.
_LONGEST_LINE: Final = 8192
_PIECE_BYTES: Final = 4 << 20
_LAST_PIECE_BYTES: Final = 16 << 10
_TICK_S: Final = 0.01


@dataclass(slots=True)
class Line:
    """Shared by all services: request log, faults, latency and bandwidth."""

    latency_s: float = 0.0
    bytes_per_s: float | None = None
    faults: Faults = field(default_factory=Faults)
    journal: list[Record] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """A connection: reads requests and writes responses until either side closes it."""

    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    sys_version = ""
    disable_nagle_algorithm = True
    server: "Host"

    def handle_one_request(self) -> None:
        """Handle a request; network errors close the connection."""
        try:
            self._serve()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write nothing: there is a request log."""

    def _serve(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if not self.raw_requestline:
            return
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.request_version, self.requestline, self.command = self.protocol_version, "", ""
            self._refuse(414)
            return
        if self.parse_request():
            self._answer()

    def _refuse(self, status: int) -> None:
        """Respond to an invalid request, and close the connection."""
        record = Record.of(self.server.service.name, Request("", "", "", Message()))
        self.server.line.journal.append(record)
        self._send(gateway.page(status), record)
        self.close_connection = True

    def _answer(self) -> None:
        request = self._request()
        if request is None:
            self._refuse(400)
            return
        line, service = self.server.line, self.server.service
        record = Record.of(service.name, request)
        line.journal.append(record)
        time.sleep(line.latency_s)
        response = line.faults.answer(service, request)
        try:
            self._send(response, record)
        finally:
            response.release()
            record.ended = time.time()

    def _request(self) -> Request | None:
        """The request; None if its body cannot be read."""
        path, _, query = self.path.partition("?")
        try:
            body = self._body()
        except ValueError:
            return None
        return Request(self.command, unquote(path), query, self.headers, body)

    def _body(self) -> bytes:
        """The body, in one piece or in chunks.

        Raises:
            ValueError: Its length, or that of a chunk, is not a number.
        """
        if self.headers.get("Transfer-Encoding", "identity").lower() != "chunked":
            return self.rfile.read(_length(self.headers.get("Content-Length") or "0", 10))
        body = bytearray()
        while size := _length(self.rfile.readline(_LONGEST_LINE).partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(_LONGEST_LINE)
        while self.rfile.readline(_LONGEST_LINE).strip():
            continue  # trailers
        return bytes(body)

    def _send(self, response: Response, record: Record) -> None:
        record.status = response.status
        if response.silent:
            self._hang_up(reset=response.reset)
            return
        length = size_of(response.payload) if response.length is None else response.length
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(length))
        payload: Payload = b"" if self.command == "HEAD" else response.payload
        if isinstance(payload, bytes) and len(payload) < _LAST_PIECE_BYTES and not response.stall:
            response.release()
        self.end_headers()
        stop = size_of(payload) if response.stop_at is None else response.stop_at
        self._send_body(cut(payload, 0, stop), response, record)
        if response.stop_at is not None:
            self._hang_up(reset=response.reset)

    def _send_body(self, payload: Payload, response: Response, record: Record) -> None:
        limits = (response.bytes_per_s, self.server.line.bytes_per_s)
        rate = min((limit for limit in limits if limit), default=None)
        started, sent, size = time.monotonic(), 0, size_of(payload)
        file = payload.path.open("rb") if isinstance(payload, FilePart) else None
        try:
            for start, stop in _pieces(size, rate, response):
                if stop == size:
                    response.release()
                record.bytes_sent += stop - start
                response.on_sent(stop - start)
                if isinstance(payload, FilePart) and file is not None:
                    self.connection.sendfile(file, payload.offset + start, stop - start)
                elif isinstance(payload, bytes):
                    self.connection.sendall(memoryview(payload)[start:stop])
                sent = stop
                if rate is not None:
                    time.sleep(max(0.0, started + sent / rate - time.monotonic()))
            self.close_connection |= sent < size
        finally:
            if file is not None:
                file.close()

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())


def _length(text: str | bytes, base: int) -> int:
    length = int(text, base)
    if length < 0:
        raise ValueError(f"{text!r} is no length")
    return length


def _pieces(size: int, bytes_per_s: float | None, response: Response) -> Iterator[tuple[int, int]]:
    """Yield chunks of ``[0, size)``, with stalls and early ends of the response.

    The last chunk is small, so that resources are released late.
    """
    step = _PIECE_BYTES if bytes_per_s is None else max(1, int(bytes_per_s * _TICK_S))
    start, tail = 0, max(0, size - min(_LAST_PIECE_BYTES, step))
    stall_at, stall_s = response.stall or (None, 0.0)
    until = math.inf if response.until is None else response.until
    while start < size and time.time() < until:
        stop = min(start + step, tail if start < tail else size)
        if start == stall_at:
            time.sleep(stall_s)
        elif stall_at is not None and start < stall_at:
            stop = min(stop, stall_at)
        yield start, stop
        start = stop


class Host(ThreadingHTTPServer):
    """A service listening on its own port, in daemon threads."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service, line: Line) -> None:
        super().__init__(address, _Handler)
        self.service, self.line = service, line
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(_TICK_S,), daemon=True)

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close open connections."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already

    def server_bind(self) -> None:
        """Bind without resolving this machine's name, which can take seconds.

        Raises:
            OSError: The port is in use; the message names it.
        """
        try:
            TCPServer.server_bind(self)
        except OSError as error:
            raise OSError(error.errno, f"port {self.port}: {error.strerror}") from error

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Register the connection, then serve it in a thread."""
        if isinstance(request, socket.socket):
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Unregister and close the connection."""
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)
