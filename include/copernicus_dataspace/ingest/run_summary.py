"""Tells in one page what became of a run; takes values and returns values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.ingest.quota import PERIOD_DAYS
from copernicus_dataspace.models.byte_sizes import gigabytes, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.ingest.run_records import Attempt, Delivered
    from copernicus_dataspace.models.product import Product

_MOST_NAMED: Final = 20
"""Products left out that the text names; the JSON names all."""


def summarise(
    search: Mapping[str, Any],
    products: Sequence[Product],
    attempts: Iterable[Attempt],
    delivered: Mapping[str, Delivered],
) -> dict[str, Any]:
    """Return counts, bytes, a row per product, and as ``complete_days`` those that lack nothing.

    Args:
        search: What `RunRecords.begin` noted: ``dag_id``, ``run_id``, ``days`` as ``YYYY-MM-DD``,
            ``offline`` names, ``left_out`` products as of `LeftOut.to_json`, ``chosen``: whether
            products were asked for singly, ``open_days``: days that lack something whatever was
            delivered, such as an offline product, ``quota_bytes``, the search's own ``requests``,
            ``retries`` and ``rate_limited`` answers, and ``unusable`` rows as of
            `UnusableRow.to_json`: no day of theirs is complete.
        products: What was to be delivered.
        attempts: All tries at fetching, oldest first for each product.
        delivered: What stands, by product stem.
    """
    tries = list(attempts)
    errors = {stem: text for attempt in tries for stem, text in attempt.errors.items()}
    rows = [_row(product, delivered.get(product.stem), errors) for product in products]
    unusable = search.get("unusable", ())
    open_days = {row["day"] for row in rows if row["state"] != "delivered"}
    open_days |= {row["day"] for row in unusable} | {*search.get("open_days", ())}
    missing = [row["name"] for row in rows if row["state"] != "delivered"]
    return {
        **search,
        "products": len(products),
        "delivered": sum(row["state"] == "delivered" for row in rows),
        "missing": [
            *missing,
            *(search["offline"] if search["chosen"] else ()),
            *(row["label"] for row in unusable),
        ],
        "complete_days": [
            day for day in search["days"] if day not in open_days and None not in open_days
        ],
        "files": sum(row["files"] for row in rows),
        "bytes_delivered": sum(row["bytes"] for row in rows),
        "bytes_transferred": sum(attempt.bytes_transferred for attempt in tries),
        "bytes_of_products": sum(product.size_bytes or 0 for product in products),
        "requests": sum(attempt.requests for attempt in tries) + search["requests"],
        "retries": sum(attempt.retries for attempt in tries) + search.get("retries", 0),
        "rate_limited": sum(one.rate_limited for one in tries) + search.get("rate_limited", 0),
        "moving_s": round(sum(attempt.moving_s for attempt in tries), 1),
        "waiting_s": round(sum(attempt.waiting_s for attempt in tries), 1),
        "table": rows,
    }


def as_text(summary: Mapping[str, Any]) -> str:
    """Return a summary as one page of text.

    Args:
        summary: As of `summarise`, with ``bytes_30_days``: what the account moved in that time, and
            ``not_complete``: sentences that say why days are not announced.
    """
    days = summary["days"]
    period = (
        days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "chosen products"
    )
    lines = [
        f"{summary['dag_id']}  {period}  run {summary['run_id']}",
        f"{summary['delivered']} of {summary['products']} products delivered, "
        f"{summary['files']} files, {megabytes(summary['bytes_delivered'])}.",
        f"{megabytes(summary['bytes_transferred'])} in {summary['requests']} requests crossed the "
        f"wire; the whole products hold {megabytes(summary['bytes_of_products'])}.",
        f"Summed over connections, {summary['moving_s']} s went into moving them and "
        f"{summary['waiting_s']} s into waiting; {_again(summary)}.",
        f"In the last {PERIOD_DAYS} days {gigabytes(summary['bytes_30_days'])} were moved, of "
        f"{gigabytes(summary['quota_bytes'])} that this account may move.",
    ]
    if summary["offline"]:
        lines.append(f"Offline, not to be had: {', '.join(summary['offline'])}.")
    if summary.get("left_out"):
        lines.append(left_out_in_words(summary["left_out"]))
    unusable = summary.get("unusable", ())
    lines += [f"Unusable row: {row['label']}: {row['why']}." for row in unusable[:_MOST_NAMED]]
    lines += summary.get("not_complete", ())
    if not summary["products"] and not unusable:
        lines.append("The catalogue lists no matching product: nothing to do.")
    lines += [
        f"{row['state']:9}  {row['day']}  {row['files']:3} files  {megabytes(row['bytes']):>10}  "
        f"{row['name']}{'  ' + row['error'] if row['error'] else ''}"
        for row in summary["table"]
    ]
    return "\n".join(lines) + "\n"


def left_out_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many products were left out, and the first of them with what stands for them."""
    named = [_left_out(row) for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(named)
    return f"{len(rows)} left out: {'; '.join(named)}{f'; and {more} more' if more else ''}."


def _left_out(row: Mapping[str, Any]) -> str:
    is_twin = row["name"] == row["instead"]
    rest = f"id {row['id']}" if is_twin else f"for {row['instead']}"
    return f"{row['reason']}: {row['name']}, {rest}"


def _again(summary: Mapping[str, Any]) -> str:
    retries, limited = summary["retries"], summary["rate_limited"]
    if not retries and not limited:
        return "nothing was asked for twice"
    return f"tried again {retries} times, too many requests {limited} times"


def _row(product: Product, stands: Delivered | None, errors: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": product.stem,
        "id": product.id,
        "day": product.sensed.date().isoformat(),
        "cloud_cover": product.cloud_cover,
        "state": "delivered" if stands else "missing",
        "files": stands.files if stands else 0,
        "bytes": stands.bytes if stands else 0,
        "folder": stands.folder if stands else None,
        "error": None if stands else errors.get(product.stem),
    }
