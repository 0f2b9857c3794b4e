"""Knows the addresses of the service and which hosts are its own; opens no sockets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from dataspace.errors import ConfigurationError

_SERVICE_DOMAIN: Final = ".dataspace.copernicus.eu"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without a trailing slash; None for a part of the service that is off.

    The defaults are the real service's,
    https://documentation.dataspace.copernicus.eu/APIs/OData.html.
    """

    identity_url: str | None = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE"
    catalogue_url: str | None = "https://catalogue.dataspace.copernicus.eu/odata/v1"
    download_url: str | None = "https://download.dataspace.copernicus.eu/odata/v1"
    stac_url: str | None = "https://stac.dataspace.copernicus.eu/v1"
    s3_endpoint_url: str | None = "https://eodata.dataspace.copernicus.eu"

    @classmethod
    def resolve(cls, **overrides: str | None) -> Self:
        """Return the real service, or exactly what is overridden.

        As soon as one URL is given, those not given are off: a rehearsal never reaches the real
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
            ConfigurationError: This part of the service is off.
        """
        url: str | None = getattr(self, name)
        if url is None:
            message = (
                f"{name} is not set although other URLs of the connection are; "
                f"set it in the connection's extra, or remove the others to use the real service."
            )
            raise ConfigurationError(message)
        return url

    def owns(self, url: str) -> bool:
        """Tell whether a URL leads to the service itself, so that a token may travel there."""
        try:
            return self._holds(urlsplit(url))
        except ValueError:  # brackets or a port that mean nothing
            return False

    def _holds(self, target: SplitResult) -> bool:
        bases = [urlsplit(base) for field in fields(self) if (base := getattr(self, field.name))]
        if target.username is None and any(_origin(target) == _origin(base) for base in bases):
            return True
        is_real = all((base.hostname or "").endswith(_SERVICE_DOMAIN) for base in bases)
        return (
            is_real
            and target.scheme == "https"
            and target.port in (None, 443)
            and target.username is None
            and (target.hostname or "").endswith(_SERVICE_DOMAIN)
        )


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _base_url(name: str, url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{name} is no http or https address; write for example https://host/path."
        raise ConfigurationError(message)
    if parts.username or parts.query or parts.fragment:
        message = f"{name} must hold neither account, query nor fragment."
        raise ConfigurationError(message)
    return url.strip().rstrip("/")
