"""Decides which sensing days a run may announce as complete.

A day is complete if the output has all products for the settings of the ingest file, whatever the
settings of the run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.config.params import lines
from copernicus_dataspace.models.product import normalise_tile
from copernicus_dataspace.models.time_range import parse_day
from copernicus_dataspace.stac.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copernicus_dataspace.storage.store import Store

COMPLETENESS_SETTINGS: Final = (
    *("area", "tiles", "product_type", "max_cloud_cover", "versions", "bands", "output_uri"),
)
"""Settings that determine the files of a complete day, and their location."""

MAX_ANNOUNCED_DAYS: Final = 1000
"""Maximum days per run: each causes an event, and a run of every downstream DAG."""
MAX_COUNTED_DAYS: Final = 400
"""Maximum days with product counts in an event; each event of a run repeats all counts."""
_MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Announcement:
    """The days a run announces, and the reasons why others are not announced.

    Attributes:
        days: ``YYYY-MM-DD``, in order.
        products: Number of delivered products by day; empty if there are many days.
        reasons: One sentence for each reason.
    """

    days: list[str]
    products: dict[str, int]
    reasons: list[str]


def announce(
    store: Store, summary: Mapping[str, Any], settings: Mapping[str, Any] | None
) -> Announcement:
    """Return what a run may announce.

    Args:
        store: The output store.
        summary: Result of `copernicus_dataspace.ingest.run_summary.summarise`.
        settings: Settings of the ingest by param name; None to use those of the run.
    """
    repair = summary.get("repair")
    own = {**(summary.get("asked") or {}), **(settings or {})}
    other = _difference(summary, own)
    if other:
        return Announcement([], {}, [f"No day is announced as complete: {other}."])
    checked = {*(summary["days"] if repair is None else repair)}
    candidates = [day for day in summary["complete_days"] if day in checked]
    complete = [day for day in candidates if _is_delivered(store, summary, day, own)]
    days, beyond = complete[:MAX_ANNOUNCED_DAYS], complete[MAX_ANNOUNCED_DAYS:]
    delivered = Counter(row["day"] for row in summary["table"])
    return Announcement(
        days=days,
        products={day: delivered[day] for day in days} if len(days) <= MAX_COUNTED_DAYS else {},
        reasons=[
            *_reasons(summary, {*summary["days"], *checked} - {*complete}),
            *_too_many(beyond),
        ],
    )


def _difference(summary: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return why a run does not cover its ingest's days; an empty text if it does."""
    used = summary.get("asked")
    if used is None:
        return "the search was made by an older version that did not record its settings; clear it"
    if summary["chosen"] and summary.get("repair") is None:
        return "the run selected single products"
    others = _different_settings(own, used)
    message = f"the run has other settings than {summary['dag_id']}: {', '.join(others)}"
    return message if others else ""


def _different_settings(own: Mapping[str, Any], used: Mapping[str, Any]) -> list[str]:
    """Return the settings in which a run differs from its ingest; more bands are allowed."""
    ingest_settings, run_settings = _comparable(own), _comparable(used)
    differs = {
        name for name in COMPLETENESS_SETTINGS if ingest_settings[name] != run_settings[name]
    }
    if ingest_settings["bands"] <= run_settings["bands"]:
        differs.discard("bands")
    return [name for name in COMPLETENESS_SETTINGS if name in differs]


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return normalised settings for comparison, because the form changes their format."""
    return {
        **{name: _plain(settings.get(name)) for name in COMPLETENESS_SETTINGS},
        "tiles": set(map(normalise_tile, lines(settings.get("tiles")))),
        "bands": set(lines(settings.get("bands"))),
        "output_uri": str(settings.get("output_uri") or default_output_uri()).rstrip("/"),
    }


def _plain(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


def _is_delivered(
    store: Store, summary: Mapping[str, Any], day: str, own: Mapping[str, Any]
) -> bool:
    """Return whether all products that the run found or had to repair are delivered completely."""
    names = {row["name"] for row in summary["table"] if row["day"] == day}
    ids = set((summary.get("repair") or {}).get(day, ()))
    if not names:
        return not ids
    inventory, sensed = Inventory(store), parse_day(day)
    zips = inventory.kept_zips(own["product_type"], sensed) if own.get("keep_archive") else None
    complete = [
        entry.product
        for entry in inventory.day(own["product_type"], sensed)
        if not entry.problems(lines(own["bands"])) and (zips is None or entry.product.stem in zips)
    ]
    return names <= {product.stem for product in complete} and ids <= {
        product.id for product in complete
    }


def _too_many(beyond: list[str]) -> list[str]:
    if not beyond:
        return []
    return [
        f"Not announced, because a run announces at most {MAX_ANNOUNCED_DAYS:,} days: "
        f"{len(beyond):,} complete days from {beyond[0]} to {beyond[-1]}. Use separate runs or a "
        "backfill for these."
    ]


def _reasons(summary: Mapping[str, Any], incomplete: set[str]) -> list[str]:
    unusable = {row["day"] for row in summary.get("unusable", ())}
    repair = summary.get("repair")
    causes = {
        "products are offline": {*summary.get("open_days", ())},
        "rows of the catalogue are invalid": incomplete if None in unusable else unusable,
        "other missing products are unknown": set() if repair is None else incomplete - {*repair},
        "files are missing": incomplete,
    }
    reasons = []
    for cause, affected in causes.items():
        days = sorted(incomplete & affected)
        incomplete = incomplete - affected
        if days:
            listed = ", ".join(days[:_MAX_LISTED])
            more = len(days) - _MAX_LISTED
            rest = f" and {more} more days" if more > 0 else ""
            reasons.append(f"Not announced as complete, because {cause}: {listed}{rest}.")
    return reasons
