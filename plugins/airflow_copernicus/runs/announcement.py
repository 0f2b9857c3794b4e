"""Decides which sensing days a run may announce as complete: only those of which that is true.

It has to be true for the settings of the ingest itself, whatever the run asked for, and of what
stands in the output.
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

DECIDING: Final = (
    *("area", "tiles", "product_type", "max_cloud_cover", "versions", "bands", "output_uri"),
)
"""Settings that decide which files of a day are wanted, and where."""

_MOST_ANNOUNCED: Final = 1000
"""Days of one run: each is an event, and a run of every DAG downstream."""
_MOST_COUNTED: Final = 400
"""Days whose numbers of products an event tells; each event of a run repeats those of all."""
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Announcement:
    """Which days a run announces, and why not others.

    Attributes:
        days: ``YYYY-MM-DD``, in order.
        products: How many products the run delivered of each of these days; empty for many days.
        reasons: A sentence for each thing that keeps days from being announced.
    """

    days: list[str]
    products: dict[str, int]
    reasons: list[str]


def announce(
    store: Store, summary: Mapping[str, Any], settings: Mapping[str, Any] | None
) -> Announcement:
    """Return what a run may announce.

    Args:
        store: Where its products stand.
        summary: As of `copernicus_dataspace.ingest.run_summary.summarise`.
        settings: Of the ingest whose days these are, by the names of its params; None where the
            run's own settings are those.
    """
    repair = summary.get("repair")
    own = {**(summary.get("asked") or {}), **(settings or {})}
    other = _other(summary, own)
    if other:
        return Announcement([], {}, [f"No day is announced as complete: {other}."])
    looked_at = {*(summary["days"] if repair is None else repair)}
    there = [day for day in summary["complete_days"] if day in looked_at]
    whole = [day for day in there if _stands(store, summary, day, own)]
    days, beyond = whole[:_MOST_ANNOUNCED], whole[_MOST_ANNOUNCED:]
    delivered = Counter(row["day"] for row in summary["table"])
    return Announcement(
        days=days,
        products={day: delivered[day] for day in days} if len(days) <= _MOST_COUNTED else {},
        reasons=[*_reasons(summary, {*summary["days"], *looked_at} - {*whole}), *_too_many(beyond)],
    )


def _other(summary: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return what a run was about other than the days of its ingest, in words; empty for those."""
    asked = summary.get("asked")
    if asked is None:
        return "an older version has made the search and not noted what for; clear it"
    if summary["chosen"] and summary.get("repair") is None:
        return "the run asked for single products"
    others = _others(own, asked)
    named = f"the run asked for other {', '.join(others)} than {summary['dag_id']} itself"
    return named if others else ""


def _others(own: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return in which settings a run differs from its ingest; it may ask for more bands."""
    theirs, ours = _comparable(own), _comparable(asked)
    differs = {name for name in DECIDING if theirs[name] != ours[name]}
    if theirs["bands"] <= ours["bands"]:
        differs.discard("bands")
    return [name for name in DECIDING if name in differs]


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings so that those which mean the same are equal, as the form changes them."""
    return {
        **{name: _plain(settings.get(name)) for name in DECIDING},
        "tiles": set(map(normalise_tile, lines(settings.get("tiles")))),
        "bands": set(lines(settings.get("bands"))),
        "output_uri": str(settings.get("output_uri") or default_output_uri()).rstrip("/"),
    }


def _plain(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


def _stands(store: Store, summary: Mapping[str, Any], day: str, own: Mapping[str, Any]) -> bool:
    """Tell whether all that the run found of a day, or was to mend of it, stands as wanted."""
    names = {row["name"] for row in summary["table"] if row["day"] == day}
    ids = set((summary.get("repair") or {}).get(day, ()))
    if not names:
        return not ids
    inventory, sensed = Inventory(store), parse_day(day)
    zips = inventory.kept_zips(own["product_type"], sensed) if own.get("keep_archive") else None
    whole = [
        entry.product
        for entry in inventory.day(own["product_type"], sensed)
        if not entry.problems(lines(own["bands"])) and (zips is None or entry.product.stem in zips)
    ]
    return names <= {product.stem for product in whole} and ids <= {one.id for one in whole}


def _too_many(beyond: list[str]) -> list[str]:
    if not beyond:
        return []
    return [
        f"Not announced, as one run announces {_MOST_ANNOUNCED:,} days at most: {len(beyond):,} "
        f"complete days from {beyond[0]} to {beyond[-1]}. Ask for these in runs of their own, or "
        "by a backfill."
    ]


def _reasons(summary: Mapping[str, Any], lacking: set[str]) -> list[str]:
    odd = {row["day"] for row in summary.get("unusable", ())}
    repair = summary.get("repair")
    causes = {
        "products are offline": {*summary.get("open_days", ())},
        "rows of the catalogue cannot be used": lacking if None in odd else odd,
        "it is not known what else they lack": set() if repair is None else lacking - {*repair},
        "wanted files are missing": lacking,
    }
    reasons = []
    for cause, affected in causes.items():
        days = sorted(lacking & affected)
        lacking = lacking - affected
        if days:
            named = ", ".join(days[:_MOST_NAMED])
            more = len(days) - _MOST_NAMED
            rest = f" and {more} more days" if more > 0 else ""
            reasons.append(f"Not announced as complete, as {cause}: {named}{rest}.")
    return reasons
