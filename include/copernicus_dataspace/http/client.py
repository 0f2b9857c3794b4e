"""HTTP client: single requests, errors, request spacing and redirects; opens all sockets."""

from __future__ import annotations

import contextlib
import http.cookiejar
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

import requests
import urllib3

from copernicus_dataspace.errors import (
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    StoppedError,
)
from copernicus_dataspace.http.connection_errors import failure_of, refuse_unclear_proxy
from copernicus_dataspace.http.endpoints import public_url
from copernicus_dataspace.http.response import HttpLimits, StreamedResponse
from copernicus_dataspace.http.status_errors import error_of
from copernicus_dataspace.http.stoppable_adapter import StoppableAdapter
from copernicus_dataspace.transfer_statistics import TransferStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copernicus_dataspace.http.endpoints import Endpoints

_USER_AGENT: Final = "airflow-provider-copernicus"
"""The catalogue responds 403 to requests without one."""

_LIMITS: Final = HttpLimits()
_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GOOD: Final = (200, 204)
_SHOWN_CHARS: Final = 200
_PART: Final = 206
_UNSENT: Final = (urllib3.exceptions.HTTPError, OSError, ValueError)
"""What requests raises if there is no response; its own errors are OSErrors."""


class Http:
    """Sends single requests to the service's own hosts over keep-alive connections."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        take_turn: Callable[[], float] = lambda: 0.0,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        limits: HttpLimits = _LIMITS,
    ) -> None:
        """Create the client; nothing is sent.

        Args:
            endpoints: Only their hosts are contacted.
            take_turn: Returns the seconds until the next request may start.
            sleep: Waits for a number of seconds; None for a wait that `stop` ends.
            clock: Monotonic clock in seconds.
            limits: Limits of time and speed.
        """
        self.statistics = TransferStatistics()
        self._stopped = threading.Event()
        self._endpoints = endpoints
        self._take_turn = take_turn
        self._sleep = sleep or self._stopped.wait
        self._clock = clock
        self._limits = limits
        self._session = _Session()
        self._session.headers.update({"User-Agent": _USER_AGENT})
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = StoppableAdapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(
        self,
        url: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        answer_s: float = math.inf,
    ) -> StreamedResponse:
        """Send a GET request and return the response, following redirects within the service.

        Args:
            url: Absolute URL.
            what: Name of the requested resource, for messages.
            params: Query of the first request, not of redirects.
            token: Bearer token, sent to the service's own hosts only.
            headers: Further headers.
            answer_s: Lower timeout than `HttpLimits.answer_s`.

        Raises:
            DataSpaceError: Any subclass, see `status_errors.error_of`.
            StoppedError: The client was stopped.
        """
        sent: dict[str, Any] = {"headers": headers, "token": token, "answer_s": answer_s}
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send("GET", url, what=what, params=params, **sent)
            if response.status_code not in _REDIRECTS:
                return self._checked(response, what)
            response.close()
            url = self._target(url, response, what)
            params = None
        message = f"{what}: more than {_MAX_REDIRECTS} redirects, the last to {public_url(url)}."
        raise ServiceUnavailableError(message)

    def post_form(
        self, url: str, form: Mapping[str, str], *, what: str, answer_s: float = math.inf
    ) -> StreamedResponse:
        """Send a form and return the response; as `post_json`."""
        return self._post(url, what, data=form, answer_s=answer_s)

    def post_json(
        self, url: str, document: Mapping[str, Any], *, what: str, answer_s: float = math.inf
    ) -> StreamedResponse:
        """Send a document and return the response; a redirect is an error.

        Raises:
            DataSpaceError: Any subclass, see `status_errors.error_of`.
            StoppedError: The client was stopped.
        """
        return self._post(url, what, json=document, answer_s=answer_s)

    def setting_of(self, url: str) -> str | None:
        """Return `Endpoints.setting_of` of a URL."""
        return self._endpoints.setting_of(url)

    def wait(self, seconds: float) -> None:
        """Wait, and add the time to the statistics; `stop` ends it."""
        self._sleep(seconds)
        self.statistics.waited(seconds)

    def pause(self, seconds: float) -> None:
        """Wait for other processes, even if `sleep` does not, and add it to the statistics.

        Raises:
            StoppedError: The client was stopped.
        """
        if self._stopped.wait(seconds):
            raise StoppedError
        self.statistics.waited(seconds)

    def stop(self) -> None:
        """Make all requests in other threads end soon with `StoppedError`."""
        self._stopped.set()
        self._adapter.shut_down()

    def close(self) -> None:
        """Close all connections, also those whose bodies were not read to the end."""
        self._session.close()

    def _post(self, url: str, what: str, **content: Any) -> StreamedResponse:
        response = self._send("POST", url, what=what, **content)
        if response.status_code in _REDIRECTS:
            response.close()
            message = f"{what}: {public_url(url)} redirects to another URL; check the URL."
            raise RefusedRequestError(message)
        return self._checked(response, what)

    def _send(
        self,
        method: str,
        url: str,
        *,
        what: str,
        token: str | None = None,
        answer_s: float = math.inf,
        **content: Any,
    ) -> requests.Response:
        if not self._endpoints.owns(url):
            message = (
                f"{what}: {public_url(url)} is not a host of the service; nothing was sent there."
            )
            raise RefusedRequestError(message)
        refuse_unclear_proxy(what, url)
        if wait_s := self._take_turn():
            self.wait(wait_s)
        if self._stopped.is_set():
            raise StoppedError
        began = self._clock()
        try:
            return self._session.request(
                method,
                url,
                auth=_Bearer(token),
                timeout=(self._limits.connect_s, min(answer_s, self._limits.answer_s)),
                stream=True,
                allow_redirects=False,
                **content,
            )
        except _UNSENT as error:
            if self._stopped.is_set():
                raise StoppedError from None
            raise failure_of(error, what, url, self.setting_of(url)) from None
        finally:
            self.statistics.sent(self._clock() - began)

    def _checked(self, response: requests.Response, what: str) -> StreamedResponse:
        is_asked_part = response.status_code == _PART and "Range" in response.request.headers
        if response.status_code in _GOOD or is_asked_part:
            return StreamedResponse(response, what, self.statistics, self._stopped, self._limits)
        with response:
            error = error_of(response, what, self._limits.error_body_s)
        if isinstance(error, RateLimitedError):
            self.statistics.limited()
        raise error

    def _target(self, url: str, response: requests.Response, what: str) -> str:
        location = response.headers.get("Location", "")
        with contextlib.suppress(ValueError):
            target = urljoin(url, location)
            if self._endpoints.owns(target):
                return target
        host = location.partition("?")[0].rpartition("@")[2][:_SHOWN_CHARS]
        message = (
            f"{what}: redirected to {host!r}, which is not a host of the service; not followed."
        )
        raise RefusedRequestError(message)


class _Session(requests.Session):
    """Ignores redirects: requests reads their bodies to the end even if it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - as overridden
        return None


class _Bearer(requests.auth.AuthBase):
    """Sets the token, if any; always used, so that requests never reads a netrc file."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
