"""Puts the parts together: one client for one account of the service."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from dataspace.auth import Account, TokenSource
from dataspace.catalogue import Catalogue
from dataspace.downloads import Downloads
from dataspace.errors import ConfigurationError
from dataspace.host_state import HostState
from dataspace.http import Http
from dataspace.pace import Pace
from dataspace.retries import BRIEF, PACED, PATIENT, Retries
from dataspace.stac import Stac
from dataspace.transports import S3, Https, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dataspace.endpoints import Endpoints
    from dataspace.errors import TransientError
    from dataspace.s3 import S3Keys
    from dataspace.traffic import Traffic

TRANSPORTS: Final = ("auto", "https", "s3")


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves towards the service.

    Attributes:
        connections: Transfers at once, over all transports.
        spacing_s: Least time in seconds between the starts of two requests.
        transport: ``auto`` takes single files from the object store where there are keys, and from
            the download service where that fails; ``https`` and ``s3`` allow one of them only.
            Zips come from the download service in any case.
        s3_keys: None where the account has none.
        state_dir: Folder in which the clients of one host tell each other how long the service
            keeps slots; None for a client that keeps that to itself.
    """

    connections: int = 1
    spacing_s: float = 0.0
    transport: str = "auto"
    s3_keys: S3Keys | None = None
    state_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.connections < 1:
            message = f"max_connections is {self.connections}; an account has 1 or more."
            raise ConfigurationError(message)
        if self.transport not in TRANSPORTS:
            message = f"transport {self.transport!r} is unknown; write {', '.join(TRANSPORTS)}."
            raise ConfigurationError(message)
        if self.transport == "s3" and self.s3_keys is None:
            message = "transport 's3' needs s3_access_key and s3_secret_key in the connection."
            raise ConfigurationError(message)


class DataSpaceClient:
    """One account's access to the service; use it with ``with``, or close it.

    Nothing is sent before something is asked for; searching needs no account. Several threads may
    use one client.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        account: Account,
        *,
        manners: Manners | None = None,
        on_new_token: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Create the client.

        Args:
            endpoints: Where the service is.
            account: Who downloads.
            manners: How to behave; None for one transfer at a time.
            on_new_token: Called with every new secret, so that logs can be masked.
            sleep: Waits that many seconds; None for a wait that `stop` ends.
        """
        self._endpoints = endpoints
        self._account = account
        self._manners = manners or Manners()
        self._on_new_token = on_new_token
        self._http = Http(endpoints, spacing_s=self._manners.spacing_s, sleep=sleep)

    @property
    def traffic(self) -> Traffic:
        """What has been moved so far."""
        return self._http.traffic

    @property
    def address(self) -> str:
        """Where products come from; empty where no such part of the service is set."""
        return self._endpoints.download_url or self._endpoints.s3_endpoint_url or ""

    @property
    def connections(self) -> int:
        """Transfers at once."""
        return self._manners.connections

    @cached_property
    def catalogue(self) -> Catalogue:
        """The search."""
        url = self._endpoints.require("catalogue_url")
        return Catalogue(self._http, url, self._retries())

    @cached_property
    def stac(self) -> Stac | None:
        """The list of many products' files; None where it is switched off."""
        url = self._endpoints.stac_url
        return Stac(self._http, url, self._retries(BRIEF)) if url else None

    @cached_property
    def tokens(self) -> TokenSource:
        """The account's session, one for the life of this client."""
        return TokenSource(
            self._http,
            self._endpoints.require("identity_url"),
            self._account,
            retries=self._retries(),
            on_new_token=self._on_new_token,
        )

    @cached_property
    def downloads(self) -> Downloads:
        """The bytes."""
        https = Https(self._http, self._endpoints.require("download_url"), self.tokens)
        return Downloads(self._transports(https), https, self._pace, self._retries(PACED))

    @cached_property
    def _pace(self) -> Pace:
        manners, host = self._manners, None
        if manners.state_dir:
            key = f"{self._endpoints.identity_url} {self._account.username}"
            host = HostState(manners.state_dir, key)
        return Pace(
            manners.connections,
            host=host,
            on_wait=self.traffic.waited,
            on_retry=self.traffic.tried_again,
        )

    def _retries(self, attempts: Mapping[type[TransientError], int] = PATIENT) -> Retries:
        return Retries(self._http.wait, attempts, self.traffic.tried_again)

    def _transports(self, https: Https) -> list[Transport]:
        manners, url = self._manners, self._endpoints.s3_endpoint_url
        if manners.transport == "https" or manners.s3_keys is None:
            return [https]
        if manners.transport == "s3":
            store = S3(self._http, self._endpoints.require("s3_endpoint_url"), manners.s3_keys)
            return [store]
        return [S3(self._http, url, manners.s3_keys), https] if url else [https]

    def try_account(self) -> None:
        """Log in, so that a refused password is found before many tasks try it.

        Nothing is tried for an account with a second factor, whose codes may serve once only.

        Raises:
            CredentialsError: The account was refused.
            TransientError: The identity service cannot be reached.
        """
        if not self._account.totp_secret:
            self.tokens.token()

    def stop(self) -> None:
        """Let what other threads are doing end soon, with `StoppedError`."""
        self._pace.stop()
        self._http.stop()

    def close(self) -> None:
        """End the session and close all connections."""
        if "tokens" in self.__dict__:
            self.tokens.end()
        if "_pace" in self.__dict__:
            self._pace.close()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
