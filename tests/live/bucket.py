"""The object store's bucket, as a visitor with keys sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import requests
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.live.visit import Visit

_NAME: Final = "eodata"


@dataclass(frozen=True)
class Bucket:
    """Where the objects of the visited product are."""

    visit: Visit

    @property
    def folder(self) -> str:
        """What the keys of the product's objects begin with."""
        if not self.visit.product.s3_path:
            message = f"the catalogue gives no S3Path of {self.visit.product.name}"
            raise LookupError(message)
        return self.visit.product.s3_path.removeprefix(f"/{_NAME}/")

    @property
    def manifest_url(self) -> str:
        """The address of the product's manifest."""
        return self.url(f"{self.folder}/manifest.safe")

    @property
    def manifest(self) -> requests.Response:
        """That object."""
        return self.visit.once("object", lambda: self.ask(self.manifest_url))

    def url(self, key: str = "", bucket: str = _NAME, **options: str) -> str:
        """Return the address of an object, or with no key of the bucket, by path."""
        address = self.visit.url("s3_endpoint", f"{bucket}/{quote(key)}".rstrip("/"))
        return f"{address}?{urlencode(options, quote_via=quote)}" if options else address

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        region: str = "default",
        keys: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one signed request, with other keys than the visitor's own if they are given.

        Raises:
            NoAnswerError: None arrived.
        """
        request = AWSRequest(method, url, headers=dict(headers or {}))
        credentials = Credentials(*(keys or self.visit.s3_keys))
        S3SigV4Auth(credentials, "s3", region).add_auth(request)
        return self.visit.send(method, url, headers=dict(request.headers.items()))

    def presigned(self, url: str) -> str:
        """Return an address that holds its signature, for a minute."""
        request = AWSRequest("GET", url)
        credentials = Credentials(*self.visit.s3_keys)
        S3SigV4QueryAuth(credentials, "s3", "default", expires=60).add_auth(request)
        return str(request.url)
