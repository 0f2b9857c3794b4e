"""Writes the fault matrix as a page for readers."""

from tests.support.faults import fault_matrix as matrix
from tests.support.faults import fault_network, fault_rows, storage_matrix

_OFTEN = (matrix.ONCE, matrix.ALWAYS)
_HEAD = """\
# Faults and their outcomes

To repair a red task look its error up in [Errors](errors.md); this page is the proof behind it.

Generated from `tests/support/faults/fault_matrix.py`, not to be edited: `UPDATE_DOCS=1 make test`
writes it anew. `make test` tries {sample} of the {tested} cells, `make test-long` the others;
{cannot} more cannot occur.

Each cell is a run of search, download, extract and publish against the emulator, with one fault
in one place: once, or every time. To a Range, "every time" means that a body breaks off three
times and each request for its rest is answered so. Waits are leapt over; one of each kind is
really waited. Beside what a cell promises, each proves:

- At no moment does anything but the right bytes stand below `bands/` or `archive/`.
- No partial file stays behind.
- No log holds a password, a second factor, a token or a secret key.
- No host but the service's own is talked to.
- A task whose error may pass does all of its work when it is tried again without the fault.

An error is named without its last word, *Error*; [Errors](errors.md) says what each means.

| cell | means |
|---|---|
| heals | green, after some seconds at most |
| → manifest, → HTTPS, → zip | green; the manifest, the download service or the zip serves instead |
| retried: *error* | red after the task's own tries; Airflow tries the task again later |
| later: *error* | red at once, for seconds change nothing; Airflow tries the task again later |
| **red**: *error* | red at once and for good; a person must change something |
| - | cannot occur there, see below |

| place | is |
|---|---|
{places}
"""

_BETWEEN = """\
## Network and identity

What lies between this machine and the service, and what was entered of the account, every time.
Here *later* is: tried again, within the task or by Airflow. The connection's *Test* says the same.
From `tests/support/faults/fault_network.py`, played by `test_network.py` against real proxies and
TLS servers.
"""


def page():
    """Return the page."""
    head = _HEAD.format(
        sample=len(matrix.SAMPLE),
        tested=len(matrix.TESTED),
        cannot=len(matrix.CELLS) - len(matrix.TESTED),
        places=_lines([[target.name, target.about] for target in matrix.TARGETS]),
    )
    tables = [f"## The fault occurs {often}\n\n{_table(often)}\n" for often in _OFTEN]
    reasons = f"## What cannot occur\n\n{_reasons()}\n"
    others = (fault_rows.section(), _between(), storage_matrix.section())
    return "\n".join([head, *tables, reasons, *others])


def _between():
    """Return the section about faults of the network and of what was entered."""
    rows = [[one.kind, one.name, _becomes(one), one.says] for one in fault_network.FAULTS]
    head = ["kind", "fault", "becomes", "the message says, among others"]
    return f"{_BETWEEN}\n{_lines([head, ['---'] * len(head), *rows])}\n"


def _becomes(fault):
    name = fault.error.__name__.removesuffix("Error")
    return f"later: {name}" if fault.may_pass else f"**red**: {name}"


def _table(often):
    names = [target.name for target in matrix.TARGETS]
    rows = [[fault.name, *_words(fault, often)] for fault in matrix.ROWS]
    return _lines([["fault", *names], ["---"] * (len(names) + 1), *rows])


def _words(fault, often):
    cells = [matrix.Cell(fault, target, often).right for target in matrix.TARGETS]
    return [right.text.removesuffix("Error") if right.is_tested else "-" for right in cells]


def _reasons():
    because = {}
    for cell in matrix.CELLS:
        if not cell.right.is_tested:
            places = because.setdefault((cell.fault.name, cell.right.text), {})
            places[cell.target.name] = None
    return "\n".join(
        f"- {fault} ({', '.join(places)}): {text.removeprefix('n/a: ')}."
        for (fault, text), places in because.items()
    )


def _lines(rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
