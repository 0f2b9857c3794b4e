"""One visit to a Data Space by plain requests: what is asked, at what pace, and what it found.

Does not use the client, whose retries and errors would hide what is to be seen.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import pyotp
import requests

from copernicus_dataspace.catalogue.odata_rows import read_row
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.models.time_range import format_instant
from tests.live.facts import cleaned, document

SERVICES: Final = ("identity_url", "catalogue_url", "download_url")
"""Those that cannot be done without."""
ADDRESSES: Final = (*SERVICES, "stac_url", "s3_endpoint_url")
COLLECTION: Final = "Collection/Name eq 'SENTINEL-2'"
UNKNOWN_ID: Final = "00000000-0000-0000-0000-000000000000"
LEVEL: Final = (
    "Attributes/OData.CSC.StringAttribute/any(att:att/Name eq 'productType'"
    " and att/OData.CSC.StringAttribute/Value eq 'S2MSI2A')"
)
_ROWS: Final = 5
_SPACING_S: Final = 0.5
_STAC_SPACING_S: Final = 0.25
"""The service allows 5 requests a second there, and so does its stand-in on this machine."""
_CODE_S: Final = 30
"""So long a one-time code lasts, with which one may log in once."""
_TIMEOUT_S: Final = (10.0, 120.0)
_RECENT: Final = (timedelta(days=4), timedelta(days=1))
"""Sensed that long ago, products are published for sure, and not moved to any archive."""

_LONG_AGO: Final = timedelta(days=365 * 15)


class NoAnswerError(Exception):
    """No answer arrived; the message is the kind of failure, because causes hold secrets."""


@dataclass
class Visit:
    """A Data Space, an account there, and a small file to ask for, found when first needed.

    Attributes:
        totp_secret: Base32 secret of the account's second factor, if it has one.
        s3_keys: Access key and secret key; empty where there are none.
        now: The visitor's present; the product is looked for shortly before it.
        sent: Requests sent so far.
        refresh_token: The newest one.
    """

    endpoints: Endpoints
    username: str = field(repr=False)
    password: str = field(repr=False)
    now: datetime
    totp_secret: str = field(default="", repr=False)
    s3_keys: tuple[str, str] = field(default=("", ""), repr=False)
    sent: int = 0
    refresh_token: str = field(default="", repr=False)
    _next_start: float = field(default=0.0, repr=False)
    _session: requests.Session = field(default_factory=requests.Session, repr=False)
    _kept: dict[str, requests.Response | str] = field(default_factory=dict, repr=False)

    @property
    def is_at_home(self) -> bool:
        """Whether the Data Space is on this machine, and so a stand-in."""
        host = urlsplit(self.endpoints.require("catalogue_url")).hostname or ""
        return host == "localhost" or host.startswith("127.")

    @property
    def spacing_s(self) -> float:
        """Least seconds between two requests; none on this machine."""
        return 0.0 if self.is_at_home else _SPACING_S

    def lacks(self, service: str) -> str:
        """Return what is not set of what one service needs; empty where nothing is."""
        if service == "stac" and self.endpoints.stac_url is None:
            return "COPERNICUS_STAC_URL"
        if service == "s3" and self.endpoints.s3_endpoint_url is None:
            return "COPERNICUS_S3_ENDPOINT_URL"
        if service == "s3" and not all(self.s3_keys):
            return "COPERNICUS_S3_ACCESS_KEY and COPERNICUS_S3_SECRET_KEY"
        return ""

    def url(self, service: str, path: str) -> str:
        """Return an address of one of the services."""
        return f"{self.endpoints.require(f'{service}_url')}/{path}"

    def get(self, url: str, *, token: str = "", **options: Any) -> requests.Response:
        """Send a GET as the client would.

        Raises:
            NoAnswerError: None arrived.
        """
        return self.send("GET", url, token=token, **options)

    def send(self, method: str, url: str, *, token: str = "", **options: Any) -> requests.Response:
        """Send one request, read its answer to the end, and follow nothing.

        Raises:
            NoAnswerError: None arrived.
        """
        time.sleep(max(0.0, self._next_start - time.monotonic()))
        is_stac = url.startswith(self.endpoints.stac_url or "-")
        spacing_s = max(self.spacing_s, _STAC_SPACING_S) if is_stac else self.spacing_s
        self._next_start = time.monotonic() + spacing_s
        self.sent += 1
        headers = {"User-Agent": "airflow-provider-copernicus", **options.pop("headers", {})}
        if token:
            headers |= {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        options = {"timeout": _TIMEOUT_S, "allow_redirects": False, **options}
        try:
            return self._session.request(
                method, url, headers=headers, auth=lambda request: request, **options
            )
        except requests.RequestException as error:
            raise NoAnswerError(type(error).__name__) from None

    def grant(self, **form: str) -> requests.Response:
        """Ask the token endpoint."""
        url = self.url("identity", "protocol/openid-connect/token")
        return self.send("POST", url, data={"client_id": "cdse-public", **form})

    def once(self, name: str, ask: Callable[[], requests.Response]) -> requests.Response:
        """Return the answer to what is asked once only, also if it was never answered."""
        if name not in self._kept:
            try:
                self._kept[name] = ask()
            except NoAnswerError as error:
                self._kept[name] = str(error)
        kept = self._kept[name]
        if isinstance(kept, str):
            raise NoAnswerError(kept)
        return kept

    @property
    def login(self) -> requests.Response:
        """The answer to the one password grant of this visit, whatever it is."""
        form = {"grant_type": "password", "username": self.username, "password": self.password}
        answer = self.once("login", lambda: self.grant(**form, **self._second_factor()))
        body = document(answer)
        if not self.refresh_token and isinstance(body, dict):
            self.refresh_token = str(body.get("refresh_token", ""))
        return answer

    def _second_factor(self) -> dict[str, str]:
        return {"totp": pyotp.TOTP(self.totp_secret).now()} if self.totp_secret else {}

    def wait_for_another_code(self) -> None:
        """Let the one-time code of the login grow old."""
        if self.totp_secret:
            time.sleep(_CODE_S - time.time() % _CODE_S)

    @property
    def access_token(self) -> str:
        """The access token; a refused account is not tried a second time."""
        answer = document(self.login)
        if not isinstance(answer, dict) or "access_token" not in answer:
            message = f"the login was refused with HTTP {self.login.status_code}: see its facts"
            raise LookupError(message)
        return str(answer["access_token"])

    @property
    def known_refresh_token(self) -> str:
        """The newest refresh token; logs in where that has not been done."""
        status = self.login.status_code
        if not self.refresh_token:
            message = f"the login (HTTP {status}) gave no refresh token"
            raise LookupError(message)
        return self.refresh_token

    @property
    def logout(self) -> requests.Response:
        """The answer to the end of this visit's session."""
        url = self.url("identity", "protocol/openid-connect/logout")
        form = {"client_id": "cdse-public", "refresh_token": self.known_refresh_token}
        return self.once("logout", lambda: self.send("POST", url, data=form))

    @property
    def search(self) -> requests.Response:
        """One page of the newest products; of whatever days where recent ones are missing."""
        return self.once("search", self._newest)

    def _newest(self) -> requests.Response:
        oldest, newest = _RECENT
        answer = self._page(self.now - oldest, self.now - newest)
        body = document(answer)
        if isinstance(body, dict) and body.get("value") == []:
            return self._page(self.now - _LONG_AGO, self.now)
        return answer

    def _page(self, start: datetime, end: datetime) -> requests.Response:
        sensed = (
            f"ContentDate/Start ge {format_instant(start)}"
            f" and ContentDate/Start lt {format_instant(end)}"
        )
        options = {
            "$filter": f"{COLLECTION} and {LEVEL} and Online eq true and {sensed}",
            "$orderby": "ContentDate/Start desc",
            "$top": str(_ROWS),
            "$count": "True",
            "$expand": "Attributes",
        }
        return self.get(self.url("catalogue", "Products"), params=options)

    @cached_property
    def product(self) -> Product:
        """The smallest product of the page."""
        body = document(self.search)
        rows = body.get("value", ()) if isinstance(body, dict) else ()
        read = [read_row(row) for row in rows]
        products = [row.product for row in read if row.product and not row.unusable]
        sized = [product for product in products if product.size_bytes]
        if not sized:
            message = f"no Sentinel-2 L2A product was found (HTTP {self.search.status_code})"
            raise LookupError(message)
        return min(sized, key=lambda product: product.size_bytes or 0)

    @property
    def listing_url(self) -> str:
        """Address of the list of nodes at the product's root."""
        nodes = f"Products({self.product.id})/Nodes({self.product.name})/Nodes"
        return self.url("download", nodes)

    @property
    def listing(self) -> requests.Response:
        """The nodes at the product's root, asked for without a token."""
        return self.once("listing", lambda: self.get(self.listing_url))

    @cached_property
    def file_name(self) -> str:
        """The smallest XML file at the product's root."""
        body = document(self.listing)
        rows = body.get("result", ()) if isinstance(body, dict) else ()
        sizes = {
            row["Name"]: row["ContentLength"]
            for row in rows
            if str(row.get("Name")).endswith(".xml") and row.get("ContentLength")
        }
        return min(sizes, key=lambda name: sizes[name]) if sizes else "MTD_MSIL2A.xml"

    @property
    def file_url(self) -> str:
        """Address of that file."""
        return self.node_url(f"Nodes({self.product.name})/Nodes({self.file_name})")

    def node_url(self, nodes: str) -> str:
        """Address of a node's bytes."""
        return self.url("download", f"Products({self.product.id})/{nodes}/$value")

    @property
    def file(self) -> requests.Response:
        """The small file."""
        return self.once("file", lambda: self.get(self.file_url, token=self.access_token))

    def clean(self, text: str) -> str:
        """Return a text without secrets and without what is this product's or this host's own."""
        known = {self.username: "<login>", self.password: "<password>"}
        known |= dict(zip(self.s3_keys, ("<S3 access key>", "<S3 secret key>"), strict=True))
        urls = {name: getattr(self.endpoints, name) for name in ADDRESSES}
        known |= {url: f"{{{name}}}" for name, url in urls.items() if url}
        if "product" in vars(self):
            known |= {self.product.id: "<id>", self.product.stem: "<name>"}
        if "file_name" in vars(self):
            known[self.file_name] = "<file>"
        return cleaned(text, known)
