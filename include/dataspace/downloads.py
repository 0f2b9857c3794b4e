"""Knows how bytes are asked for: whole products and single files, with a valid token.

Source: https://documentation.dataspace.copernicus.eu/APIs/OData.html#product-download
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from dataspace.errors import CorruptDownloadError, UnsafeContentError
from dataspace.http_errors import TokenRefusedError
from dataspace.manifest import parse_manifest
from dataspace.transfer import Expected, Saved, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dataspace.auth import TokenSource
    from dataspace.http import Answer, Http
    from dataspace.manifest import SafeFile
    from dataspace.product import Product
    from dataspace.retries import Retries

T = TypeVar("T")

MANIFEST = "manifest.safe"


class Downloads:
    """Fetches whole products and single files of them.

    A body is verified before it gets its name; one that is wrong is fetched again a few times.
    Nothing is asked for with HEAD or Range, which the service does not support.
    """

    def __init__(
        self, http: Http, download_url: str, tokens: TokenSource, retries: Retries
    ) -> None:
        self._http = http
        self._url = download_url
        self._tokens = tokens
        self._retries = retries

    def manifest(self, product: Product) -> bytes:
        """Return the product's ``manifest.safe``, known to be one.

        Raises:
            DataSpaceError: It cannot be had, or is none.
        """
        what = f"{product.stem} {MANIFEST}"

        def read(answer: Answer) -> bytes:
            content = answer.content()
            try:
                parse_manifest(content)
            except (CorruptDownloadError, UnsafeContentError) as error:
                raise type(error)(f"{what}: {error}") from error
            return content

        return self._fetch(self.file_url(product, MANIFEST), what, read)

    def file(
        self, product: Product, file: SafeFile, target: Path, progress: Callable[[int], None]
    ) -> Saved:
        """Fetch one file of a product to the target, verified against the manifest.

        Raises:
            CorruptDownloadError: It arrived wrong, several times.
            DataSpaceError: It cannot be had.
        """
        what = f"{product.stem} {file.path}"
        if file.checksum is None:
            message = f"{what}: the manifest gives no usable checksum, so it cannot be verified."
            raise CorruptDownloadError(message)
        expected = Expected(file.size_bytes, file.checksum, "the manifest", trust_digest=True)
        return self._fetch(
            self.file_url(product, file.path),
            what,
            lambda answer: save(answer.chunks(), target, expected, what=what, progress=progress),
        )

    def archive(self, product: Product, target: Path, progress: Callable[[int], None]) -> Saved:
        """Fetch the whole product as a zip, verified against the catalogue where it says enough.

        Raises:
            CorruptDownloadError: It arrived wrong, several times.
            DataSpaceError: It cannot be had.
        """
        what = f"{product.stem}.zip"
        expected = Expected(product.size_bytes, product.checksum, "the catalogue")
        return self._fetch(
            self.archive_url(product),
            what,
            lambda answer: save(answer.chunks(), target, expected, what=what, progress=progress),
        )

    def archive_url(self, product: Product) -> str:
        """Return the address of a product's zip; it needs a token and holds none."""
        return f"{self._url}/Products({product.id})/$value"

    def file_url(self, product: Product, path: str) -> str:
        """Return the address of one file of a product; it needs a token and holds none."""
        parts = (f"{product.stem}.SAFE", *path.split("/"))
        nodes = "".join(f"/Nodes({quote(part, safe='')})" for part in parts)
        return f"{self._url}/Products({product.id}){nodes}/$value"

    def _fetch(self, url: str, what: str, consume: Callable[[Answer], T]) -> T:
        def attempt() -> T:
            token = self._tokens.token()
            try:
                answer = self._http.get(url, what=what, token=token)
            except TokenRefusedError:
                answer = self._http.get(url, what=what, token=self._tokens.renew(token))
            with answer:
                return consume(answer)

        return self._retries.call(attempt)
