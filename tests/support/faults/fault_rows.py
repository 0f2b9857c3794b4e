"""What is right when one row of the catalogue is odd: a part of the page about faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from copernicus_dataspace.errors import CorruptDownloadError, DataSpaceError
from tests.support.products.odd_rows import GONE, attributes, changed

FILES, ZIP = "files", "zip, kept"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What becomes of the product of an odd row; the other one of its day arrives always.

    Where it ``is_named`` it is missing by its name, where it ``is_offline`` by that, and the day is
    not announced; ``error`` is that of its download.
    """

    text: str
    arrives: bool = False
    is_named: bool = False
    is_offline: bool = False
    error: type[DataSpaceError] | None = None


ARRIVES = RowOutcome("arrives", arrives=True)
NAMED = RowOutcome("left out, **named**", is_named=True)
WAITS = RowOutcome("left out: offline", is_offline=True)
CORRUPT = RowOutcome("retried: CorruptDownloadError", error=CorruptDownloadError)


def listed(**changes: Any) -> Callable[[Any], Any]:
    return lambda row: changed(row, **changes)


def at_first(**changes: Any) -> Callable[[], Callable[[Any], Any]]:
    """Return what makes a change to the first answer, and none to later ones."""

    def make() -> Callable[[Any], Any]:
        answers: list[Any] = []

        def change(row: Any) -> Any:
            answers.append(row)
            return changed(row, **changes) if len(answers) == 1 else row

        return change

    return make


def spelled(**values: Any) -> Callable[[Any], Any]:
    """Return what gives attributes other values."""

    def change(row: Any) -> Any:
        kept = [one for one in row["Attributes"] if one["Name"] not in values]
        return {**row, "Attributes": [*kept, *attributes(**values)]}

    return change


@dataclass(frozen=True, slots=True, eq=False)
class OddRow:
    """A row: how its product is made, what is made of the row, and what is right.

    ``rewritten`` makes the change to a row anew for each run; ``params`` are the run's; ``twin`` is
    how a second product of the same name is made.
    """

    name: str
    files: RowOutcome
    zip: RowOutcome
    recipe: dict[str, Any] = field(default_factory=dict)
    rewritten: Callable[[], Callable[[Any], Any]] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    twin: dict[str, Any] | None = None
    now: str = ""

    def right(self, transfer: str) -> RowOutcome:
        return self.files if transfer == FILES else self.zip


def _row(name: str, outcome: RowOutcome, **changes: Any) -> OddRow:
    return OddRow(name, outcome, outcome, rewritten=lambda: listed(**changes))


def _made(name: str, outcome: RowOutcome = ARRIVES, **recipe: Any) -> OddRow:
    return OddRow(name, outcome, outcome, recipe=recipe)


_LAKE = {"area": "34.489,40.621,34.513,40.640", "tiles": []}
_PATH_UP = "/eodata/../x"
_MD5_OF_ANOTHER = [{"Value": "f" * 32, "Algorithm": "MD5"}]
_TWO_PARTS = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[34.1, 40.5], [34.5, 40.5], [34.5, 40.8], [34.1, 40.5]]],
        [[[34.5, 40.5], [35.0, 40.5], [34.5, 40.8], [34.5, 40.5]]],
    ],
}

ROWS = (
    _made("no Online", online=None),
    _made("Online false", WAITS, online=False),
    _row("Online as a text", ARRIVES, Online="true"),
    _row("Online null", ARRIVES, Online=None),
    _made('EvictionDate ""', eviction=""),
    _made("EvictionDate null", eviction=None),
    _made("EvictionDate in the past", eviction="2024-12-31T23:59:59.999999Z"),
    _made("Checksum empty", checksum="none"),
    _made("Checksum N/A", checksum="N/A"),
    _made("Checksum all zeros", checksum="zeros"),
    _row("Checksum a text", ARRIVES, Checksum="N/A"),
    OddRow("Checksum wrong", ARRIVES, CORRUPT, recipe={"checksum": "wrong"}),
    OddRow(
        "Checksum wrong, and right after the search",
        ARRIVES,
        ARRIVES,
        rewritten=at_first(Checksum=_MD5_OF_ANOTHER),
    ),
    _row("ContentLength 0", ARRIVES, ContentLength=0),
    _row("no ContentLength", ARRIVES, ContentLength=GONE),
    OddRow("ContentLength another", ARRIVES, CORRUPT, rewritten=lambda: listed(ContentLength=17)),
    OddRow(
        "ContentLength another, and right after the search",
        ARRIVES,
        ARRIVES,
        rewritten=at_first(ContentLength=17),
    ),
    _row("ContentLength N/A", NAMED, ContentLength="N/A"),
    OddRow("no footprint, and an area", ARRIVES, ARRIVES, {"footprint": {}}, params=_LAKE),
    OddRow(
        "footprint of two parts, and an area",
        ARRIVES,
        ARRIVES,
        {"footprint": _TWO_PARTS},
        params=_LAKE,
    ),
    OddRow(
        "footprint no geometry, and an area",
        ARRIVES,
        ARRIVES,
        rewritten=lambda: listed(GeoFootprint="POINT"),
        params=_LAKE,
    ),
    _row("Name empty", NAMED, Name=""),
    _row("no Name", NAMED, Name=GONE),
    _row("Name with ..", NAMED, Name="../S2A_MSIL2A_x.SAFE"),
    _row("Name of another format", NAMED, Name="S2A_MSIL2A_20240801T083601.zarr"),
    _row("Id no UUID", NAMED, Id="7"),
    _row("Start null", NAMED, ContentDate={"Start": None, "End": None}),
    _row("Start in month 13", NAMED, ContentDate={"Start": "2024-13-01T00:00:00Z"}),
    OddRow("null instead of a row", NAMED, NAMED, rewritten=lambda: lambda _: None),
    _row("no Attributes", ARRIVES, Attributes=GONE),
    OddRow(
        "no cloudCover, and a limit",
        NAMED,
        NAMED,
        rewritten=lambda: spelled(cloudCover=GONE),
        params={"max_cloud_cover": 50},
    ),
    OddRow(
        "productType of another level",
        NAMED,
        NAMED,
        rewritten=lambda: spelled(productType="S2MSI1C"),
    ),
    _made("processorVersion 5.11", processor_version="5.11"),
    _made("baseline 99.99", baseline="99.99"),
    _row("S3Path with ..", ARRIVES, S3Path=_PATH_UP),
    _row("no S3Path", ARRIVES, S3Path=GONE),
    _row("PublicationDate no date", ARRIVES, PublicationDate="soon"),
    OddRow("dates of 2023: 3 digits, +00:00", ARRIVES, ARRIVES, now="2024-08-30T00:00:00Z"),
    OddRow("a second product of the same name", ARRIVES, ARRIVES, twin={"seed": 1}),
    OddRow("a second one, without bytes", ARRIVES, ARRIVES, twin={"seed": 1, "content": False}),
)

_HEAD = """\
## A row of the catalogue is odd

Generated from `tests/support/faults/fault_rows.py`. Each cell is a run over a day of two products,
of which one has an odd row, once for single files and once for zips that are kept. The other
product arrives in every cell, and what stands is right to the byte. After each run the nightly
audit finds nothing more to do than the run has said.

| cell | means |
|---|---|
| arrives | green, and the day is announced |
| left out, **named** | red at the end: summary, report and error name the row and what is odd |
| left out: offline | green, not announced; the audit asks for it again |
| retried: *error* | red after the task's own tries; Airflow tries the task again later |

"""


def section() -> str:
    """Return the part of the page."""
    lines = [("row", FILES, ZIP), ("---", "---", "---")]
    lines += [(row.name, _word(row.files), _word(row.zip)) for row in ROWS]
    return _HEAD + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _word(outcome: RowOutcome) -> str:
    return outcome.text.removesuffix("Error")
