"""Base URLs of the service, and which hosts are its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SERVICE_DOMAIN: Final = ".dataspace.copernicus.eu"
_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without blanks and the backslash, which some parsers treat as a slash."""
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without a trailing slash; None for a service that is off.

    The defaults are those of the real service,
    https://documentation.dataspace.copernicus.eu/APIs/OData.html.
    """

    identity_url: str | None = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE"
    catalogue_url: str | None = "https://catalogue.dataspace.copernicus.eu/odata/v1"
    download_url: str | None = "https://download.dataspace.copernicus.eu/odata/v1"
    stac_url: str | None = "https://stac.dataspace.copernicus.eu/v1"
    s3_endpoint_url: str | None = "https://eodata.dataspace.copernicus.eu"

    @classmethod
    def resolve(cls, **overrides: str | None) -> Self:
        """Return the real service, or only what is overridden.

        As soon as one URL is given, the others are off, so that a test never reaches the real
        service by accident.

        Raises:
            ConfigurationError: A URL is malformed.
        """
        given = {name: _base_url(name, url) for name, url in overrides.items() if url}
        if not given:
            return cls()
        return cls(**{field.name: given.get(field.name) for field in fields(cls)})

    def require(self, name: str) -> str:
        """Return a base URL.

        Raises:
            ConfigurationError: This service is off.
        """
        url: str | None = getattr(self, name)
        if url is None:
            message = (
                f"{name} is not set although other URLs are; set it too, or remove the others to "
                "use the real service."
            )
            raise ConfigurationError(message)
        return url

    def owns(self, url: str) -> bool:
        """Tell whether a URL is of the service itself, so that a token may be sent there."""
        target = _origin(url)
        own = self._origins().values()
        if target is None or target in own:
            return target is not None
        return _is_service(target) and all(one.host.endswith(_SERVICE_DOMAIN) for one in own)

    def setting_of(self, url: str) -> str | None:
        """Return the setting with the base URL of a host; None for the service's own hosts."""
        target, own = _origin(url), {_origin(str(field.default)) for field in fields(self)}
        entered = (name for name, one in self._origins().items() if one == target)
        return None if target in own else next(entered, None)

    def untrusted(self, trusted: Iterable[str]) -> dict[str, str]:
        """Return the hosts, by name of the URL, that credentials must not be sent to.

        Trusted are the real service over https, the addresses of this machine, and those given.

        Args:
            trusted: ``host``, for all its ports, or ``host:port``; IPv6 addresses in brackets.

        Raises:
            ConfigurationError: An entry is invalid; raised only if it is needed.
        """
        others = {
            name: origin
            for name, origin in self._origins().items()
            if not _is_service(origin) and not _is_loopback(origin.host)
        }
        known = set(map(_entry, trusted)) if others else set()
        return {
            name: str(origin)
            for name, origin in others.items()
            if not known & {(origin.host, None), (origin.host, origin.port)}
        }

    def _origins(self) -> dict[str, _Origin]:
        bases = {field.name: getattr(self, field.name) for field in fields(self)}
        origins = {name: _origin(base) for name, base in bases.items() if base}
        return {name: origin for name, origin in origins.items() if origin}


def _origin(url: str) -> _Origin | None:
    """Return the origin of a URL; None if parsers may disagree about it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # invalid brackets or port
        return None
    host = _host(parts.hostname or "", is_bracketed=parts.netloc.startswith("["))
    if not _URL.fullmatch(url) or "@" in parts.netloc or parts.scheme not in _PORTS or not host:
        return None
    return _Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


def _host(text: str, *, is_bracketed: bool) -> str | None:
    """Return a host in canonical form: a name in lower case, or a compressed address."""
    if not is_bracketed:
        return text if _HOST.fullmatch(text) else None
    try:
        return None if "%" in text else str(IPv6Address(text))
    except AddressValueError:
        return None


def _is_service(origin: _Origin) -> bool:
    is_safe = origin.scheme == "https" and origin.port == _PORTS["https"]
    return is_safe and origin.host.endswith(_SERVICE_DOMAIN)


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: localhost or a loopback address."""
    if host in ("localhost", "::1"):
        return True
    try:
        return IPv4Address(host) in _LOOPBACK
    except AddressValueError:
        return False


def _entry(text: str) -> tuple[str, int | None]:
    origin = _origin(f"https://{text}")
    if origin is None or set(text) & set("/?#"):
        message = f"{text!r} is not a host; write host or host:port."
        raise ConfigurationError(message)
    return origin.host, urlsplit(f"//{text}").port


def _base_url(name: str, url: object) -> str:
    text = url.strip() if isinstance(url, str) else ""
    if set(text) & set("@?#"):
        message = f"{name} must not contain an account, a query or a fragment."
        raise ConfigurationError(message)
    if _origin(text) is None:
        message = (
            f"{name} is not an http or https URL in ASCII; write for example https://host/path."
        )
        raise ConfigurationError(message)
    return text.rstrip("/")


def public_url(url: str) -> str:
    """Return a URL without account and query, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
