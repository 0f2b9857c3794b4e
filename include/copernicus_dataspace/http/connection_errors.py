"""Knows why no answer came: the name, the proxy, the certificate, the clock. Sends nothing.

What a person has entered may be wrong for good: an address other than the service's own, a proxy, a
file of certificates. The service's own hosts are never misspelt. So where the name of one of them
is unknown, or its certificate is old, that is an outage, of it or of this machine's network.
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
"""OpenSSL's verdicts on a certificate, X509_V_ERR_*."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
_OF_FILES: Final = ("X509", "PEM", "ASN1")
"""Parts of OpenSSL that read certificates, where those of a handshake are SSL's."""
_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_UNKNOWN_NAME: Final = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_PASSING: Final = (408, 425, 429)
_PROXY: Final = re.compile(
    r"([A-Za-z0-9+.-]+://)?([^/?#\\\s]*@)?"
    r"(?P<host>(\[[^]/?#@\\\s]+\]|[^]\[/?#@:\\\s]+)(:[0-9]+)?)/?"
)
"""What each reader takes for the same host: others may take a piece of the password for it."""
_ENCODED: Final = (
    "write http://user:password@host:port, with @ : / ? # % \\ of user and password as %40 %3A %2F "
    "%3F %23 %25 %5C"
)

Verdict = tuple[type[DataSpaceError], str]
"""The kind of error, and what is the matter."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """Who did not answer.

    Attributes:
        url: What was asked for.
        setting: The base URL that somebody entered for its host; None for the service's own hosts.
        is_proxy: Whether it is the proxy on the way there.
    """

    url: str
    setting: str | None
    is_proxy: bool

    def __str__(self) -> str:
        return str(_Proxy.towards(self.url)) if self.is_proxy else self.host

    @property
    def host(self) -> str:
        """The host that was asked."""
        return urlsplit(self.url).netloc

    @property
    def entered(self) -> str | None:
        """Where somebody entered its address; None for the service's own hosts."""
        proxy = _Proxy.towards(self.url) if self.is_proxy else None
        return proxy.variable if proxy else self.setting

    @property
    def kind(self) -> type[DataSpaceError]:
        """The kind of what does not pass where somebody entered the address."""
        return ConfigurationError if self.entered else ServiceUnavailableError


@dataclass(frozen=True, slots=True)
class _Proxy:
    """The proxy towards an address, and the variable of the environment that names it."""

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

    def unusable(self) -> Verdict:
        """Return what is wrong where its address cannot be used."""
        return ConfigurationError, f"{self.variable} names no proxy that can be used; {_ENCODED}"


def failure_of(error: Exception, what: str, url: str, setting: str | None = None) -> DataSpaceError:
    """Return the error that a failed request, or a body that broke off, stands for.

    Args:
        error: What was raised. Its text, which may hold a secret, is not repeated.
        what: Name of the thing asked for.
        url: Where it was asked for.
        setting: As of `Endpoints.setting_of`.
    """
    causes = list(_causes(error))
    is_proxy = any(isinstance(one, urllib3.exceptions.ProxyError) for one in causes)
    peer = _Peer(url, setting, is_proxy)
    kind, words = _verdict(causes, peer)
    failure = kind(f"{what}: {words}.")
    failure.url = public_url(url)
    return failure


def refuse_unclear_proxy(what: str, url: str) -> None:
    """Refuse a proxy whose address may be read in two ways, before anything is sent.

    Raises:
        ConfigurationError: Names the variable of the environment.
    """
    proxy = _Proxy.towards(url)
    if proxy and not _PROXY.fullmatch(proxy.address):
        kind, words = proxy.unusable()
        raise kind(f"{what}: {words}.")


def way_of(url: str) -> str:
    """Return which proxy answers for an address by http; empty where there is none."""
    proxy = _Proxy.towards(url) if url.startswith("http:") else None
    if proxy is None:
        return ""
    return f" It came by {proxy} of {proxy.variable}; what needs none is named in NO_PROXY."


def login_wanted(url: str) -> str:
    """Return what a proxy that answers 407 wants, and where that is written."""
    proxy = _Proxy.towards(url)
    if proxy is None:
        return f"{urlsplit(url).netloc} answers as a proxy, and wants a login (HTTP 407)"
    is_given = "@" in proxy.address
    wants = "refuses the login given" if is_given else "wants a login, and none is given"
    return f"{proxy} {wants} in {proxy.variable} (HTTP 407); {_ENCODED}"


def _verdict(causes: list[BaseException], peer: _Peer) -> Verdict:
    if isinstance(causes[0], ValueError):  # nothing was sent
        return _address(causes[0], peer)
    for kind, explain in _EXPLAINED:
        for cause in causes:
            verdict = explain(cause, peer) if isinstance(cause, kind) else None
            if verdict:
                return verdict
    why = type(causes[-1]).__name__
    return ServiceUnavailableError, f"the connection to {peer} failed ({why}); try again"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that lies behind it, the innermost last."""
    yield error
    behind = (*error.args, getattr(error, "reason", None), error.__cause__)
    for one in behind:
        if isinstance(one, BaseException):
            yield from _causes(one)


def _certificate(error: ssl.SSLCertVerificationError, peer: _Peer) -> Verdict:
    said = error.verify_message.rstrip(".")
    if error.verify_code in {_EARLY, _EXPIRED}:
        return _dated(error.verify_code, peer)
    if error.verify_code in {_OTHER_HOST, _OTHER_ADDRESS}:
        where = peer.entered or "whether a login page of this network answers instead"
        words = f"{peer} shows another host's certificate ({said}); check {where}"
        return ConfigurationError, words
    proxy = None if peer.is_proxy else _Proxy.towards(peer.url)
    through = f", reached through {proxy}," if proxy else ""
    return ConfigurationError, (
        f"the certificate of {peer}{through} is not trusted here ({said}). Where the network puts "
        "certificates of its own in place, or the host has such a one, add that of their authority "
        f"to the file that {_bundle()} names, in the environment of all components"
    )


def _dated(verdict: int, peer: _Peer) -> Verdict:
    """Return what to do about a certificate that is not of today: no server shows one of later."""
    state = "is not valid yet" if verdict == _EARLY else "has expired"
    return ConfigurationError if verdict == _EARLY else peer.kind, (
        f"the certificate of {peer} {state} by the clock of this machine, which says "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Set the clock; if it is right, the certificate "
        "must be renewed"
    )


def _tls(error: ssl.SSLError, peer: _Peer) -> Verdict:
    reason = error.reason or type(error).__name__
    if error.library in _OF_FILES:
        return ConfigurationError, _no_bundle()
    if reason in _NO_TLS:
        where = peer.entered or "what this network has in between"
        return peer.kind, f"{peer} speaks no TLS ({reason}); check {where}: http or https, the port"
    return ServiceUnavailableError, f"no secure connection to {peer} ({reason}); try again"


def _name(error: socket.gaierror, peer: _Peer) -> Verdict:
    if error.errno not in _UNKNOWN_NAME:
        words = f"{peer} could not be looked up, the name server does not answer; try again"
        return ServiceUnavailableError, words
    advice = (
        f"check {peer.entered}"
        if peer.entered
        else "does this machine reach the internet? If by a proxy, name that in HTTPS_PROXY"
    )
    return peer.kind, f"the name of {peer} is unknown to the name server; {advice}"


def _refused_or_no_file(error: OSError, peer: _Peer) -> Verdict | None:
    """Return what a proxy answered instead of leading on, or that there are no certificates."""
    bundle = os.environ.get(_bundle())
    if bundle and not os.access(bundle, os.R_OK) and peer.url.startswith("https:"):
        return ConfigurationError, _no_bundle()
    match = _TUNNEL.match(str(error))
    if match is None:
        return None
    status = int(match[1])
    if status == requests.codes.proxy_authentication_required:
        return ConfigurationError, login_wanted(peer.url)
    words = f"{peer} answers HTTP {status} instead of leading to {peer.host}"
    if status in _PASSING or status >= requests.codes.server_error:
        return ServiceUnavailableError, f"{words}; try again, and see whether that name is right"
    return ConfigurationError, f"{words}; whoever keeps it must allow that host"


def _address(error: ValueError, peer: _Peer) -> Verdict:
    proxy = _Proxy.towards(peer.url)
    if proxy:
        return proxy.unusable()
    where = peer.setting or peer.host
    return ConfigurationError, f"the address of {where} cannot be used ({type(error).__name__})"


def _no_connection(error: urllib3.exceptions.ConnectTimeoutError, peer: _Peer) -> Verdict | None:
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # which need not be late
        return None
    return ServiceUnavailableError, (
        f"no connection to {peer} in time; try again. Where the network lets nothing out but "
        "through a proxy, name that in HTTPS_PROXY"
    )


def _bundle() -> str:
    return next(filter(os.environ.get, _BUNDLES), _BUNDLES[0])


def _no_bundle() -> str:
    return f"{_bundle()} in the environment names no file of certificates; correct it"


_EXPLAINED: Final[tuple[tuple[type[Exception], Callable[[Any, _Peer], Verdict | None]], ...]] = (
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (socket.gaierror, _name),
    (OSError, _refused_or_no_file),
    (urllib3.exceptions.ConnectTimeoutError, _no_connection),
)
"""What explains an error, by what lies behind it; a special kind comes before the general one."""
