"""The two transports for a product's files: the download service, and the object store.

Source: https://documentation.dataspace.copernicus.eu/APIs/OData.html#product-download
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from copernicus_dataspace.download.s3_signing import BUCKET, object_url
from copernicus_dataspace.errors import (
    AccessDeniedError,
    ProductUnavailableError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copernicus_dataspace.auth.shared_session import TokenSource
    from copernicus_dataspace.download.s3_signing import S3Keys
    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.http.response import StreamedResponse
    from copernicus_dataspace.limits.retry import Attempts
    from copernicus_dataspace.models.product import Product

_ANSWER_S: Final = 60.0
"""Until the first byte, and between two chunks; zips are created while they are sent."""
_NO_RIGHT: Final = "AccessDenied"
"""Error code of the store for a missing file, if the keys are valid."""
_PLAIN: Final = {"Accept-Encoding": "identity"}


class Transport(Protocol):
    """A transport for a product's files."""

    @property
    def name(self) -> str:
        """Name for messages."""

    def has(self, product: Product) -> bool:
        """Tell whether this transport has the product."""

    def open(
        self,
        product: Product,
        path: str | None,
        what: str,
        headers: Mapping[str, str],
        attempts: Attempts,
    ) -> StreamedResponse:
        """Request a file, or with None the product's zip; only a refused token is a retry here.

        Raises:
            DataSpaceError: The response is an error.
        """


class Https:
    """The download service, with the account's token; a refused token is renewed."""

    name = "HTTPS"

    def __init__(self, http: Http, download_url: str, tokens: TokenSource) -> None:
        """Use the download service at a base URL."""
        self._http = http
        self._url = download_url
        self._tokens = tokens

    def has(self, product: Product) -> bool:  # noqa: ARG002 - of the protocol
        """Return True: the download service has every product."""
        return True

    def open(
        self,
        product: Product,
        path: str | None,
        what: str,
        headers: Mapping[str, str],
        attempts: Attempts,
    ) -> StreamedResponse:
        """Request a file, or with None the zip; see `Transport.open`."""
        url = self.zip_url(product) if path is None else self.file_url(product, path)

        def get(token: str) -> StreamedResponse:
            sent = {**_PLAIN, **headers}
            return self._http.get(url, what=what, token=token, headers=sent, answer_s=_ANSWER_S)

        token = self._tokens.token()
        try:
            return get(token)
        except TokenRefusedError as error:
            attempts.again(error)
            return get(self._tokens.renew(token))

    def zip_url(self, product: Product) -> str:
        """Return the URL of a product's zip; it requires a token and contains none."""
        return f"{self._url}/Products({product.id})/$value"

    def file_url(self, product: Product, path: str) -> str:
        """Return the URL of a file of a product; it requires a token and contains none."""
        parts = (f"{product.stem}.SAFE", *path.split("/"))
        nodes = "".join(f"/Nodes({quote(part, safe='')})" for part in parts)
        return f"{self._url}/Products({product.id}){nodes}/$value"


class S3:
    """The object store, with the account's keys; it has files, but no zips."""

    name = "S3"

    def __init__(self, http: Http, endpoint_url: str, keys: S3Keys) -> None:
        """Use the object store at a base URL."""
        self._http = http
        self._url = endpoint_url
        self._keys = keys

    def has(self, product: Product) -> bool:
        """Tell whether the catalogue lists the product's S3 path."""
        return product.s3_path is not None

    def open(
        self,
        product: Product,
        path: str | None,
        what: str,
        headers: Mapping[str, str],
        attempts: Attempts,  # noqa: ARG002 - of the protocol
    ) -> StreamedResponse:
        """Request a file; see `Transport.open`."""
        url = object_url(self._url, product, path) if path else None
        if url is None:
            message = f"{what}: not in the object store."
            raise ProductUnavailableError(message)
        return self._get(url, what, headers)

    def check(self) -> str:
        """Check that the store accepts the keys; return the result as text.

        Requests an object that does not exist: the response is 404 for keys with access, and
        AccessDenied for valid keys without.

        Raises:
            DataSpaceError: The keys are refused, or the store is not available.
        """
        state = "accepted"
        try:
            self._get(f"{self._url}/{BUCKET}/{self.name}", self.name, {}).close()
        except ProductUnavailableError:
            pass
        except AccessDeniedError as error:
            if error.code != _NO_RIGHT:
                raise
            state = "valid, but have no access to files"
        return f"The S3 keys are {state}; there was no product to test them with."

    def _get(self, url: str, what: str, headers: Mapping[str, str]) -> StreamedResponse:
        signed = self._keys.sign(url, {**_PLAIN, **headers})
        return self._http.get(url, what=what, headers=signed, answer_s=_ANSWER_S)
