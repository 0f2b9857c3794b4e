"""Signatures of S3 requests: version 4, in the header, as accepted by CDSE's object store.

Uses the real clock, because clients sign with theirs. Presigned URLs are refused. Any signed
region is accepted: eodag's is ``us-east-1``, phidown's ``eu-central-1``.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from copernicus_dataspace_emulator.http.messages import Request

_SCHEME: Final = "AWS4-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(
    rf"{_SCHEME} Credential=([^/,]+)/(\d{{8}})/([^/,]+)/([^/,]+)/aws4_request,\s*"
    r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)
_PRESIGNED: Final = re.compile(r"(?:^|&)(?:X-Amz-Signature|X-Amz-Algorithm|AWSAccessKeyId)=")
MOST_SKEW: Final = timedelta(minutes=15)
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_MESSAGES: Final = {
    "AccessDenied": "Access Denied",
    "InvalidAccessKeyId": "The AWS Access Key Id you provided does not exist in our records.",
    "SignatureDoesNotMatch": (
        "The request signature we calculated does not match the signature you provided."
    ),
    "RequestTimeTooSkewed": (
        "The difference between the request time and the current time is too large."
    ),
    "InvalidRequest": "The authorization mechanism you have provided is not supported.",
    "AuthorizationHeaderMalformed": "The service is wrong; expecting 's3'.",
    "XAmzContentSHA256Mismatch": (
        "The provided 'x-amz-content-sha256' header does not match what was computed."
    ),
}
_BAD_REQUESTS: Final = frozenset(
    {"InvalidRequest", "AuthorizationHeaderMalformed", "XAmzContentSHA256Mismatch"}
)


class SignatureError(Exception):
    """Raised for an invalid signature; ``code`` is S3's error code."""

    def __init__(self, code: str) -> None:
        super().__init__(_MESSAGES[code])
        self.code = code
        self.status = 400 if code in _BAD_REQUESTS else 403


@dataclass(frozen=True, slots=True)
class Keys:
    """The only key pair."""

    access: str
    secret: str = field(repr=False)

    def check(self, request: Request) -> None:
        """Verify a request's signature.

        Raises:
            SignatureError: It is missing, unsupported or wrong.
        """
        if _PRESIGNED.search(request.query):
            raise SignatureError("InvalidAccessKeyId")
        header = request.headers.get("Authorization", "")
        if not header:
            raise SignatureError("AccessDenied")
        match = _AUTHORIZATION.fullmatch(header.strip())
        if match is None:
            raise SignatureError("InvalidRequest")
        access, day, region, service, names, signature = match.groups()
        if access != self.access:
            raise SignatureError("InvalidAccessKeyId")
        if service != "s3":
            raise SignatureError("AuthorizationHeaderMalformed")
        moment = _signed_at(request, day)
        content = _content_hash(request)
        canonical = _canonical(request, names.split(";"), content)
        scope = f"{day}/{region}/{service}/aws4_request"
        text = f"{_SCHEME}\n{moment}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
        if not hmac.compare_digest(self._sign(scope, text), signature):
            raise SignatureError("SignatureDoesNotMatch")

    def _sign(self, scope: str, text: str) -> str:
        key = f"AWS4{self.secret}".encode()
        for part in [*scope.split("/"), text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()


def _signed_at(request: Request, day: str) -> str:
    moment = str(request.headers.get("X-Amz-Date", ""))
    try:
        at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureError("AccessDenied") from error
    if abs(datetime.now(UTC) - at) > MOST_SKEW:
        raise SignatureError("RequestTimeTooSkewed")
    if not moment.startswith(day):
        raise SignatureError("SignatureDoesNotMatch")
    return moment


def _content_hash(request: Request) -> str:
    told = str(request.headers.get("X-Amz-Content-SHA256", ""))
    if not told:
        raise SignatureError("InvalidRequest")
    plain = re.fullmatch(r"[0-9a-f]{64}", told) is not None
    if plain and told != hashlib.sha256(request.body).hexdigest():
        raise SignatureError("XAmzContentSHA256Mismatch")
    if not plain and told != _UNSIGNED and not told.startswith("STREAMING-"):
        raise SignatureError("XAmzContentSHA256Mismatch")
    return told


def _canonical(request: Request, names: Iterable[str], content: str) -> bytes:
    """The canonical request; host and all ``x-amz-`` headers must be signed."""
    signed = list(names)
    sent = {name.lower() for name in request.headers}
    needed = {"host"} | {name for name in sent if name.startswith("x-amz-")}
    if not needed <= set(signed) or not set(signed) <= sent or signed != sorted(signed):
        raise SignatureError("SignatureDoesNotMatch")
    headers = "".join(f"{name}:{_value(request, name)}\n" for name in signed)
    parts = (
        request.method,
        quote(request.path, safe="/-_.~"),
        _query(request.query),
        headers,
        ";".join(signed),
        content,
    )
    return "\n".join(parts).encode()


def _value(request: Request, name: str) -> str:
    values = request.headers.get_all(name, [])
    return ",".join(" ".join(str(value).split()) for value in values)


def _query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
