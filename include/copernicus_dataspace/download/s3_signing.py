"""URLs and signatures for the service's object store.

Headers are signed, as the service refuses presigned URLs.

Source: https://documentation.dataspace.copernicus.eu/APIs/S3.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from copernicus_dataspace.auth.credentials import refuse_flawed
from copernicus_dataspace.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copernicus_dataspace.models.product import Product

BUCKET: Final = "eodata"
_REGION: Final = "default"


@dataclass(frozen=True, slots=True)
class S3Keys:
    """A key pair of the Data Space's S3 key manager.

    Raises:
        ConfigurationError: One of them was copied wrongly, see `credentials`.
        MissingPackageError: botocore is not installed.
    """

    access_key: str
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        MissingPackageError.check("botocore", "s3", "the service's object storage")
        refuse_flawed("s3_access_key", self.access_key, is_ascii=True)
        refuse_flawed("s3_secret_key", self.secret_key, is_ascii=True)

    def sign(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a GET with its signature (AWS Signature Version 4) added."""
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - boto3's own, slow to import
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        request = AWSRequest("GET", url, dict(headers))
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", _REGION).add_auth(request)
        return dict(request.headers.items())


def object_url(endpoint_url: str, product: Product, path: str) -> str | None:
    """Return the path-style URL of a file; None if the catalogue has no S3 path."""
    if not product.s3_path:
        return None
    return f"{endpoint_url}/{quote(product.s3_path.strip('/'))}/{quote(path)}"
