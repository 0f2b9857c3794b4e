"""The one module that opens sockets: single requests, their errors, spacing and redirects.

Knows nothing of tokens' lifetimes, of retries, or of what the answers mean.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin, urlsplit

import requests

from dataspace.errors import RefusedRequestError, ServiceUnavailableError
from dataspace.http_errors import error_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from dataspace.endpoints import Endpoints

_USER_AGENT: Final = "airflow-provider-copernicus"
"""The catalogue answers 403 to requests without one."""

_TIMEOUT_S: Final = (10.0, 120.0)
"""To connect, and between two pieces of an answer; the catalogue may think for long."""

_CHUNK_BYTES: Final = 1 << 20
_SMALL_BYTES: Final = 1 << 26
"""A full page of the catalogue has some 6 MB, a manifest 0.1 MB."""

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)


@dataclass
class Traffic:
    """What one `Http` has moved.

    Attributes:
        requests: Requests sent, redirects included.
        bytes: Bytes of bodies received.
    """

    requests: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, requests: int = 0, received: int = 0) -> None:
        """Add to the totals; safe from several threads."""
        with self._lock:
            self.requests += requests
            self.bytes += received


class Answer:
    """A successful answer whose body is still to be read; close it, or use it with ``with``."""

    def __init__(self, response: requests.Response, what: str, traffic: Traffic) -> None:
        self._response = response
        self._what = what
        self._traffic = traffic

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces.

        Raises:
            ServiceUnavailableError: The connection broke before the announced length.
        """
        try:
            for chunk in self._response.iter_content(_CHUNK_BYTES):
                self._traffic.count(received=len(chunk))
                yield chunk
        except requests.RequestException as error:
            raise _broken(self._what, self._response.url, error) from None

    def content(self) -> bytes:
        """Return the whole body; only for answers that should be small.

        Raises:
            ServiceUnavailableError: It is not small, or the connection broke.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > _SMALL_BYTES:
                message = f"{self._what}: the answer has more than {_SMALL_BYTES} bytes."
                raise ServiceUnavailableError(message)
        return bytes(body)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            ServiceUnavailableError: It is none, for example because it was cut.
        """
        body = self.content()
        try:
            value = json.loads(body)
        except ValueError as error:
            message = f"{self._what}: the answer is not JSON, it begins {body[:80]!r}."
            raise ServiceUnavailableError(message) from error
        if not isinstance(value, dict):
            message = f"{self._what}: the answer is JSON but no object."
            raise ServiceUnavailableError(message)
        return value

    def close(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Http:
    """Sends single requests to the service's own hosts, over kept-alive connections."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        spacing_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the client; nothing is sent.

        Args:
            endpoints: Whose hosts may be talked to.
            spacing_s: Least time in seconds between the starts of two requests.
            sleep: Waits that many seconds.
            clock: Seconds from any fixed point.
        """
        self.traffic = Traffic()
        self._endpoints = endpoints
        self._spacing_s = spacing_s
        self._sleep = sleep
        self._clock = clock
        self._next_start = clock()
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": _USER_AGENT})

    def get(
        self,
        url: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """Send a GET and return its answer, following redirects within the service.

        Args:
            url: Absolute URL.
            what: Name of the thing asked for, for messages.
            params: Query of the first request; a redirect's target brings its own.
            token: Sent as Bearer, to the service's own hosts only.

        Raises:
            DataSpaceError: Any of its kinds, see `http_errors.error_of`.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send("GET", url, what=what, params=params, token=token)
            if response.status_code not in _REDIRECTS:
                return self._checked(response, what)
            response.close()
            url = self._target(url, response, what)
            params = None
        message = f"{what}: more than {_MAX_REDIRECTS} redirects, the last to {shown(url)}."
        raise ServiceUnavailableError(message)

    def post_form(self, url: str, form: Mapping[str, str], *, what: str) -> Answer:
        """Send a form and return its answer; a redirect is an error, a form is never sent twice.

        Raises:
            DataSpaceError: Any of its kinds, see `http_errors.error_of`.
        """
        response = self._send("POST", url, what=what, form=form)
        if response.status_code in _REDIRECTS:
            response.close()
            message = f"{what}: {shown(url)} redirects a form to another place; check the URL."
            raise RefusedRequestError(message)
        return self._checked(response, what)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _send(
        self,
        method: str,
        url: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> requests.Response:
        if not self._endpoints.owns(url):
            message = f"{what}: {shown(url)} is not a host of the service; nothing was sent there."
            raise RefusedRequestError(message)
        self._wait_for_turn()
        self.traffic.count(requests=1)
        try:
            return self._session.request(
                method,
                url,
                params=params,
                data=form,
                auth=_Bearer(token),
                headers={"Accept-Encoding": "identity"} if token else None,
                timeout=_TIMEOUT_S,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _broken(what, url, error) from None  # whose text holds the query

    def _checked(self, response: requests.Response, what: str) -> Answer:
        if response.status_code in (requests.codes.ok, requests.codes.no_content):
            return Answer(response, what, self.traffic)
        with response:
            raise error_of(response, what)

    def _target(self, url: str, response: requests.Response, what: str) -> str:
        target = urljoin(url, response.headers.get("Location", ""))
        if not self._endpoints.owns(target):
            message = (
                f"{what}: redirected to {urlsplit(target).netloc!r}, which is not a host of the "
                f"service; not followed."
            )
            raise RefusedRequestError(message)
        return target

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = self._clock()
            wait_s = max(0.0, self._next_start - now)
            self._next_start = now + wait_s + self._spacing_s
        if wait_s:
            self._sleep(wait_s)


class _Bearer(requests.auth.AuthBase):
    """Sets or leaves out the token; given always, so that requests never consults a netrc file."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _broken(what: str, url: str, error: requests.RequestException) -> ServiceUnavailableError:
    host, kind = urlsplit(url).netloc, type(error).__name__
    return ServiceUnavailableError(f"{what}: the connection to {host} failed ({kind}); try again.")
