"""The service's STAC API: files of many products, with sizes and checksums, in one response.

Not authoritative: if the downloaded bytes differ, the product's own manifest decides.

Source: https://documentation.dataspace.copernicus.eu/APIs/STAC.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ServiceUnavailableError, UnsafeContentError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import SafeFile, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.limits.retry import RetryPolicy
    from copernicus_dataspace.models.product import Product

_COLLECTIONS: Final = {"S2MSI2A": "sentinel-2-l2a", "S2MSI1C": "sentinel-2-l1c"}
_PAGE: Final = 200
"""Items per request; other clients use up to 1000."""
_ANSWER_S: Final = 30.0
_WHAT: Final = "STAC"
_LARGEST_BYTES: Final = 1 << 36
"""Upper bound; real files are a hundred times smaller."""
_ID: Final = re.compile(r"/Products\(([0-9a-fA-F-]{36})\)/")


class Stac:
    """Lists assets of products; needs no account.

    The service allows 5 requests a second.
    """

    def __init__(self, http: Http, stac_url: str, retries: RetryPolicy) -> None:
        """Use the STAC API at a base URL."""
        self._http = http
        self._url = f"{stac_url}/search"
        self._retries = retries

    def files(
        self, products: Sequence[Product], assets: Sequence[str]
    ) -> dict[str, tuple[SafeFile, ...]]:
        """Return the files of the assets, by product id.

        A product is omitted unless all assets are listed for exactly this product, each with a
        path, a size and a checksum.

        Args:
            products: Of one product type.
            assets: Their names in STAC, such as ``SCL_20m``.

        Raises:
            DataSpaceError: The STAC API is not available.
        """
        known = [product for product in products if product.parsed_name]
        by_name = {product.stem: product for product in known}
        found: dict[str, tuple[SafeFile, ...]] = {}
        for start in range(0, len(known), _PAGE):
            for item in self._items(known[start : start + _PAGE], assets):
                name = item.get("id")
                product = by_name.get(name) if isinstance(name, str) else None
                files = _files(item, product, assets) if product else None
                if product and files:
                    found[product.id] = files
        return found

    def check(self) -> str:
        """Send a small request; return the result as text.

        Raises:
            DataSpaceError: The STAC API is not available.
        """
        self._page({"collections": [*_COLLECTIONS.values()], "limit": 1})
        return "The STAC API responds."

    def _items(
        self, products: Sequence[Product], assets: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the items of all pages."""
        question: dict[str, Any] = {
            "ids": [product.stem for product in products],
            "collections": [_COLLECTIONS[products[0].product_type]],
            "limit": len(products),
            "fields": {"include": ["id", *(f"assets.{asset}" for asset in assets)]},
        }
        for _ in products:
            page = self._page(question)
            features = page.get("features")
            yield from (item for item in features or () if isinstance(item, dict))
            token = _next_token(page)
            if not token or not features or token == question.get("token"):
                return
            question["token"] = token

    def _page(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        def attempt() -> Mapping[str, Any]:
            with self._http.post_json(
                self._url, question, what=_WHAT, answer_s=_ANSWER_S
            ) as answer:
                page = answer.json()
            if not isinstance(page.get("features"), list):
                message = f"{_WHAT}: the response has no list of features."
                raise ServiceUnavailableError(message)
            return page

        return self._retries.call(attempt)


def _next_token(page: Mapping[str, Any]) -> str | None:
    """Return the token of the next page; the URL of the link is ignored."""
    links = page.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next":
            body = link.get("body")
            token = body.get("token") if isinstance(body, dict) else None
            return token if isinstance(token, str) else None
    return None


def _files(
    item: Mapping[str, Any], product: Product, assets: Sequence[str]
) -> tuple[SafeFile, ...] | None:
    listed = item.get("assets")
    if not isinstance(listed, dict):
        return None
    files = [_file(listed.get(asset), product) for asset in assets]
    return tuple(file for file in files if file) if all(files) else None


def _file(asset: Any, product: Product) -> SafeFile | None:
    if not isinstance(asset, dict):
        return None
    ids = {found.lower() for href in _alternates(asset) for found in _ID.findall(href)}
    size_bytes, checksum = asset.get("file:size"), asset.get("file:checksum")
    verified = Checksum.from_multihash(checksum)
    path = _path(asset, product)
    is_size = type(size_bytes) is int and 0 < size_bytes <= _LARGEST_BYTES
    if ids - {product.id.lower()} or not is_size:
        return None
    return SafeFile(path, size_bytes, verified) if path and verified else None


def _alternates(asset: Mapping[str, Any]) -> list[str]:
    """Return the asset's alternate URLs; that of the download service has the product id."""
    places = asset.get("alternate")
    listed = places.values() if isinstance(places, dict) else ()
    hrefs = (one.get("href") for one in listed if isinstance(one, dict))
    return [href for href in hrefs if isinstance(href, str)]


def _path(asset: Mapping[str, Any], product: Product) -> str | None:
    """Return the path inside the product's folder, from any field that has it."""
    folder = f"{product.stem}.SAFE/"
    for place in (asset.get("file:local_path"), asset.get("href")):
        before, found, path = place.partition(folder) if isinstance(place, str) else ("", "", "")
        if found and (not before or before.endswith("/")):
            try:
                check_path(path, "STAC")
            except UnsafeContentError:
                return None
            return path
    return None
