"""The summary of a run, as JSON values and as text."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.ingest.quota import PERIOD_DAYS
from copernicus_dataspace.models.byte_sizes import gigabytes, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.ingest.run_records import Attempt, Delivered
    from copernicus_dataspace.models.product import Product

_MOST_NAMED: Final = 20
"""Maximum number of products named in the text; the JSON names all."""


def summarise(
    search: Mapping[str, Any],
    products: Sequence[Product],
    attempts: Iterable[Attempt],
    delivered: Mapping[str, Delivered],
) -> dict[str, Any]:
    """Return counts, bytes, a row per product, and ``complete_days``: days with nothing missing.

    Args:
        search: As in `RunRecords.begin`: ``dag_id``, ``run_id``, ``days`` as ``YYYY-MM-DD``,
            ``offline`` names, ``left_out`` products as in `LeftOut.to_json`, ``chosen``: whether
            products were requested by id, ``open_days``: days that are incomplete whatever was
            delivered, for example because a product is offline, ``quota_bytes``, the search's own
            ``requests``, ``retries`` and ``rate_limited`` responses, and ``unusable`` rows as in
            `UnusableRow.to_json`, whose days are incomplete.
        products: Products to deliver.
        attempts: All download attempts, oldest first for each product.
        delivered: Delivered products by stem.
    """
    tries = list(attempts)
    errors = {stem: text for attempt in tries for stem, text in attempt.errors.items()}
    rows = [_row(product, delivered.get(product.stem), errors) for product in products]
    unusable = search.get("unusable", ())
    missing = [product for product in products if product.stem not in delivered]
    open_days = {product.day for product in missing} | {row["day"] for row in unusable}
    open_days |= {*search.get("open_days", ())}
    return {
        **search,
        "products": len(products),
        "delivered": len(products) - len(missing),
        "missing": [
            *(product.stem for product in missing),
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
        summary: As of `summarise`, with ``bytes_30_days``: bytes the account transferred in that
            time, and ``not_complete``: sentences that explain why days are not announced.
    """
    days = summary["days"]
    period = (
        days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "chosen products"
    )
    lines = [
        f"{summary['dag_id']}  {period}  run {summary['run_id']}",
        f"{summary['delivered']} of {summary['products']} products delivered, "
        f"{summary['files']} files, {megabytes(summary['bytes_delivered'])}.",
        f"{megabytes(summary['bytes_transferred'])} transferred in {summary['requests']} requests; "
        f"the complete products have {megabytes(summary['bytes_of_products'])}.",
        f"{summary['moving_s']} s transferring and {summary['waiting_s']} s waiting, summed over "
        f"connections; {_retries(summary)}.",
        f"Account usage of the last {PERIOD_DAYS} days: {gigabytes(summary['bytes_30_days'])} of "
        f"{gigabytes(summary['quota_bytes'])}.",
    ]
    if summary["offline"]:
        lines.append(f"Offline, not available: {', '.join(summary['offline'])}.")
    if summary.get("left_out"):
        lines.append(left_out_in_words(summary["left_out"]))
    unusable = summary.get("unusable", ())
    lines += [f"Unusable row: {row['label']}: {row['why']}." for row in unusable[:_MOST_NAMED]]
    lines += summary.get("not_complete", ())
    if not summary["products"] and not unusable:
        lines.append(nothing_in_words(summary))
    lines += [
        f"{row['state']:9}  {row['day']}  {row['files']:3} files  {megabytes(row['bytes']):>10}  "
        f"{row['name']}{'  ' + row['error'] if row['error'] else ''}"
        for row in summary["table"]
    ]
    return "\n".join(lines) + "\n"


def in_one_line(summary: Mapping[str, Any]) -> str:
    """Return days, products and size, such as ``1 Aug 2024 · 5 products · 1.5 MB``."""
    days = [date.fromisoformat(day) for day in (*summary["days"][:1], *summary["days"][1:][-1:])]
    period = " to ".join(f"{day.day} {day:%b %Y}" for day in days) or "chosen products"
    size = megabytes(summary["bytes_delivered"])
    if summary["missing"]:
        wanted = summary["delivered"] + len(summary["missing"])
        return f"{period} · {summary['delivered']} of {wanted} products delivered · {size}"
    if summary["products"]:
        return f"{period} · {_numbered(summary['products'])} · {size}"
    reasons = excluded_in_words(summary)
    return f"{period} · 0 products" + (f" · left out: {reasons}" if reasons else "")


def excluded_in_words(search: Mapping[str, Any]) -> str:
    """Return how many products a search without result has left out, by reason.

    Args:
        search: As for `summarise`, with ``filtered_out`` as in `search.FilteredOut`, or None.
    """
    filtered_out = search.get("filtered_out") or {}
    numbers = {
        "by the cloud limit": filtered_out.get("cloud_cover", 0),
        "on other tiles": filtered_out.get("tiles", 0),
        "for newer versions": len(search.get("left_out", ())),
        "offline": len(search["offline"]),
    }
    reasons = [f"{number} {reason}" for reason, number in numbers.items() if number]
    more = [] if filtered_out.get("is_complete", True) else ["perhaps more"]
    return ", ".join([*reasons, *more])


def nothing_in_words(search: Mapping[str, Any]) -> str:
    """Return that a search has no result, with what it has left out."""
    reasons = excluded_in_words(search)
    matching = f"; left out: {reasons}" if reasons else ""
    return f"Nothing to do: the catalogue has no matching online products{matching}."


def left_out_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of products left out, and the first of them with their replacements."""
    named = [_left_out(row) for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(named)
    return f"{len(rows)} left out: {'; '.join(named)}{f'; and {more} more' if more else ''}."


def _numbered(products: int) -> str:
    return "1 product" if products == 1 else f"{products} products"


def _left_out(row: Mapping[str, Any]) -> str:
    is_twin = row["name"] == row["instead"]
    rest = f"id {row['id']}" if is_twin else f"for {row['instead']}"
    return f"{row['reason']}: {row['name']}, {rest}"


def _retries(summary: Mapping[str, Any]) -> str:
    retries, limited = summary["retries"], summary["rate_limited"]
    said = f"{retries} {'retry' if retries == 1 else 'retries'}"
    return f"{said}, {limited} HTTP 429" if limited else said


def _row(
    product: Product, delivered: Delivered | None, errors: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": product.stem,
        "id": product.id,
        "day": product.day,
        "cloud_cover": product.cloud_cover,
        "state": "delivered" if delivered else "missing",
        "files": delivered.files if delivered else 0,
        "bytes": delivered.bytes if delivered else 0,
        "folder": delivered.folder if delivered else None,
        "error": None if delivered else errors.get(product.stem),
    }
