"""Puts the parts together: one client for one account of the service."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from copernicus_dataspace.auth.identity_service import Account, Realm
from copernicus_dataspace.auth.shared_session import LOCK_WAIT_S, TokenSource, without_failures
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.catalogue.search import Catalogue
from copernicus_dataspace.catalogue.stac_api import Stac
from copernicus_dataspace.download.downloader import Downloads
from copernicus_dataspace.download.transports import S3, Https, Transport
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.limits.retry import BRIEF, PACED, PATIENT, Retries
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace.limits.shared_limits import SharedTurns
from copernicus_dataspace.limits.transfer_slots import TransferSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from copernicus_dataspace.download.s3_signing import S3Keys
    from copernicus_dataspace.errors import TransientError
    from copernicus_dataspace.http.endpoints import Endpoints
    from copernicus_dataspace.http.statistics import TransferStatistics
    from copernicus_dataspace.models.product import Product

logger = logging.getLogger(__name__)

TRANSPORTS: Final = ("auto", "https", "s3")

T = TypeVar("T")


class _once(cached_property[T]):  # noqa: N801 - read as a decorator
    """A cached property that is made once, though several threads ask for it at the same time."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> T:  # type: ignore[override]
        with instance.making:
            made: T = super().__get__(instance, owner)
            return made


def _no_op(_secret: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What only an installation of many processes needs to set.

    Attributes:
        request_spacing_s: Least time in seconds between the starts of two requests, of all clients
            that share a `state_dir`.
        quota_bytes: What the account may move in thirty days; see `ingest.quota`.
        state_dir: Folder in which the clients of one host share the account's session, its turns
            and what they learn about its limits; None for a client that keeps that to itself.
        on_new_token: Called with every new secret, so that logs can be masked.
        is_interactive: Whether little is tried again, for somebody who waits.
    """

    request_spacing_s: float = 0.0
    quota_bytes: float = math.inf
    state_dir: Path | None = None
    on_new_token: Callable[[str], None] = _no_op
    is_interactive: bool = False


class Service:
    """One account's access to the Data Space, part by part; use it with ``with``, or close it.

    Nothing is sent before something is asked for; searching needs no account. Several threads may
    use one.

    Attributes:
        connections: Transfers at once.
        before_transfer: Called before each transfer; what it raises ends the transfer.
    """

    def __init__(  # noqa: PLR0913
        self,
        endpoints: Endpoints,
        account: Account,
        *,
        connections: int = 1,
        transport: str = "auto",
        s3_keys: S3Keys | None = None,
        options: ClientOptions | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            endpoints: Where the service is.
            account: Who downloads.
            connections: Transfers at once, over all transports.
            transport: ``auto`` takes single files from the object store where there are keys, and
                from the download service where that fails; ``https`` and ``s3`` allow one of them
                only. Zips come from the download service in any case.
            s3_keys: None where the account has none.
            options: Of the installation; None for a client by itself.
            sleep: Waits that many seconds; None for a wait that `stop` ends.

        Raises:
            ConfigurationError: Two of these contradict each other.
        """
        _check(connections, transport, s3_keys)
        self.making = threading.RLock()
        self.connections = connections
        self.before_transfer: Callable[[], None] = lambda: None
        self._endpoints = endpoints
        self._account = account
        self._transport = transport
        self._s3_keys = s3_keys
        self._options = options or ClientOptions()
        self._host = SharedFile(self._options.state_dir, self._key)
        spacing_s = self._options.request_spacing_s
        take_turn = SharedTurns(self._host, spacing_s).take if spacing_s else lambda: 0.0
        self._http = Http(endpoints, take_turn=take_turn, sleep=sleep)
        self._attempts = BRIEF if self._options.is_interactive else PATIENT

    @property
    def statistics(self) -> TransferStatistics:
        """What has been moved so far."""
        return self._http.statistics

    @property
    def address(self) -> str:
        """Where products come from; empty where no such part of the service is set."""
        return self._endpoints.download_url or self._endpoints.s3_endpoint_url or ""

    @property
    def quota_bytes(self) -> float:
        """What the account may move in thirty days."""
        return self._options.quota_bytes

    @property
    def account_id(self) -> str:
        """A hash of the service's address and the user's name, which tells accounts apart."""
        return hashlib.sha256(self._key.encode()).hexdigest()[:16]

    @_once
    def catalogue(self) -> Catalogue:
        """The search."""
        url = self._endpoints.require("catalogue_url")
        return Catalogue(self._http, url, self._retries(self._attempts))

    @_once
    def stac(self) -> Stac | None:
        """The list of many products' files; None where it is switched off."""
        url = self._endpoints.stac_url
        return Stac(self._http, url, self._retries(BRIEF)) if url else None

    @_once
    def tokens(self) -> TokenSource:
        """The account's session, one for all clients that share a `state_dir`."""
        url = self._endpoints.require("identity_url")
        realm = Realm(self._http, url, self._account, self._retries(BRIEF))
        host = self._session_host(lock_wait_s=LOCK_WAIT_S, pause=self._http.pause)
        return TokenSource(realm, host, on_new_token=self._options.on_new_token)

    def forget_failures(self) -> None:
        """Let the next task of this host try at once what the identity service refused earlier."""
        self._session_host().exchange(without_failures)

    def _session_host(self, **waiting: Any) -> SharedFile:
        key = f"session {self._key} {self._account.fingerprint()}"
        return SharedFile(self._options.state_dir, key, **waiting)

    @_once
    def downloads(self) -> Downloads:
        """The bytes."""
        retries = self._retries(PACED)
        return Downloads(
            self._transports(),
            self.https,
            self._slots,
            retries,
            lambda: self.before_transfer(),  # noqa: PLW0108 - it may be set later
            self._listed_again,
        )

    def _listed_again(self, product: Product) -> Product | None:
        """Return what the catalogue says of a product by now; None where it does not say."""
        query = Query(sensed=MISSION, product_ids=(product.id,))
        try:
            return next(iter(self.catalogue.find(query)), None)
        except DataSpaceError as error:
            logger.warning("%s: not looked up again: %s", product.stem, error)
            return None

    @_once
    def https(self) -> Https:
        """The download service."""
        return Https(self._http, self._endpoints.require("download_url"), self.tokens)

    @_once
    def s3(self) -> S3 | None:
        """The object store; None without keys, or where it is switched off."""
        url = self._endpoints.s3_endpoint_url
        return S3(self._http, url, self._s3_keys) if self._s3_keys and url else None

    @_once
    def _slots(self) -> TransferSlots:
        return TransferSlots(
            self.connections,
            host=self._host,
            on_wait=self.statistics.waited,
            on_retry=self.statistics.tried_again,
        )

    def _retries(self, attempts: Mapping[type[TransientError], int]) -> Retries:
        return Retries(self._http.wait, attempts, self.statistics.tried_again)

    @property
    def _key(self) -> str:
        return f"{self._endpoints.identity_url} {self._account.username}"

    def _transports(self) -> list[Transport]:
        if self._transport == "s3":
            self._endpoints.require("s3_endpoint_url")
        store: list[Transport] = [self.s3] if self.s3 and self._transport != "https" else []
        return store if self._transport == "s3" else [*store, self.https]

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
        self._slots.stop()
        self._http.stop()

    def close(self) -> None:
        """End the session where it is this client's alone, and close all connections."""
        if "tokens" in self.__dict__:
            self.tokens.end()
        if "_pace" in self.__dict__:
            self._slots.close()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _check(connections: int, transport: str, s3_keys: S3Keys | None) -> None:
    if connections < 1:
        message = f"max_connections is {connections}; an account has 1 or more."
        raise ConfigurationError(message)
    if transport not in TRANSPORTS:
        message = f"transport {transport!r} is unknown; write {', '.join(TRANSPORTS)}."
        raise ConfigurationError(message)
    if transport == "s3" and s3_keys is None:
        message = "transport 's3' needs s3_access_key and s3_secret_key."
        raise ConfigurationError(message)
