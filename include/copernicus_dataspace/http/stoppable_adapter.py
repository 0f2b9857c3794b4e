"""HTTP adapter that tracks its sockets, so that blocking reads can be interrupted."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from urllib3.util.ssltransport import SSLTransport

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_CONNECTIONS: Final = 32
"""Keep-alive connections per host; an account may have 4 or 20."""

_Socket = socket.socket | SSLTransport
"""SSLTransport is TLS through the TLS of a proxy."""


class StoppableAdapter(HTTPAdapter):
    """Keeps connections alive until they are shut down from another thread."""

    def __init__(self) -> None:
        """Create an adapter without connections."""
        self._is_shut_down = False
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[_Socket] = weakref.WeakSet()
        super().__init__(pool_maxsize=_MOST_CONNECTIONS)

    def shut_down(self) -> None:
        """End all reads on all connections, present and future."""
        with self._lock:
            self._is_shut_down = True
            self._shut_down_all()

    def close(self) -> None:
        """Close all connections, also those whose bodies were not read to the end."""
        super().close()
        with self._lock:
            self._shut_down_all()

    def _shut_down_all(self) -> None:
        for one in self._sockets:
            _shut_down(one)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of a host, reached directly or through a proxy, with tracked sockets."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        with self._lock:
            if not issubclass(pool.ConnectionCls, _Tracked):
                bases, members = (_Tracked, pool.ConnectionCls), {"track": self._track}
                pool.ConnectionCls = type("Connection", bases, members)
        return pool

    def _track(self, one: _Socket) -> None:
        with self._lock:
            self._sockets.add(one)
            if self._is_shut_down:
                _shut_down(one)


class _Tracked:
    """A connection that tells its adapter about its socket."""

    sock: _Socket
    track: Callable[[_Socket], None]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # of the connection that this is mixed into
        self.track(self.sock)


def _shut_down(one: _Socket) -> None:
    inner = one.socket if isinstance(one, SSLTransport) else one
    with contextlib.suppress(OSError):  # closed meanwhile
        socket.socket.shutdown(inner, socket.SHUT_RDWR)
