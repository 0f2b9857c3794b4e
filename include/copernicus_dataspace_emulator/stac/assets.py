"""The assets of a STAC item: the main files, and the zip.

Includes the service's mislabelled digests. Only sizes and digests of the requested assets are
computed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

from copernicus_dataspace_emulator.catalogue.product_json import asset_id
from copernicus_dataspace_emulator.products.content import digest_of
from copernicus_dataspace_emulator.products.product import Product
from copernicus_dataspace_emulator.products.safe import outline
from copernicus_dataspace_emulator.stac.bands import image_facts

_ROOT_FILES: Final = {
    "manifest.safe": "safe_manifest",
    "MTD_MSIL1C.xml": "product_metadata",
    "MTD_MSIL2A.xml": "product_metadata",
    "INSPIRE.xml": "inspire_metadata",
    "MTD_TL.xml": "granule_metadata",
    "MTD_DS.xml": "datastrip_metadata",
}
_IMAGE: Final = re.compile(r"GRANULE/[^/]+/IMG_DATA/(?:R\d0m/)?T\w{5}_\d{8}T\d{6}_(\w+)\.jp2")
_PROBABILITY: Final = re.compile(r"GRANULE/[^/]+/QI_DATA/MSK_(CLD|SNW)PRB_(\d0m)\.jp2")
_SHA3: Final = "1620"
_MD5: Final = "d50110"
_MISLABELLED: Final = "d50120"  # says MD5, but a SHA3-256 follows
_IN_S3: Final = {"auth:refs": ["s3"], "storage:refs": ["cdse-s3", "creodias-s3"]}
_ZIPPER_YEAR: Final = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC))
_ABSENT: Final = "\U0001235f\u203b"  # pgstac's own marker, left in items of early 2025
_LISTED_BYTES: Final = 1_000_000  # of files that were never made
OFF_BY: Final = 17

Asset = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Public URLs of the services; ``zipper`` is the older name of the download service."""

    stac: str
    identity: str
    catalogue: str
    download: str
    zipper: str
    s3: str


def asset_paths(product: Product) -> dict[str, str]:
    """Path inside the product by asset key; ``Product`` is the zip, without a path."""
    paths = outline(product.recipe) if product.recipe else list(product.content.members)
    keys = {_key(path): path for path in paths}
    keys.pop("", None)
    return dict(sorted(keys.items())) | {"Product": ""}


def _key(path: str) -> str:
    if image := _IMAGE.fullmatch(path):
        return image[1]
    if mask := _PROBABILITY.fullmatch(path):
        return f"{mask[1]}_{mask[2]}"
    if path.endswith("-ql.jpg"):
        return "thumbnail"
    return _ROOT_FILES.get(PurePosixPath(path).name, "")


def asset(product: Product, product_id: str, key: str, path: str, urls: Addresses) -> Asset:
    """Return an asset; ``product_id`` is that of the item."""
    early = _ZIPPER_YEAR[0] <= product.facts.published < _ZIPPER_YEAR[1]
    base = f"{urls.zipper if early else urls.download}/Products({product_id})"
    if key == "Product":
        refs = {"storage:refs": _ABSENT, "alternate:name": "HTTPS"} if early else {}
        about = {"type": "application/zip", "title": "Zipped product"}
        roles = {"roles": ["data", "metadata", "archive"], "auth:refs": ["oidc"]}
        return {**about, **roles, **refs, **_zip(product), "href": f"{base}/$value"}
    s3 = {"href": f"s3:/{product.facts.s3_path}/{path}", "alternate:name": "S3", **_IN_S3}
    if key == "thumbnail":
        href = f"{urls.catalogue}/Assets({asset_id(product)})/$value"
        here = {"href": href, "alternate:name": "HTTPS", "alternate": {"s3": s3}}
        return {**image_facts(product.facts, key), **_file(product, key, path), **here}
    steps = [product.name, *path.split("/")]
    if early and key in {"granule_metadata", "datastrip_metadata"}:
        steps.insert(1, "")
    https = {
        "href": f"{base}{''.join(f'/Nodes({step})' for step in steps)}/$value",
        "alternate:name": "HTTPS",
        "auth:refs": ["oidc"],
        "storage:refs": [],
    }
    facts = image_facts(product.facts, key)
    if not facts:
        facts = {"type": "application/xml", "title": steps[-1], "roles": ["metadata"]}
    return {**facts, **_file(product, key, path), **s3, "alternate": {"https": https}}


def _zip(product: Product) -> Asset:
    """Size and MD5 of the zip as listed in STAC."""
    path = {"file:local_path": f"{product.name}.zip"}
    if product.facts.stac == "late":
        return path
    md5 = digest_of(product.id.encode(), "MD5") if _digests_lie(product) else product.md5
    return _told(product, product.zip_size, _MD5 + md5) | path


def _file(product: Product, key: str, path: str) -> Asset:
    """Size and digest of a file as listed in STAC."""
    local = {"file:local_path": f"{product.name}/{path}"}
    if product.facts.stac == "late":
        return local
    kind = "MD5" if key in {"safe_manifest", "thumbnail"} else product.algorithm
    if _digests_lie(product) or not product.has_bytes:
        digest = digest_of(f"{product.id}/{path}".encode(), kind)
    elif path in product.listed_digests:  # as the service's own generator takes them
        kind, digest = product.listed_digests[path]
    else:
        digest = product.member(path, kind).digest
    label = _MD5 if kind == "MD5" else _MISLABELLED if key.endswith("_metadata") else _SHA3
    size = product.content.members[path].file_size if product.has_bytes else _LISTED_BYTES
    return _told(product, size, label + digest) | local


def _told(product: Product, size: int, checksum: str) -> Asset:
    off = OFF_BY if product.facts.stac in {"wrong_size", "other_id"} else 0
    return {"file:size": size + off, "file:checksum": checksum}


def _digests_lie(product: Product) -> bool:
    return product.facts.stac in {"wrong", "other_id"}
