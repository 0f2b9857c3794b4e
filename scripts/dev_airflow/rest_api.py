"""Requests to the REST API of an Airflow on this machine, without proxies."""

from __future__ import annotations

from typing import Any, Final

import requests

TIMEOUT_S: Final = 120.0


class ApiError(RuntimeError):
    """The REST API rejected a request; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def ask(method: str, url: str, **content: Any) -> requests.Response:
    """Send a request and return the response, whatever its status.

    Raises:
        requests.ConnectionError: The server is not running.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=TIMEOUT_S, **content)
