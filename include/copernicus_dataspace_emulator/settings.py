"""What can be set of the stand-in, and what it is unless it is set."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from copernicus_dataspace_emulator.identity.accounts import User


def _one_user() -> dict[str, User]:
    return {"user@example.org": User("correct horse")}


@dataclass
class Settings:
    """How a local Copernicus Data Space behaves.

    ``now`` is the catalogue's calendar, an ISO text that may be set at any time; None lets
    the real clock run. From a time that was set it goes on by ``clock_speed`` seconds in each
    real second. ``folder`` holds real product zips to offer. Lifetimes, lateness and
    latency are in seconds. ``ports`` are those of identity, catalogue, download, STAC and S3,
    0 for any; ``public_host`` is the host name clients are told. ``ranges`` says what the
    download makes of Range: "ignored", "honoured", "refused" (501) or "unsatisfiable" (416).
    The S3 keys are the first user's. Rates hold over all clients; None lets all pass.
    ``legacy_errors`` gives the download the error bodies of 2023. An account beyond
    ``quota_bytes`` in thirty days gets one connection of 1 MB/s. Refresh tokens and one-time codes
    are taken once where they are ``single_use``; after ``most_wrong_logins`` in a row, None for
    any number, an account is locked for a minute.

    What is not known of the service can be tried either way: ``offline_status`` is what a
    product that is not online gets, ``retry_after_s`` goes with the answer to too many transfers,
    ``cuts_at_expiry`` lets a transfer end with its token, ``explains_errors`` gives the
    catalogue's complaints as objects instead of texts.
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
