"""Puts the parts together: one client for one account of the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from dataspace.auth import Account, TokenSource
from dataspace.catalogue import Catalogue
from dataspace.downloads import Downloads
from dataspace.http import Http
from dataspace.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from dataspace.endpoints import Endpoints
    from dataspace.http import Traffic


class DataSpaceClient:
    """One account's access to the service; use it with ``with``, or close it.

    Nothing is sent before something is asked for; searching needs no account.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        account: Account,
        *,
        spacing_s: float = 0.0,
        on_new_token: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the client.

        Args:
            endpoints: Where the service is.
            account: Who downloads.
            spacing_s: Least time in seconds between two requests.
            on_new_token: Called with every new secret, so that logs can be masked.
            sleep: Waits that many seconds.
        """
        self._endpoints = endpoints
        self._account = account
        self._on_new_token = on_new_token
        self._http = Http(endpoints, spacing_s=spacing_s, sleep=sleep)
        self._retries = Retries(sleep)
        self._tokens: TokenSource | None = None

    @property
    def traffic(self) -> Traffic:
        """What has been moved so far."""
        return self._http.traffic

    @property
    def catalogue(self) -> Catalogue:
        """The search."""
        return Catalogue(self._http, self._endpoints.require("catalogue_url"), self._retries)

    @property
    def tokens(self) -> TokenSource:
        """The account's session, one for the life of this client."""
        if self._tokens is None:
            self._tokens = TokenSource(
                self._http,
                self._endpoints.require("identity_url"),
                self._account,
                retries=self._retries,
                on_new_token=self._on_new_token,
            )
        return self._tokens

    @property
    def downloads(self) -> Downloads:
        """The bytes."""
        url = self._endpoints.require("download_url")
        return Downloads(self._http, url, self.tokens, self._retries)

    def try_account(self) -> None:
        """Log in, so that a refused password is found before many tasks try it.

        Nothing is tried for an account with a second factor, whose codes may serve once only.

        Raises:
            CredentialsError: The account was refused.
            TransientError: The identity service cannot be reached.
        """
        if not self._account.totp_secret:
            self.tokens.token()

    def close(self) -> None:
        """End the session and close all connections."""
        if self._tokens is not None:
            self._tokens.end()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
