"""Counts what a client moved, and how long it waited for leave to move it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class TransferStatistics:
    """What one client has moved; its methods may be called from several threads.

    Attributes:
        requests: Requests sent, redirects included.
        bytes: Bytes of bodies received.
        moving_s: Seconds spent on requests and their bodies, summed over all connections.
        waiting_s: Seconds spent waiting because the service or the settings asked for it, summed
            over all connections.
        retries: Times that something was asked for again after an error that may pass, bodies
            continued where they broke off included.
        rate_limited: Answers that said too many requests.
    """

    requests: int = 0
    bytes: int = 0
    moving_s: float = 0.0
    waiting_s: float = 0.0
    retries: int = 0
    rate_limited: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sent(self, seconds: float) -> None:
        """Note a request and the seconds until its answer began, or until it failed."""
        with self._lock:
            self.requests += 1
            self.moving_s += seconds

    def received(self, size_bytes: int, seconds: float) -> None:
        """Note a piece of a body and the seconds it took to come."""
        with self._lock:
            self.bytes += size_bytes
            self.moving_s += seconds

    def waited(self, seconds: float) -> None:
        """Note seconds in which nothing was asked for."""
        with self._lock:
            self.waiting_s += seconds

    def tried_again(self) -> None:
        """Note that something is asked for again after an error that may pass."""
        with self._lock:
            self.retries += 1

    def limited(self) -> None:
        """Note an answer that said too many requests."""
        with self._lock:
            self.rate_limited += 1
