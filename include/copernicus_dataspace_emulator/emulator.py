"""The emulator as an object: services, catalogue, clock and scripted faults.

A context manager; it releases its ports and removes its files at the end.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from copernicus_dataspace_emulator.catalogue.service import ROOT, Catalogue
from copernicus_dataspace_emulator.catalogue.subscription_service import SubscriptionPaths
from copernicus_dataspace_emulator.catalogue.subscriptions import Subscriptions
from copernicus_dataspace_emulator.download.errors import Errors
from copernicus_dataspace_emulator.download.service import Download
from copernicus_dataspace_emulator.download.slots import Slots
from copernicus_dataspace_emulator.download.transfer_limits import Lanes
from copernicus_dataspace_emulator.faults.script import Faults
from copernicus_dataspace_emulator.holdings.clock import Clock
from copernicus_dataspace_emulator.holdings.stock import Stock, check_cause
from copernicus_dataspace_emulator.http.messages import Record, Service
from copernicus_dataspace_emulator.http.request_rate import Rate
from copernicus_dataspace_emulator.identity.accounts import Accounts
from copernicus_dataspace_emulator.identity.service import REALM, Identity
from copernicus_dataspace_emulator.identity.tokens import Tokens
from copernicus_dataspace_emulator.products.product import Product, from_recipe, from_zip
from copernicus_dataspace_emulator.products.recipe import Recipe, instant
from copernicus_dataspace_emulator.s3.bucket import Bucket
from copernicus_dataspace_emulator.s3.service import S3
from copernicus_dataspace_emulator.s3.signature import Keys
from copernicus_dataspace_emulator.server import Host, Line
from copernicus_dataspace_emulator.settings import Settings
from copernicus_dataspace_emulator.stac.assets import Addresses
from copernicus_dataspace_emulator.stac.service import ROOT as STAC_ROOT
from copernicus_dataspace_emulator.stac.service import Stac

_HTTPS_PORT: Final = 443


def _rate(most: float | None, seconds: int) -> Rate | None:
    return None if most is None else Rate.of(most, seconds)


@dataclass
class Emulator(Settings):
    """A local Copernicus Data Space."""

    def __post_init__(self) -> None:
        self._stock, self._clock = Stock(), Clock(self.clock_speed)
        self._listed = self._stock.listed
        accounts = Accounts(self.users, self.single_use_codes, self.most_wrong_logins)
        self._tokens = Tokens(
            accounts,
            self.token_lifetime_s,
            self.refresh_lifetime_s,
            self.single_use_refresh_tokens,
        )
        self._slots = Slots(self.max_connections, self.late_release_s)
        self._line = Line(self.latency_s, self.bytes_per_s)
        self._folder = tempfile.TemporaryDirectory(prefix="dataspace_emulator_")
        self._hosts = [
            Host((self.host, port), service, self._line)
            for port, service in zip(self.ports, self._services(), strict=True)
        ]
        self._tokens.issuer = self.identity_url
        for path in sorted(Path(self.folder).glob("*.zip")) if self.folder else ():
            self.add_zip(path)

    def _services(self) -> tuple[Service, ...]:
        """Identity, catalogue, download, STAC and S3."""
        lanes = Lanes(self._slots, self.quota_bytes, self.clock)
        return (
            Identity(self._tokens, lambda: self.identity_url),
            Catalogue(
                self._listed,
                self._stock.deleted,
                self.clock,
                lambda: self.catalogue_url,
                lambda: self.download_url,
                self._stock.rewritten,
                SubscriptionPaths(
                    Subscriptions(self._stock, self.clock, lambda: self.catalogue_url),
                    lambda request: self._tokens.judge(request.token, request.flaw)[1],
                ),
                _rate(self.catalogue_requests_per_s, 1),
                self.explains_errors,
            ),
            Download(
                self._listed,
                self._tokens,
                lanes,
                self.clock,
                lambda: self.download_url,
                self.ranges,
                Errors(self.legacy_errors, self.offline_status, self.retry_after_s),
                self.cuts_at_expiry,
            ),
            Stac(self._listed, self.clock, self._addresses, _rate(self.stac_requests_per_s, 1)),
            S3(
                Bucket(self._listed, self.clock),
                Keys(self.s3_access_key, self.s3_secret_key),
                lanes,
                next(iter(self.users)),
                _rate(self.s3_requests_per_minute, 60),
            ),
        )

    def __enter__(self) -> Self:
        """Start the services."""
        for host in self._hosts:
            host.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the services, and delete generated files."""
        with ThreadPoolExecutor(len(self._hosts)) as pool:  # each waits for its own loop
            list(pool.map(Host.stop, self._hosts))
        self._folder.cleanup()

    def clock(self) -> datetime:
        """Current time of the catalogue."""
        return self._clock.read(self.now)

    def _url(self, place: int, path: str) -> str:
        return f"http://{self.public_host or self.host}:{self._hosts[place].port}{path}"

    @property
    def identity_url(self) -> str:
        """URL of the realm."""
        return self._url(0, REALM)

    @property
    def catalogue_url(self) -> str:
        """URL of the catalogue."""
        return self._url(1, ROOT)

    @property
    def download_url(self) -> str:
        """URL of the download service."""
        return self._url(2, ROOT)

    @property
    def stac_url(self) -> str:
        """URL of the STAC API."""
        return self._url(3, STAC_ROOT)

    @property
    def s3_endpoint_url(self) -> str:
        """URL of S3; the bucket is ``eodata``, the region ``default``."""
        return self._url(4, "")

    @property
    def s3_keys(self) -> dict[str, str]:
        """The S3 keys, with the field names of the library's settings."""
        return {"s3_access_key": self.s3_access_key, "s3_secret_key": self.s3_secret_key}

    def _addresses(self) -> Addresses:
        return Addresses(
            stac=self.stac_url,
            identity=self.identity_url,
            catalogue=self.catalogue_url,
            download=self.download_url,
            zipper=f"http://zipper.localhost:{self._hosts[2].port}{ROOT}",
            s3=self.s3_endpoint_url,
        )

    @property
    def faults(self) -> Faults:
        """The scripted faults."""
        return self._line.faults

    @property
    def requests(self) -> list[Record]:
        """The request log, in order of arrival."""
        return self._line.journal

    @property
    def grants(self) -> Counter[str]:
        """Number of granted tokens by grant type."""
        return self._tokens.grants

    @property
    def peak_connections(self) -> int:
        """Maximum number of concurrent transfers an account had or tried to start."""
        return self._slots.peak

    def connection(self, **extra: Any) -> dict[str, Any]:
        """Return an Airflow connection to this emulator for its first user."""
        login, user = next(iter(self.users.items()))
        urls = {
            "identity_url": self.identity_url,
            "catalogue_url": self.catalogue_url,
            "download_url": self.download_url,
            "stac_url": self.stac_url,
            "s3_endpoint_url": self.s3_endpoint_url,
        }
        return {
            "conn_type": "copernicus",
            "login": login,
            "password": user.password,
            "port": _HTTPS_PORT,
            "extra": urls | extra,
        }

    def add(self, recipe: Recipe) -> Product:
        """Offer a synthetic product; its files are generated when first needed."""
        return self._offered(from_recipe(recipe, Path(self._folder.name)))

    def add_zip(self, path: Path | str) -> Product:
        """Offer a real product zip."""
        return self._offered(from_zip(Path(path)))

    def _offered(self, product: Product) -> Product:
        return self._stock.add(product)

    def remove(
        self, product_id: str, cause: str = "Obsolete product", at: str | None = None
    ) -> None:
        """Delete a product, now or at an ISO time; it is then listed in ``DeletedProducts``.

        Raises:
            KeyError: It is not offered.
            ValueError: The service has no such cause.
        """
        check_cause(cause)
        if at is None:
            self._stock.remove(product_id, cause, self.clock())
            return
        self._clock.at(
            self.now, instant(at), lambda moment: self._stock.remove(product_id, cause, moment)
        )

    def touch(self, *product_ids: str) -> None:
        """Change only the ModificationDate of products.

        Raises:
            KeyError: A product is not offered.
        """
        self._stock.touch(product_ids, self.clock())

    def exchange(self, product_id: str, **changes: Any) -> Product:
        """Offer other files under the same id and name; ``changes`` apply to the recipe.

        Raises:
            KeyError: It is not offered.
            ValueError: It would have another name, or is a real zip.
        """
        return self._stock.exchange(product_id, self.clock(), changes)

    def rewrite(self, product_id: str, change: Callable[[Any], Any]) -> None:
        """Modify the row of a product by a function, for example to an invalid one.

        Searches still use the true values, and downloads are unchanged.
        """
        self._stock.rewritten[product_id] = change

    def expire_tokens(self) -> None:
        """Expire all access tokens."""
        self._tokens.expire_tokens()

    def end_sessions(self) -> None:
        """Expire all refresh tokens."""
        self._tokens.end_sessions()
