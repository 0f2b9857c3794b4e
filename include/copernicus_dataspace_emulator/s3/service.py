"""The S3 service: read access to the bucket ``eodata``, path style, with signed requests.

A transfer takes one of the account's connections. The response 503 SlowDown, if none is free or
there were too many requests in a minute, is undocumented and guessed.
"""

import uuid
from dataclasses import dataclass
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from copernicus_dataspace_emulator.download.transfer_limits import Lanes
from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.byte_ranges import UnsatisfiableError, partial
from copernicus_dataspace_emulator.http.messages import Request, Response
from copernicus_dataspace_emulator.http.request_rate import Rate
from copernicus_dataspace_emulator.s3.bucket import NAME, Bucket, Object
from copernicus_dataspace_emulator.s3.listing import BadListingError, listing
from copernicus_dataspace_emulator.s3.signature import Keys, SignatureError

_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_REGION: Final = "default"
_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_ERRORS: Final = {
    400: ("InvalidRequest", "Invalid Request"),
    401: ("AccessDenied", "Access Denied"),
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    405: ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    412: ("PreconditionFailed", "At least one of the pre-conditions did not hold"),
    416: ("InvalidRange", "The requested range is not satisfiable"),
    429: ("SlowDown", "Please reduce your request rate."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    501: ("NotImplemented", "A header you provided implies functionality not implemented."),
    503: ("SlowDown", "Please reduce your request rate."),
}


@dataclass(frozen=True, slots=True)
class S3:
    """The service for one bucket; ``account`` is that of the keys."""

    bucket: Bucket
    keys: Keys
    lanes: Lanes
    account: str
    rate: Rate | None
    name: str = "s3"

    def answer(self, request: Request) -> Response:
        """Route a request; errors become XML."""
        bucket, _, key = request.path.removeprefix("/").partition("/")
        try:
            self.keys.check(request)
            if self.rate is not None and not self.rate.take():
                return self.refusal(503)
            response = self._route(request, bucket, key)
        except SignatureError as error:
            response = _error(error.status, error.code, str(error))
        except BadListingError as error:
            response = _error(400, "InvalidArgument", str(error))
        if bucket == NAME and not key:
            response.headers["x-amz-bucket-region"] = _REGION
        return response

    def refusal(self, status: int) -> Response:
        """Return an error in this service's format, or the gateway's page; 503 is SlowDown."""
        if status in gateway.AWAY and status not in _ERRORS:
            return gateway.page(status)
        return _error(status, *_ERRORS.get(status, ("InternalError", f"HTTP {status}")))

    def _route(self, request: Request, bucket: str, key: str) -> Response:
        if request.method not in {"GET", "HEAD"} or not bucket:
            return self.refusal(403)
        if bucket != NAME:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        return self._object(request, key) if key else self._bucket(request)

    def _bucket(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(200)
        options = dict(request.options)
        if "location" in options:
            where = f'<LocationConstraint xmlns="{_NAMESPACE}">{_REGION}</LocationConstraint>'
            return _xml(200, where)
        if options.get("list-type", "2") != "2":
            return self.refusal(501)
        found = listing(self.bucket, options)
        return _xml(200, f'<ListBucketResult xmlns="{_NAMESPACE}">{found}</ListBucketResult>')

    def _object(self, request: Request, key: str) -> Response:
        found = self.bucket.find(key)
        if found is None:
            return self.refusal(404)
        wanted = request.headers.get("If-Match")
        if wanted is not None and wanted.strip() not in {"*", found.etag, found.etag.strip('"')}:
            return self.refusal(412)
        response = Response(200, found.payload, _headers(found))
        try:
            partial(request, response)
        except UnsatisfiableError as error:
            refused = self.refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            refused.headers["Content-Range"] = f"bytes */{error.size}"
            return refused
        if request.method == "GET" and not self.lanes.enter(self.account, response):
            return self.refusal(503)
        return response


def _headers(found: Object) -> dict[str, str]:
    return {
        "ETag": found.etag,
        "Accept-Ranges": "bytes",
        "Last-Modified": format_datetime(found.modified, usegmt=True),
        "Content-Type": "binary/octet-stream",
        "x-amz-request-id": uuid.uuid4().hex,
    }


def _xml(status: int, body: str) -> Response:
    headers = {"Content-Type": "application/xml", "x-amz-request-id": uuid.uuid4().hex}
    return Response(status, f"{_XML}{body}".encode(), headers)


def _error(status: int, code: str, message: str) -> Response:
    text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    return _xml(status, f"<Error>{text}<RequestId>{uuid.uuid4().hex}</RequestId></Error>")
