"""Knows the two ways to a product's bytes: the download service, and the object store.

Source: https://documentation.dataspace.copernicus.eu/APIs/OData.html#product-download
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from copernicus_dataspace.download.s3_signing import BUCKET, object_url
from copernicus_dataspace.errors import AccessDeniedError, ProductUnavailableError
from copernicus_dataspace.http.status_errors import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copernicus_dataspace.auth.shared_session import TokenSource
    from copernicus_dataspace.download.s3_signing import S3Keys
    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.http.response import StreamedResponse
    from copernicus_dataspace.models.product import Product

_ANSWER_S: Final = 60.0
"""Until the first byte, and between two; zips are made while they are sent."""
_NO_RIGHT: Final = "AccessDenied"
"""What the store may say of a file that does not exist, to those whose keys it knows."""
_PLAIN: Final = {"Accept-Encoding": "identity"}


class Transport(Protocol):
    """A way to a product's files; sends one request at a time, and never again."""

    @property
    def name(self) -> str:
        """For messages."""

    def has(self, product: Product) -> bool:
        """Tell whether it knows where the product's files are."""

    def open(
        self, product: Product, path: str | None, what: str, headers: Mapping[str, str]
    ) -> StreamedResponse:
        """Ask for one file, or with None for the product's zip.

        Raises:
            DataSpaceError: The answer was none that has a body.
        """


class Https:
    """The download service, with the account's token; one that was refused is renewed once."""

    name = "HTTPS"

    def __init__(self, http: Http, download_url: str, tokens: TokenSource) -> None:
        """Use the OData root that serves bytes."""
        self._http = http
        self._url = download_url
        self._tokens = tokens

    def has(self, product: Product) -> bool:  # noqa: ARG002 - of the protocol
        """Tell that every product has an address here."""
        return True

    def open(
        self, product: Product, path: str | None, what: str, headers: Mapping[str, str]
    ) -> StreamedResponse:
        """Ask for one file, or with None for the zip; as of `Transport.open`."""
        url = self.archive_url(product) if path is None else self.file_url(product, path)

        def get(token: str) -> StreamedResponse:
            sent = {**_PLAIN, **headers}
            return self._http.get(url, what=what, token=token, headers=sent, answer_s=_ANSWER_S)

        token = self._tokens.token()
        try:
            return get(token)
        except TokenRefusedError:
            return get(self._tokens.renew(token))

    def archive_url(self, product: Product) -> str:
        """Return the address of a product's zip; it needs a token and holds none."""
        return f"{self._url}/Products({product.id})/$value"

    def file_url(self, product: Product, path: str) -> str:
        """Return the address of one file of a product; it needs a token and holds none."""
        parts = (f"{product.stem}.SAFE", *path.split("/"))
        nodes = "".join(f"/Nodes({quote(part, safe='')})" for part in parts)
        return f"{self._url}/Products({product.id}){nodes}/$value"


class S3:
    """The object store, with the account's keys; it holds files, and no zips."""

    name = "S3"

    def __init__(self, http: Http, endpoint_url: str, keys: S3Keys) -> None:
        """Use the store at an address."""
        self._http = http
        self._url = endpoint_url
        self._keys = keys

    def has(self, product: Product) -> bool:
        """Tell whether the catalogue gave the product's place."""
        return product.s3_path is not None

    def open(
        self, product: Product, path: str | None, what: str, headers: Mapping[str, str]
    ) -> StreamedResponse:
        """Ask for one file; as of `Transport.open`."""
        url = object_url(self._url, product, path) if path else None
        if url is None:
            message = f"{what}: the object store has no such thing."
            raise ProductUnavailableError(message)
        return self._get(url, what, headers)

    def check(self) -> str:
        """Return in words that the store knows the keys; whether they open files is not tried.

        Asks for what does not exist. The store says so to those who may look, and denies it to
        others whose keys it knows.

        Raises:
            DataSpaceError: They are refused, or the store cannot be asked.
        """
        state = "accepted"
        try:
            self._get(f"{self._url}/{BUCKET}/{self.name}", self.name, {}).close()
        except ProductUnavailableError:
            pass
        except AccessDeniedError as error:
            if error.code != _NO_RIGHT:
                raise
            state = "known, but may open nothing"
        return f"The S3 keys are {state}; there was no product to try them on."

    def _get(self, url: str, what: str, headers: Mapping[str, str]) -> StreamedResponse:
        signed = self._keys.sign(url, {**_PLAIN, **headers})
        return self._http.get(url, what=what, headers=signed, answer_s=_ANSWER_S)
