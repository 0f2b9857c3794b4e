"""Settings of the emulator and their defaults."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from copernicus_dataspace_emulator.identity.accounts import User


def _one_user() -> dict[str, User]:
    return {"user@example.org": User("correct horse")}


@dataclass
class Settings:
    """Settings of an emulator.

    ``now`` is the current time of the catalogue as an ISO time, which may be set at any time; None
    is the real clock. A set clock advances by ``clock_speed`` seconds per real second. ``folder``
    has real product zips to offer. Lifetimes, delays and latency are in seconds. ``ports`` are
    those of identity, catalogue, download, STAC and S3, 0 for any; ``public_host`` is the host name
    in URLs for clients. ``ranges`` is the download service's response to Range: "ignored",
    "honoured", "refused" (501) or "unsatisfiable" (416). The S3 keys belong to the first user.
    Rate limits apply to all clients together; None is unlimited. ``legacy_errors`` selects the
    download service's error bodies of 2023. An account beyond ``quota_bytes`` in thirty days gets
    one connection of 1 MB/s. ``single_use`` refresh tokens and one-time codes are accepted once;
    after ``most_wrong_logins`` in a row, None for unlimited, an account is locked for a minute.

    Unknown behaviour of the service can be selected: ``offline_status`` is the status of an offline
    product, ``retry_after_s`` is sent with too many transfers, ``cuts_at_expiry`` ends a transfer
    with its token, ``explains_errors`` makes the catalogue's error details objects instead of
    strings.
    """

    now: str | None = "2026-11-20T12:00:00Z"
    clock_speed: float = 0.0
    folder: Path | str | None = None
    token_lifetime_s: float = 600
    refresh_lifetime_s: float = 3600
    max_connections: int = 4
    late_release_s: float = 0.0
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    users: dict[str, User] = field(default_factory=_one_user)
    host: str = "127.0.0.1"
    public_host: str | None = None
    ports: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    ranges: str = "ignored"
    legacy_errors: bool = False
    quota_bytes: float = 12e12
    single_use_refresh_tokens: bool = True
    single_use_codes: bool = True
    most_wrong_logins: int | None = 30
    offline_status: int = 404
    retry_after_s: int | None = None
    cuts_at_expiry: bool = False
    explains_errors: bool = False
    catalogue_requests_per_s: float | None = None
    stac_requests_per_s: float | None = 5
    s3_requests_per_minute: int | None = 2000
    s3_access_key: str = field(default_factory=lambda: secrets.token_hex(16))
    s3_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
