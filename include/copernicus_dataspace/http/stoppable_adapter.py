"""HTTP adapter that tracks its sockets, so that blocking reads can be interrupted."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.util.ssltransport import SSLTransport

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
            for one in self._sockets:
                _shut_down(one)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool with tracked connections."""
        super().init_poolmanager(*args, **kwargs)
        self._remember(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a proxy with tracked connections."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._remember(manager)
        return manager

    def _remember(self, manager: Any) -> None:
        classes = manager.pool_classes_by_scheme
        if not any(hasattr(pool, "is_remembered") for pool in classes.values()):
            manager.pool_classes_by_scheme = {
                scheme: self._remembering(pool) for scheme, pool in classes.items()
            }

    def _remember_socket(self, one: _Socket) -> None:
        with self._lock:
            self._sockets.add(one)
            if self._is_shut_down:
                _shut_down(one)

    def _remembering(self, pool: Any) -> Any:
        remember = self._remember_socket

        class Connection(pool.ConnectionCls):  # type: ignore[misc]  # known at run time only
            def connect(self) -> None:
                super().connect()
                remember(self.sock)

        return type(pool.__name__, (pool,), {"ConnectionCls": Connection, "is_remembered": True})


def _shut_down(one: _Socket) -> None:
    inner = one.socket if isinstance(one, SSLTransport) else one
    with contextlib.suppress(OSError):  # closed meanwhile
        socket.socket.shutdown(inner, socket.SHUT_RDWR)
