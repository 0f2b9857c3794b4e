"""The stand-in as one object: services, catalogue, calendar and script.

Made for ``with``; what it binds and writes is gone afterwards.
"""

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from dataspace_emulator.catalogue import ROOT, Catalogue
from dataspace_emulator.download import Download
from dataspace_emulator.faults import Faults
from dataspace_emulator.identity import REALM, Identity
from dataspace_emulator.product import Product, from_recipe, from_zip
from dataspace_emulator.rate import Rate
from dataspace_emulator.recipe import Recipe, instant
from dataspace_emulator.rows import Row, Rows
from dataspace_emulator.s3 import S3
from dataspace_emulator.s3_bucket import Bucket
from dataspace_emulator.s3_signature import Keys
from dataspace_emulator.server import Host, Line
from dataspace_emulator.slots import Slots
from dataspace_emulator.stac import ROOT as STAC_ROOT
from dataspace_emulator.stac import Stac
from dataspace_emulator.stac_assets import Addresses
from dataspace_emulator.tokens import Tokens, User
from dataspace_emulator.wire import Record, Service

_CAUSES: Final = frozenset(
    {"Duplicated product", "Missing checksum", "Corrupted product", "Obsolete product", "Other"}
)
_HTTPS_PORT: Final = 443


def _rate(most: float | None, seconds: int) -> Rate | None:
    return None if most is None else Rate.of(most, seconds)


def _one_user() -> dict[str, User]:
    return {"user@example.org": User("correct horse")}


@dataclass
class Emulator:
    """A local Copernicus Data Space.

    ``now`` is the catalogue's calendar, an ISO text that may be set at any time; None lets
    the real clock run. ``folder`` holds real product zips to offer. Lifetimes, lateness and
    latency are in seconds. ``ports`` are those of identity, catalogue, download, STAC and S3,
    0 for any; ``public_host`` is the host name clients are told. ``ranges`` says what the
    download makes of Range: "ignored", "honoured", "refused" (501) or "unsatisfiable" (416).
    The S3 keys are the first user's. Rates hold over all clients; None lets all pass.
    """

    now: str | None = "2026-11-20T12:00:00Z"
    folder: Path | str | None = None
    token_lifetime_s: float = 600
    refresh_lifetime_s: float = 3600
    max_connections: int = 4
    late_release_s: float = 0.0
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    users: dict[str, User] = field(default_factory=_one_user)
    host: str = "127.0.0.1"
    public_host: str | None = None
    ports: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    ranges: str = "ignored"
    stac_requests_per_s: float | None = 5
    s3_requests_per_minute: int | None = 2000
    s3_access_key: str = field(default_factory=lambda: secrets.token_hex(16))
    s3_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)

    def __post_init__(self) -> None:
        self._listed, self._deleted = Rows(), Rows()
        self._rewritten: dict[str, Callable[[Any], Any]] = {}
        self._tokens = Tokens(self.users, self.token_lifetime_s, self.refresh_lifetime_s)
        self._slots = Slots(self.max_connections, self.late_release_s)
        self._line = Line(self.latency_s, self.bytes_per_s)
        self._folder = tempfile.TemporaryDirectory(prefix="dataspace_emulator_")
        services: tuple[Service, ...] = (
            Identity(self._tokens, lambda: self.identity_url),
            Catalogue(
                self._listed,
                self._deleted,
                self.clock,
                lambda: self.catalogue_url,
                lambda: self.download_url,
                self._rewritten,
            ),
            Download(
                self._listed,
                self._tokens,
                self._slots,
                self.clock,
                lambda: self.download_url,
                self.ranges,
            ),
            Stac(self._listed, self.clock, self._addresses, _rate(self.stac_requests_per_s, 1)),
            S3(
                Bucket(self._listed, self.clock),
                Keys(self.s3_access_key, self.s3_secret_key),
                self._slots,
                next(iter(self.users)),
                _rate(self.s3_requests_per_minute, 60),
            ),
        )
        self._hosts = [
            Host((self.host, port), service, self._line)
            for port, service in zip(self.ports, services, strict=True)
        ]
        self._tokens.issuer = self.identity_url
        for path in sorted(Path(self.folder).glob("*.zip")) if self.folder else ():
            self.add_zip(path)

    def __enter__(self) -> Self:
        """Begin to answer."""
        for host in self._hosts:
            host.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop, and delete what was made."""
        with ThreadPoolExecutor(len(self._hosts)) as pool:  # each waits for its own loop
            list(pool.map(Host.stop, self._hosts))
        self._folder.cleanup()

    def clock(self) -> datetime:
        """The catalogue's present."""
        return datetime.now(UTC) if self.now is None else instant(self.now)

    def _url(self, place: int, path: str) -> str:
        return f"http://{self.public_host or self.host}:{self._hosts[place].port}{path}"

    @property
    def identity_url(self) -> str:
        """Address of the realm."""
        return self._url(0, REALM)

    @property
    def catalogue_url(self) -> str:
        """Address of the catalogue."""
        return self._url(1, ROOT)

    @property
    def download_url(self) -> str:
        """Address of the download service."""
        return self._url(2, ROOT)

    @property
    def stac_url(self) -> str:
        """Address of STAC."""
        return self._url(3, STAC_ROOT)

    @property
    def s3_endpoint_url(self) -> str:
        """Address of S3; the bucket is ``eodata``, the region ``default``."""
        return self._url(4, "")

    @property
    def s3_keys(self) -> dict[str, str]:
        """The S3 keys, named as a connection's extra fields are."""
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
        """The scripted misbehaviour."""
        return self._line.faults

    @property
    def requests(self) -> list[Record]:
        """The journal, in order of arrival."""
        return self._line.journal

    @property
    def grants(self) -> Counter[str]:
        """Tokens granted, by type of grant."""
        return self._tokens.grants

    @property
    def peak_connections(self) -> int:
        """Most transfers one account ever had or wanted at once."""
        return self._slots.peak

    def connection(self, **extra: Any) -> dict[str, Any]:
        """An Airflow connection to this stand-in for its first user; S3 keys only if given."""
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
        """Offer a synthetic product; its bytes are made when first needed."""
        return self._offered(from_recipe(recipe, Path(self._folder.name)))

    def add_zip(self, path: Path | str) -> Product:
        """Offer a real product zip as it is."""
        return self._offered(from_zip(Path(path)))

    def _offered(self, product: Product) -> Product:
        self._listed.add(Row(product))
        return product

    def remove(self, product_id: str, cause: str = "Obsolete product") -> None:
        """Withdraw a product, now: it goes to the deleted ones.

        Raises:
            KeyError: It is not offered.
            ValueError: The service gives no such cause.
        """
        if cause not in _CAUSES:
            raise ValueError(f"Unknown cause {cause!r}: {sorted(_CAUSES)}")
        self._deleted.add(Row(self._listed.remove(product_id), self.clock(), cause))

    def rewrite(self, product_id: str, change: Callable[[Any], Any]) -> None:
        """List a product by what a function makes of its row: odd, or no object at all.

        The row is still found by the product's true facts, and its bytes stay what they are.
        """
        self._rewritten[product_id] = change

    def expire_tokens(self) -> None:
        """Let all access tokens expire now."""
        self._tokens.expire_tokens()

    def end_sessions(self) -> None:
        """Let all refresh tokens die now."""
        self._tokens.end_sessions()
