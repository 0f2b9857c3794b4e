"""Access to all services of the Data Space with one account."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.auth.identity_service import Account, IdentityService
from copernicus_dataspace.auth.shared_session import LOCK_WAIT_S, TokenSource, without_failures
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.catalogue.search import Catalogue
from copernicus_dataspace.catalogue.stac_api import Stac
from copernicus_dataspace.download.downloader import Downloads
from copernicus_dataspace.download.transports import S3, Https, Transport
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.http.response import HttpLimits
from copernicus_dataspace.limits.backoff import Timing
from copernicus_dataspace.limits.retry import (
    BRIEF,
    FIRST_WAIT_S,
    PATIENT,
    REPLACEABLE,
    RetryLimits,
    RetryPolicy,
)
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace.limits.shared_limits import SharedTurns
from copernicus_dataspace.limits.transfer_slots import TransferSlots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from copernicus_dataspace.download.s3_signing import S3Keys
    from copernicus_dataspace.http.endpoints import Endpoints
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.transfer_statistics import TransferStatistics

logger = logging.getLogger(__name__)

TRANSPORTS: Final = ("auto", "https", "s3")


def _no_op(_secret: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options for installations of many processes.

    Attributes:
        request_spacing_s: Minimum time in seconds between the starts of two requests, over all
            clients that share a `state_dir`.
        quota_bytes: Bytes the account may transfer in thirty days; see `ingest.quota`.
        state_dir: Folder in which the clients of one host share the account's session, request
            spacing and learned limits; None to share nothing.
        on_new_token: Called with every new token, so that logs can be masked.
        is_interactive: Whether to retry only a few times because a person waits.
    """

    request_spacing_s: float = 0.0
    quota_bytes: float = math.inf
    state_dir: Path | None = None
    on_new_token: Callable[[str], None] = _no_op
    is_interactive: bool = False


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits of all requests of a client; tests lower them.

    Attributes:
        http: Limits of time and speed.
        patient: How often a request is repeated.
        replaceable: How often it is, by a transport that has a fallback.
        first_wait_s: Wait in seconds before the first repetition.
        slots: Durations of the back-off of transfer slots.
    """

    http: HttpLimits = field(default_factory=HttpLimits)
    patient: RetryLimits = PATIENT
    replaceable: RetryLimits = REPLACEABLE
    first_wait_s: float = FIRST_WAIT_S
    slots: Timing = field(default_factory=Timing)


SERVICE_LIMITS: Final = ServiceLimits()


class Service:
    """One account's access to the Data Space; use it with ``with``, or close it.

    Nothing is sent before the first call. Searching needs no account. Thread-safe.

    Attributes:
        connections: Concurrent transfers.
        stac: The STAC API; None if it is off.
        s3: The object store; None without keys, or if it is off.
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
        limits: ServiceLimits | None = None,
    ) -> None:
        """Check the settings; nothing is sent.

        Args:
            endpoints: Base URLs of the services.
            account: Account for login.
            connections: Concurrent transfers over all transports.
            transport: ``auto`` reads single files from the object store if there are keys, and
                falls back to the download service; ``https`` and ``s3`` allow only one of them.
                Zips always come from the download service.
            s3_keys: None if the account has none.
            options: Options of the installation; None for the defaults.
            sleep: Waits for a number of seconds; None for a wait that `stop` ends.
            limits: None for `SERVICE_LIMITS`.

        Raises:
            ConfigurationError: An argument is invalid or contradicts another one.
        """
        _check(connections, transport, s3_keys)
        self.connections = connections
        self._endpoints = endpoints
        self._account = account
        self._transport = transport
        self._options = options or ClientOptions()
        self._limits = limits = limits or SERVICE_LIMITS
        host = SharedFile(self._options.state_dir, self._key)
        spacing_s = self._options.request_spacing_s
        take_turn = SharedTurns(host, spacing_s).take if spacing_s else lambda: 0.0
        self._http = Http(endpoints, take_turn=take_turn, sleep=sleep, limits=limits.http)
        self._slots = TransferSlots(
            connections, host=host, statistics=self.statistics, timing=limits.slots
        )
        brief, patient = self._retries(BRIEF), self._retries(limits.patient)
        self._catalogue = Catalogue(
            self._http,
            endpoints.catalogue_url or "",
            brief if self._options.is_interactive else patient,
        )
        self.stac = Stac(self._http, endpoints.stac_url, brief) if endpoints.stac_url else None
        self._tokens = TokenSource(
            IdentityService(self._http, endpoints.identity_url or "", account, brief),
            lambda: self._session_host(lock_wait_s=LOCK_WAIT_S, pause=self._http.pause),
            on_new_token=self._options.on_new_token,
        )
        self._https = Https(self._http, endpoints.download_url or "", self._tokens)
        store_url = endpoints.s3_endpoint_url
        self.s3 = S3(self._http, store_url, s3_keys) if s3_keys and store_url else None
        store: list[Transport] = [self.s3] if self.s3 and transport != "https" else []
        transports = store if transport == "s3" else [*store, self._https]
        self._downloads = Downloads(
            transports,
            self._https,
            self._slots,
            patient,
            replaceable=limits.replaceable,
            look_up=self._look_up,
        )

    @property
    def statistics(self) -> TransferStatistics:
        """Transfer statistics of this client."""
        return self._http.statistics

    @property
    def address(self) -> str:
        """URL products are downloaded from; empty if none is set."""
        return self._endpoints.download_url or self._endpoints.s3_endpoint_url or ""

    @property
    def quota_bytes(self) -> float:
        """Bytes the account may transfer in thirty days."""
        return self._options.quota_bytes

    @property
    def account_id(self) -> str:
        """A hash of identity URL and user name that identifies the account."""
        return hashlib.sha256(self._key.encode()).hexdigest()[:16]

    @property
    def catalogue(self) -> Catalogue:
        """The OData catalogue."""
        self._endpoints.require("catalogue_url")
        return self._catalogue

    @property
    def tokens(self) -> TokenSource:
        """The account's session, one for all clients that share a `state_dir`."""
        self._endpoints.require("identity_url")
        return self._tokens

    @property
    def https(self) -> Https:
        """The download service."""
        for name in ("download_url", "identity_url"):
            self._endpoints.require(name)
        return self._https

    @property
    def downloads(self) -> Downloads:
        """Downloads over all transports."""
        needed = ("s3_endpoint_url",) if self._transport == "s3" else ()
        for name in (*needed, "download_url", "identity_url"):
            self._endpoints.require(name)
        return self._downloads

    def forget_failures(self) -> None:
        """Forget refused logins, so that the next client of this host tries to log in at once."""
        self._session_host().exchange(without_failures)

    def _session_host(self, **waiting: Any) -> SharedFile:
        key = f"session {self._key} {self._account.fingerprint()}"
        return SharedFile(self._options.state_dir, key, **waiting)

    def _look_up(self, product: Product) -> Product | None:
        """Return the product as it is listed now; None if it cannot be found."""
        query = Query(sensed=MISSION, product_ids=(product.id,))
        try:
            return next(iter(self.catalogue.find(query)), None)
        except DataSpaceError as error:
            logger.warning("%s: cannot be looked up in the catalogue: %s", product.stem, error)
            return None

    def _retries(self, limits: RetryLimits) -> RetryPolicy:
        return RetryPolicy(
            limits,
            wait=self._http.wait,
            statistics=self.statistics,
            first_wait_s=self._limits.first_wait_s,
        )

    @property
    def _key(self) -> str:
        return f"{self._endpoints.identity_url} {self._account.username}"

    def try_account(self) -> None:
        """Log in, so that a wrong password is found before many processes try it.

        Does nothing for an account with a second factor: a one-time code can be used only once.

        Raises:
            CredentialsError: The account was refused.
            TransientError: The identity service cannot be reached.
        """
        if not self._account.totp_secret:
            self.tokens.token()

    def stop(self) -> None:
        """Make all work in other threads end soon with `StoppedError`."""
        self._slots.stop()
        self._http.stop()

    def close(self) -> None:
        """End the session unless it is shared, and close all connections."""
        with contextlib.ExitStack() as steps:  # all of them, even if one is interrupted
            steps.callback(self._http.close)
            steps.callback(self._slots.close)
            steps.callback(self._tokens.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _check(connections: int, transport: str, s3_keys: S3Keys | None) -> None:
    if connections < 1:
        message = f"max_connections is {connections}; expected 1 or more."
        raise ConfigurationError(message)
    if transport not in TRANSPORTS:
        message = f"transport {transport!r} is unknown; write {', '.join(TRANSPORTS)}."
        raise ConfigurationError(message)
    if transport == "s3" and s3_keys is None:
        message = "transport 's3' needs s3_access_key and s3_secret_key."
        raise ConfigurationError(message)
