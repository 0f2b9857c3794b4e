"""Maps failed connections to errors: DNS, proxy, TLS certificate, clock.

Settings (a URL other than the service's own, a proxy, a certificate file) may be wrong permanently.
The service's own host names are never misspelt: if one is unknown, or its certificate has expired,
that is an outage of the service or of this machine's network.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
import urllib3

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, ServiceUnavailableError
from copernicus_dataspace.http.endpoints import public_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EARLY, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
"""OpenSSL's verification errors, X509_V_ERR_*."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
_OF_FILES: Final = ("X509", "PEM", "ASN1")
"""OpenSSL libraries that read certificates; handshake errors are of library SSL."""
_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_UNKNOWN_NAME: Final = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_PASSING: Final = (408, 425, 429)
_PROXY: Final = re.compile(
    r"([A-Za-z0-9+.-]+://)?([^/?#\\\s]*@)?"
    r"(?P<host>(\[[^]/?#@\\\s]+\]|[^]\[/?#@:\\\s]+)(:[0-9]+)?)/?"
)
"""Addresses that all parsers read alike; in others, part of the password may look like the host."""
_ENCODED: Final = (
    "write http://user:password@host:port, with @ : / ? # % \\ of user and password as %40 %3A %2F "
    "%3F %23 %25 %5C"
)

Diagnosis = tuple[type[DataSpaceError], str]
"""Error class and explanation."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """The host or proxy that did not respond.

    Attributes:
        url: URL of the request.
        setting: Name of the configured base URL of its host; None for the service's own hosts.
        is_proxy: Whether it is the proxy towards the URL.
    """

    url: str
    setting: str | None
    is_proxy: bool

    def __str__(self) -> str:
        return str(_Proxy.towards(self.url)) if self.is_proxy else self.host

    @property
    def host(self) -> str:
        """Host of the request."""
        return urlsplit(self.url).netloc

    @property
    def entered(self) -> str | None:
        """Setting or environment variable with its address; None for the service's own hosts."""
        proxy = _Proxy.towards(self.url) if self.is_proxy else None
        return proxy.variable if proxy else self.setting

    @property
    def kind(self) -> type[DataSpaceError]:
        """Error class for failures that are permanent if the address is configured."""
        return ConfigurationError if self.entered else ServiceUnavailableError


@dataclass(frozen=True, slots=True)
class _Proxy:
    """The proxy towards a URL, and the environment variable that names it."""

    address: str
    variable: str

    @classmethod
    def towards(cls, url: str) -> _Proxy | None:
        address = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        named = (name for name in os.environ if name.lower().endswith("_proxy"))
        by = next((name for name in named if os.environ[name] == address), "the system's settings")
        return cls(address, by) if address else None

    def __str__(self) -> str:
        """Return its host and port, without the login."""
        match = _PROXY.fullmatch(self.address)
        return f"the proxy {match['host']}" if match else "the proxy"

    def unusable(self) -> Diagnosis:
        """Return the diagnosis of an invalid proxy address."""
        return ConfigurationError, f"{self.variable} is not a valid proxy address; {_ENCODED}"


def failure_of(error: Exception, what: str, url: str, setting: str | None = None) -> DataSpaceError:
    """Return the error for a failed request or an interrupted body.

    Args:
        error: What was raised. Its text is not repeated, as it may hold a secret.
        what: Name of the requested resource.
        url: URL of the request.
        setting: As of `Endpoints.setting_of`.
    """
    causes = list(_causes(error))
    is_proxy = any(isinstance(one, urllib3.exceptions.ProxyError) for one in causes)
    peer = _Peer(url, setting, is_proxy)
    kind, words = _diagnosis(causes, peer)
    failure = kind(f"{what}: {words}.")
    failure.url = public_url(url)
    return failure


def refuse_unclear_proxy(what: str, url: str) -> None:
    """Refuse a proxy whose address is ambiguous, before anything is sent.

    Raises:
        ConfigurationError: Names the environment variable.
    """
    proxy = _Proxy.towards(url)
    if proxy and not _PROXY.fullmatch(proxy.address):
        kind, words = proxy.unusable()
        raise kind(f"{what}: {words}.")


def proxy_hint(url: str) -> str:
    """Return a hint at the proxy that an http URL is requested through; empty without one."""
    proxy = _Proxy.towards(url) if url.startswith("http:") else None
    if proxy is None:
        return ""
    return (
        f" It came through {proxy} of {proxy.variable}; add hosts that need no proxy to NO_PROXY."
    )


def proxy_login_required(url: str) -> str:
    """Return the explanation of a proxy's 407."""
    proxy = _Proxy.towards(url)
    if proxy is None:
        return f"{urlsplit(url).netloc} responds like a proxy that requires a login (HTTP 407)"
    is_given = "@" in proxy.address
    wants = "refuses the login" if is_given else "requires a login, and there is none"
    return f"{proxy} {wants} in {proxy.variable} (HTTP 407); {_ENCODED}"


def _diagnosis(causes: list[BaseException], peer: _Peer) -> Diagnosis:
    if isinstance(causes[0], ValueError):  # nothing was sent
        return _address(causes[0], peer)
    for kind, explain in _EXPLAINED:
        for cause in causes:
            diagnosis = explain(cause, peer) if isinstance(cause, kind) else None
            if diagnosis:
                return diagnosis
    why = type(causes[-1]).__name__
    return ServiceUnavailableError, f"the connection to {peer} failed ({why}); try again"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes, the innermost last."""
    yield error
    behind = (*error.args, getattr(error, "reason", None), error.__cause__)
    for one in behind:
        if isinstance(one, BaseException):
            yield from _causes(one)


def _certificate(error: ssl.SSLCertVerificationError, peer: _Peer) -> Diagnosis:
    said = error.verify_message.rstrip(".")
    if error.verify_code in {_EARLY, _EXPIRED}:
        return _dated(error.verify_code, peer)
    if error.verify_code in {_OTHER_HOST, _OTHER_ADDRESS}:
        where = peer.entered or "whether a login page of this network responds instead"
        words = f"{peer} shows another host's certificate ({said}); check {where}"
        return ConfigurationError, words
    proxy = None if peer.is_proxy else _Proxy.towards(peer.url)
    through = f", reached through {proxy}," if proxy else ""
    return ConfigurationError, (
        f"the certificate of {peer}{through} is not trusted here ({said}). If the network replaces "
        "certificates, or the host has a private one, add the certificate of their authority to "
        f"the file that {_bundle()} names, in the environment of all components"
    )


def _dated(diagnosis: int, peer: _Peer) -> Diagnosis:
    """Return the diagnosis of a certificate that has expired or is not valid yet."""
    state = "is not valid yet" if diagnosis == _EARLY else "has expired"
    return ConfigurationError if diagnosis == _EARLY else peer.kind, (
        f"the certificate of {peer} {state} by the clock of this machine, which says "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Set the clock; if it is right, the certificate "
        "must be renewed"
    )


def _tls(error: ssl.SSLError, peer: _Peer) -> Diagnosis:
    reason = error.reason or type(error).__name__
    if error.library in _OF_FILES:
        return ConfigurationError, _no_bundle()
    if reason in _NO_TLS:
        where = peer.entered or "the proxies and gateways of this network"
        return (
            peer.kind,
            f"{peer} does not use TLS ({reason}); check {where}: http or https, the port",
        )
    return ServiceUnavailableError, f"no secure connection to {peer} ({reason}); try again"


def _name(error: socket.gaierror, peer: _Peer) -> Diagnosis:
    if error.errno not in _UNKNOWN_NAME:
        words = f"{peer} could not be resolved, the name server does not respond; try again"
        return ServiceUnavailableError, words
    advice = (
        f"check {peer.entered}"
        if peer.entered
        else "check that this machine reaches the internet; if through a proxy, set HTTPS_PROXY"
    )
    return peer.kind, f"the name of {peer} is unknown to the name server; {advice}"


def _refused_or_no_file(error: OSError, peer: _Peer) -> Diagnosis | None:
    """Return the diagnosis of a proxy that refused the tunnel, or of a missing certificate file."""
    bundle = os.environ.get(_bundle())
    if bundle and not os.access(bundle, os.R_OK) and peer.url.startswith("https:"):
        return ConfigurationError, _no_bundle()
    match = _TUNNEL.match(str(error))
    if match is None:
        return None
    status = int(match[1])
    if status == requests.codes.proxy_authentication_required:
        return ConfigurationError, proxy_login_required(peer.url)
    words = f"{peer} responds HTTP {status} instead of connecting to {peer.host}"
    if status in _PASSING or status >= requests.codes.server_error:
        return ServiceUnavailableError, f"{words}; try again, and check that name"
    return ConfigurationError, f"{words}; its administrator must allow that host"


def _address(error: ValueError, peer: _Peer) -> Diagnosis:
    proxy = _Proxy.towards(peer.url)
    if proxy:
        return proxy.unusable()
    where = peer.setting or peer.host
    return ConfigurationError, f"the address of {where} cannot be used ({type(error).__name__})"


def _no_connection(error: urllib3.exceptions.ConnectTimeoutError, peer: _Peer) -> Diagnosis | None:
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a subclass, not a timeout
        return None
    return ServiceUnavailableError, (
        f"connection to {peer} timed out; try again. If the network allows connections only "
        "through a proxy, set HTTPS_PROXY"
    )


def _bundle() -> str:
    return next(filter(os.environ.get, _BUNDLES), _BUNDLES[0])


def _no_bundle() -> str:
    return f"{_bundle()} in the environment does not name a certificate file; correct it"


_EXPLAINED: Final[tuple[tuple[type[Exception], Callable[[Any, _Peer], Diagnosis | None]], ...]] = (
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (socket.gaierror, _name),
    (OSError, _refused_or_no_file),
    (urllib3.exceptions.ConnectTimeoutError, _no_connection),
)
"""Explanations by class of the cause, subclasses first."""
