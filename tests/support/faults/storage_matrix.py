"""What is right when the output misbehaves: every fault, in every task."""

from dataclasses import dataclass, field

from copernicus_dataspace.errors import (
    ConfigurationError,
    NoConditionalWriteError,
    StorageFullError,
    StorageRefusedError,
    StorageUnavailableError,
)
from tests.support.faults.fault_matrix import HEALS, Outcome, cannot_occur, red_at_once, red_for_now
from tests.support.faults.faulty_s3 import S3Fault
from tests.support.faults.storage_scene import STEPS

PASSES = red_for_now(StorageUnavailableError)
FULL = red_for_now(StorageFullError)
REFUSED = red_at_once(StorageRefusedError)
_SETTING = red_at_once(ConfigurationError)


def lacking(error):
    """Found out by those who try; the others never begin."""
    never = cannot_occur("the search has refused the output before")
    return {**everywhere(never), "search": _SETTING, "audit": red_at_once(error)}


@dataclass(frozen=True, slots=True, eq=False)
class StorageFault:
    """A fault of an output: of a disk, in some calls, or of a bucket; what is right by task.

    ``s3`` are arguments of an S3Fault; without it the disk's ``calls`` fail with ``errno``.
    """

    name: str
    row: dict[str, Outcome]
    s3: dict = field(default_factory=dict)
    errno: str = ""
    calls: tuple[str, ...] = ("replace",)

    def make(self):
        return S3Fault(**self.s3)


def everywhere(outcome):
    """To the search it is a setting that is wrong."""
    row = dict.fromkeys(STEPS, outcome)
    return row | ({"search": _SETTING} if outcome is REFUSED else {})


def of_disk(name, outcome, *calls):
    words = {"replace": "renames", "mkdir": "new folders", "scandir": "listings"}
    where = " and ".join(words[call] for call in calls)
    return StorageFault(f"disk: {name} of {where}", everywhere(outcome), errno=name, calls=calls)


def of_bucket(status, code, outcome, *methods):
    where = f" to {' and '.join(methods)}" if methods else ""
    spec = {"status": status, "code": code, **({"methods": methods} if methods else {})}
    return StorageFault(f"bucket: {status} {code}{where}", everywhere(outcome), s3=spec)


def without(name, error, **spec):
    return StorageFault(f"bucket: {name}", lacking(error), s3=spec)


_CONDITIONAL = {"methods": ("PUT",), "header": "If-None-Match"}
_COPY = {"methods": ("PUT",), "header": "x-amz-copy-source"}

ROWS = (
    of_disk("ESTALE", PASSES, "replace"),
    of_disk("ESTALE", PASSES, "scandir"),
    of_disk("EIO", PASSES, "replace"),
    of_disk("EIO", PASSES, "scandir"),
    of_disk("ETIMEDOUT", PASSES, "mkdir"),
    of_disk("ENOSPC", FULL, "replace"),
    of_disk("EDQUOT", FULL, "mkdir"),
    of_disk("EACCES", REFUSED, "replace"),
    of_disk("EACCES", REFUSED, "scandir"),
    of_disk("EROFS", REFUSED, "mkdir"),
    of_bucket(503, "SlowDown", PASSES),
    of_bucket(503, "ServiceUnavailable", PASSES, "GET"),
    of_bucket(500, "InternalError", PASSES, "PUT"),
    of_bucket(502, "BadGateway", PASSES, "PUT"),
    of_bucket(400, "RequestTimeout", PASSES, "PUT"),
    of_bucket(400, "ExpiredToken", PASSES),
    of_bucket(400, "NeverHeardOf", PASSES, "GET"),
    of_bucket(507, "XMinioStorageFull", FULL, "PUT"),
    of_bucket(403, "AccessDenied", REFUSED, "PUT"),
    of_bucket(403, "AccessDenied", REFUSED, "GET"),
    of_bucket(403, "InvalidAccessKeyId", REFUSED),
    of_bucket(403, "SignatureDoesNotMatch", REFUSED, "PUT"),
    of_bucket(404, "NoSuchBucket", REFUSED),
    without(
        "501 to If-None-Match",
        NoConditionalWriteError,
        status=501,
        code="NotImplemented",
        **_CONDITIONAL,
    ),
    without(
        "400 to If-None-Match",
        NoConditionalWriteError,
        status=400,
        code="InvalidArgument",
        **_CONDITIONAL,
    ),
    without(
        "400 without a known word to If-None-Match",
        NoConditionalWriteError,
        status=400,
        code="UnsupportedHeader",
        **_CONDITIONAL,
    ),
    without(
        "403 to If-None-Match",
        NoConditionalWriteError,
        status=403,
        code="AccessDenied",
        **_CONDITIONAL,
    ),
    without("If-None-Match is not looked at", NoConditionalWriteError, **_CONDITIONAL),
    without(
        "403 to DELETE", StorageRefusedError, status=403, code="AccessDenied", methods=("DELETE",)
    ),
    without(
        "405 to DELETE",
        StorageRefusedError,
        status=405,
        code="MethodNotAllowed",
        methods=("DELETE",),
    ),
    without("501 to a copy", StorageRefusedError, status=501, code="NotImplemented", **_COPY),
    without("403 to a copy", StorageRefusedError, status=403, code="AccessDenied", **_COPY),
    StorageFault(
        "bucket: 400 MissingContentMD5 to the removal of many",
        everywhere(HEALS),
        s3={
            "status": 400,
            "code": "MissingContentMD5",
            "methods": ("POST",),
            "match": r"\?delete",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class StorageCell:
    """One fault while one task runs."""

    fault: StorageFault
    step: str

    @property
    def right(self):
        return self.fault.row[self.step]

    def __str__(self):
        return f"{self.fault.name} - {self.step}"


CELLS = tuple(StorageCell(fault, step) for fault in ROWS for step in STEPS)
TESTED = tuple(cell for cell in CELLS if cell.right.is_tested)
_EACH_OUTCOME = {cell.right.text: cell for cell in TESTED}.values()
_EACH_STEP = {cell.step: cell for cell in TESTED if cell.fault.errno}.values()
SAMPLE = frozenset(map(str, (*_EACH_OUTCOME, *_EACH_STEP)))
"""Every fault that passes or not, and every task, but not each with each."""

_HEAD = """\
## The output misbehaves

Each cell is a run, and a reconcile of its day, whose output does not work while one task runs: a
disk, or a bucket behind a server that answers so. Beside the error, which names the address, each
proves that a task whose error may pass does all of its work once the output works again, and that
nothing is taken for lost meanwhile. `make test` tries {sample} of the {tested} cells.
What a bucket lacks altogether is found out by `search` and `audit`, before anything is fetched.
"""


def section():
    """Return the part of the page for readers."""
    rows = [["fault", *STEPS], ["---"] * (len(STEPS) + 1)]
    rows += [[fault.name, *(_words(fault.row[step]) for step in STEPS)] for fault in ROWS]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{_HEAD.format(sample=len(SAMPLE), tested=len(TESTED))}\n{table}\n"


def _words(right):
    return right.text.removesuffix("Error") if right.is_tested else "-"
