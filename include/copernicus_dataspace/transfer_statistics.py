"""Transfer statistics: bytes, requests, retries, and seconds spent transferring and waiting."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class TransferStatistics:
    """Transfer statistics of one client; thread-safe.

    Attributes:
        requests: Requests sent, redirects included.
        bytes: Bytes of bodies received.
        moving_s: Seconds spent transferring, summed over all connections.
        waiting_s: Seconds spent waiting because the service or the settings asked for it, summed
            over all connections.
        retries: Requests repeated after a temporary error, including resumed bodies.
        rate_limited: Responses with status 429.
    """

    requests: int = 0
    bytes: int = 0
    moving_s: float = 0.0
    waiting_s: float = 0.0
    retries: int = 0
    rate_limited: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sent(self, seconds: float) -> None:
        """Count a request and the seconds until its response began, or until it failed."""
        with self._lock:
            self.requests += 1
            self.moving_s += seconds

    def received(self, size_bytes: int, seconds: float) -> None:
        """Count received bytes and the seconds they took."""
        with self._lock:
            self.bytes += size_bytes
            self.moving_s += seconds

    def waited(self, seconds: float) -> None:
        """Count seconds of waiting."""
        with self._lock:
            self.waiting_s += seconds

    def tried_again(self) -> None:
        """Count a retry."""
        with self._lock:
            self.retries += 1

    def limited(self) -> None:
        """Count a response with status 429."""
        with self._lock:
            self.rate_limited += 1
