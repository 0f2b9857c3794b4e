"""What is right when a service misbehaves: every fault, in every place, once and every time."""

from dataclasses import dataclass, field
from typing import Any

from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CorruptDownloadError,
    CredentialsError,
    DataSpaceError,
    PermanentError,
    ProductUnavailableError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    TransientError,
)
from copernicus_dataspace.http.status_errors import BlockedError

ONCE, ALWAYS = "once", "every time"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a run; ``asked`` are the requests to the place, None for any number."""

    text: str
    error: type[DataSpaceError] | None = None
    asked: int | None = None
    other_way: str = ""
    is_told: bool = False

    @property
    def is_tested(self) -> bool:
        return not self.text.startswith("n/a")

    @property
    def heals_later(self) -> bool:
        return self.error is not None and issubclass(self.error, TransientError)


HEALS = Outcome("heals")


def falls_back(other_way: str, *, is_told: bool = True) -> Outcome:
    return Outcome(f"→ {other_way}", other_way=other_way, is_told=is_told)


def red_at_once(error: type[PermanentError], asked: int = 1) -> Outcome:
    return Outcome(f"**red**: {error.__name__}", error, asked)


def red_for_now(error: type[TransientError]) -> Outcome:
    return Outcome(f"later: {error.__name__}", error, asked=1)


def red_after_retries(error: type[TransientError]) -> Outcome:
    return Outcome(f"retried: {error.__name__}", error)


def cannot_occur(because: str) -> Outcome:
    return Outcome(f"n/a: {because}")


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A place where faults befall; ``match`` is an expression found in the path of its requests.

    ``products`` are on offer in one batch, ``recipe`` says how, ``params`` are the DAG's, and
    ``uses_keys`` gives the connection the S3 keys, with this ``transport``.
    """

    name: str
    service: str
    match: str
    about: str
    products: int = 1
    recipe: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    transport: str = ""


TOKEN = Target("token", "identity", "/token", "identity service: login and renewal")
CATALOGUE = Target("catalogue", "catalogue", "/Products", "pages of the search", products=2)
STAC = Target("STAC", "stac", "/search", "list of a batch's files", products=2)
MANIFEST = Target(
    "manifest",
    "download",
    "manifest.safe",
    "the list of files of a product that STAC does not know",
    recipe={"stac": "absent"},
)
FILE = Target("file", "download", "SCL_20m", "a single file from the download service")
ARCHIVE = Target(
    "archive",
    "download",
    r"Products\([^)]*\)/\$value",
    "the whole zip, which is kept",
    params={"transfer": "archive", "keep_archive": True},
)
ZIP_LIST = Target(
    "zip's manifest",
    "download",
    "manifest.safe",
    "the same list where the whole zip is wanted, which holds it too",
    recipe={"stac": "absent"},
    params={"transfer": "archive"},
)
S3 = Target("S3", "s3", "SCL_20m", "a single file from the object store", transport="auto")
S3_ONLY = Target(
    "S3 only", "s3", "SCL_20m", "the same where the connection allows nothing else", transport="s3"
)
TARGETS = (TOKEN, CATALOGUE, STAC, MANIFEST, FILE, ARCHIVE, ZIP_LIST, S3, S3_ONLY)
_BYTES = (MANIFEST, FILE, ARCHIVE, ZIP_LIST, S3, S3_ONLY)

Pair = tuple[Outcome, Outcome]
Row = dict[Target, Pair]


def both(outcome: Outcome) -> Pair:
    return outcome, outcome


BY_MANIFEST, BY_HTTPS, BY_ZIP = map(falls_back, ("manifest", "HTTPS", "zip"))
SILENTLY = falls_back("manifest", is_told=False)
_NO_TOKEN = both(cannot_occur("asked without a token"))
_NO_PAGES = both(cannot_occur("its answers are not lists with pages"))
_NO_PARTS = both(cannot_occur("never asked for a part"))


def passing(error: type[TransientError]) -> Row:
    """Every place heals; where it does not pass, some have another way.

    None to the bytes leads past the limits of the account.
    """
    row = {target: (HEALS, red_after_retries(error)) for target in TARGETS}
    if error is not RateLimitedError:
        row[ZIP_LIST] = (HEALS, BY_ZIP)
    return row | {STAC: (HEALS, BY_MANIFEST), S3: (HEALS, BY_HTTPS)}


def wrong(where: tuple[Target, ...] = _BYTES) -> Row:
    """Bodies that are not what they should be: a transfer is wrong, another answer unreadable."""
    corrupt = passing(CorruptDownloadError)
    return passing(ServiceUnavailableError) | {target: corrupt[target] for target in where}


def permanent(error: type[PermanentError]) -> Row:
    row = {target: both(red_at_once(error)) for target in TARGETS}
    if error is not CredentialsError:
        row[ZIP_LIST] = both(BY_ZIP)
    return row | {STAC: both(BY_MANIFEST), S3: both(BY_HTTPS)}


def pages(catalogue: Pair, stac: Pair) -> Row:
    return dict.fromkeys(TARGETS, _NO_PAGES) | {CATALOGUE: catalogue, STAC: stac}


def parts() -> Row:
    """A part that cannot be had is no harm: all of it is asked for again."""
    return dict.fromkeys(TARGETS, _NO_PARTS) | dict.fromkeys(_BYTES, both(HEALS))


@dataclass(frozen=True, slots=True, eq=False)
class FaultRow:
    """A fault: how the emulator is told, and what is right by place.

    ``fault`` are arguments of the emulator's Fault, ``in_place`` those that differ in a place;
    ``wait_s`` is what the service asks for. What ``is_slow`` meets lowered limits of the library;
    where it ``asks_for_parts``, bodies break off and the server has a validator.
    """

    name: str
    fault: dict[str, Any]
    row: Row
    in_place: dict[Target, dict[str, Any]] = field(default_factory=dict)
    wait_s: float = 0.0
    is_slow: bool = False
    asks_for_parts: bool = False


_ASKED_S = 30.0
_UNAVAILABLE = passing(ServiceUnavailableError)
_LIMITED = passing(RateLimitedError)
_GONE = {target: both(red_for_now(ProductUnavailableError)) for target in _BYTES}
_BLOCKED = {target: both(red_for_now(BlockedError)) for target in TARGETS} | {
    STAC: both(BY_MANIFEST),
    S3: both(BY_HTTPS),
    ZIP_LIST: both(BY_ZIP),
}
_NOT_NOW = _UNAVAILABLE | _GONE | {STAC: both(BY_MANIFEST), ZIP_LIST: both(BY_ZIP)}
_NOT_NOW |= {target: _UNAVAILABLE[target] for target in (S3, S3_ONLY)}
"""The store calls it an internal error, which passes."""
_GRANTED_WRONG = both(red_at_once(CredentialsError, asked=1))
_RENEWED_WRONG = (HEALS, red_at_once(CredentialsError, asked=2))
"""A login by the search, and a renewal by the download, whose first request is refused."""

ROWS = (
    FaultRow("429 without Retry-After", {"status": 429}, _LIMITED),
    FaultRow("429, Retry-After in seconds", {"status": 429}, _LIMITED, wait_s=_ASKED_S),
    FaultRow(
        "429, Retry-After as date",
        {"status": 429, "retry_after": "date"},
        _LIMITED,
        wait_s=_ASKED_S,
    ),
    FaultRow(
        "401 token expired",
        {"status": 401},
        {
            TOKEN: _RENEWED_WRONG,
            CATALOGUE: _NO_TOKEN,
            STAC: both(BY_MANIFEST),
            MANIFEST: (HEALS, red_at_once(CredentialsError, asked=2)),
            FILE: (HEALS, red_at_once(CredentialsError, asked=2)),
            ARCHIVE: (HEALS, red_at_once(CredentialsError, asked=2)),
            ZIP_LIST: (HEALS, red_at_once(CredentialsError, asked=2)),
            S3: both(BY_HTTPS),
            S3_ONLY: both(red_at_once(CredentialsError)),
        },
        in_place={TOKEN: {"kind": "expired_token"}},
    ),
    FaultRow(
        "401 login refused",
        {"status": 401},
        dict.fromkeys(TARGETS, both(cannot_occur("no login")))
        | {TOKEN: both(red_at_once(CredentialsError))},
    ),
    FaultRow(
        "401 wrong audience",
        {"kind": "wrong_audience"},
        permanent(CredentialsError)
        | dict.fromkeys((CATALOGUE, STAC, S3, S3_ONLY), _NO_TOKEN)
        | {TOKEN: _GRANTED_WRONG},
    ),
    FaultRow(
        "403",
        {"status": 403},
        permanent(AccessDeniedError)
        | {TOKEN: both(red_at_once(CredentialsError)), CATALOGUE: both(red_for_now(BlockedError))},
    ),
    FaultRow(
        "404",
        {"status": 404},
        {TOKEN: both(red_at_once(ConfigurationError)), CATALOGUE: _UNAVAILABLE[CATALOGUE]}
        | _GONE
        | {STAC: both(BY_MANIFEST), ZIP_LIST: both(BY_ZIP), S3: both(BY_HTTPS)},
    ),
    FaultRow("500", {"status": 500}, _UNAVAILABLE),
    FaultRow("502", {"status": 502}, _UNAVAILABLE),
    FaultRow(
        "503",
        {"status": 503},
        _UNAVAILABLE | {target: _LIMITED[target] for target in (S3, S3_ONLY)},
    ),
    FaultRow("504", {"status": 504}, _UNAVAILABLE),
    FaultRow("429 by the gateway, as HTML", {"kind": "gateway", "status": 429}, _LIMITED),
    FaultRow("reset before headers", {"kind": "reset"}, _UNAVAILABLE),
    FaultRow("reset within the body", {"kind": "reset_body"}, _UNAVAILABLE),
    FaultRow("body ends before its length", {"kind": "short_body"}, _UNAVAILABLE),
    FaultRow("short body, short length", {"kind": "short_length"}, wrong()),
    FaultRow(
        "one flipped bit",
        {"kind": "flipped_bit"},
        wrong()
        | {
            TOKEN: _RENEWED_WRONG,
            CATALOGUE: both(
                cannot_occur(
                    "its pages hold no checksum of themselves; TLS keeps bits from flipping"
                )
            ),
            STAC: both(SILENTLY),
            ZIP_LIST: both(falls_back("zip", is_told=False)),
        },
        in_place={
            TOKEN: {"at": 0.2},
            STAC: {"at": "digest"},
            MANIFEST: {"at": "digest"},
            ZIP_LIST: {"at": "digest"},
        },
    ),
    FaultRow("all zeros", {"kind": "zeros"}, wrong()),
    FaultRow("JSON with 200", {"kind": "json"}, wrong()),
    FaultRow("HTML with 200", {"kind": "html"}, wrong()),
    FaultRow("malformed JSON", {"kind": "malformed_json"}, wrong()),
    FaultRow("stall before the answer", {"kind": "stall"}, _UNAVAILABLE, is_slow=True),
    FaultRow("stall within the body", {"kind": "stall_body"}, _UNAVAILABLE, is_slow=True),
    FaultRow("trickle", {"kind": "trickle"}, _UNAVAILABLE, is_slow=True),
    FaultRow("foreign redirect", {"kind": "redirect"}, permanent(RefusedRequestError)),
    FaultRow(
        "redirect loop",
        {"kind": "redirect_loop"},
        _UNAVAILABLE | {TOKEN: both(red_at_once(RefusedRequestError)), STAC: both(BY_MANIFEST)},
    ),
    FaultRow(
        "repeated rows",
        {"kind": "repeated_rows"},
        pages(_UNAVAILABLE[CATALOGUE], both(SILENTLY)),
    ),
    FaultRow(
        "nextLink loop",
        {"kind": "next_link_loop"},
        pages(_UNAVAILABLE[CATALOGUE], both(HEALS)),
    ),
    FaultRow("206 with another part", {"kind": "range_206_wrong"}, parts(), asks_for_parts=True),
    FaultRow("416 to a Range", {"kind": "range_416"}, parts(), asks_for_parts=True),
    FaultRow("501 to a Range", {"kind": "range_501"}, parts(), asks_for_parts=True),
    FaultRow("a firewall's page with 403", {"kind": "blocked", "status": 403}, _BLOCKED),
    FaultRow("a firewall's page with 400", {"kind": "blocked", "status": 400}, _BLOCKED),
    FaultRow("202 accepted, not ready", {"status": 202}, _NOT_NOW),
    FaultRow("423 locked", {"status": 423}, _NOT_NOW),
    FaultRow("425 too early", {"status": 425}, _UNAVAILABLE),
    FaultRow("another file's part", {"kind": "range_changed"}, parts(), asks_for_parts=True),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault in one place."""

    fault: FaultRow
    target: Target
    often: str

    @property
    def right(self) -> Outcome:
        return self.fault.row[self.target][self.often == ALWAYS]

    def __str__(self) -> str:
        return f"{self.fault.name} - {self.target.name} - {self.often}"


CELLS = tuple(
    Cell(fault, target, often) for fault in ROWS for target in TARGETS for often in (ONCE, ALWAYS)
)
TESTED = tuple(cell for cell in CELLS if cell.right.is_tested)


def _sample() -> frozenset[str]:
    """Choose for every fault, once and every time, the place that was chosen least so far."""
    used = dict.fromkeys(
        ((target.name, often) for target in TARGETS for often in (ONCE, ALWAYS)), 0
    )
    chosen = []
    for fault in ROWS:
        for often in (ONCE, ALWAYS):
            able = [cell for cell in TESTED if cell.fault is fault and cell.often == often]
            for cell in sorted(able, key=lambda cell: used[cell.target.name, cell.often])[:1]:
                used[cell.target.name, cell.often] += 1
                chosen.append(str(cell))
    return frozenset(chosen)


SAMPLE = _sample()
