"""Formats a request for approval of removals as Markdown; escapes all names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.reports.wording import in_words, products

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copernicus_dataspace.reconcile.removals.approval import Removal

_MOST_ROWS: Final = 100
_LONGEST: Final = 300
_HEAD: Final = (
    "| Product | Day | Tile | Found | Why | Replaced by | On approval |\n"
    "|---|---|---|---|---|---|---|"
)
_MARKUP: Final = re.compile(r"[^\w .,;-]|_")
_BECOMES: Final = {"remove": "removed", "quarantine": "moved to quarantine"}


def subject(ingest: str, removals: Sequence[Removal]) -> str:
    """Return the subject line."""
    return f"{ingest}: may {products(len(removals))} be removed or moved to quarantine?"


def plan_table(removals: Sequence[Removal], report: str, full_list: str) -> str:
    """Return the request as Markdown: totals, and a table of the first products.

    Args:
        removals: In display order.
        report: URL of the ingest's latest report.
        full_list: URI of the complete list, as JSON.
    """
    policies = [_BECOMES.get(one.policy, one.policy) for one in removals]
    states = [one.state for one in removals]
    lines = [
        f"{products(len(removals))}: {_counted(states)}. On approval: {_counted(policies)}. "
        "This exceeds what the ingest may remove without approval.",
        "",
        "If you approve, the catalogue and the archive are checked again, and only products listed "
        "here that still qualify are removed or moved. If you reject, or nobody responds within "
        "30 days, all of them are kept.",
        "",
        _HEAD,
        *(_row(one) for one in removals[:_MOST_ROWS]),
    ]
    if len(removals) > _MOST_ROWS:
        lines += ["", f"and {len(removals) - _MOST_ROWS:,} more."]
    more = f"[Latest report](<{report}>). The whole plan, as JSON: {plain(full_list)}"
    return "\n".join([*lines, "", more])


def _row(one: Removal) -> str:
    becomes = _BECOMES.get(one.policy, one.policy)
    instead = ", ".join(one.instead) or "-"
    cells = (one.name, one.day, one.tile, one.state, one.why, instead, becomes)
    return f"| {' | '.join(map(plain, cells))} |"


def plain(text: str) -> str:
    """Escape a text for Markdown and HTML, on one line and of limited length."""
    line = " ".join(text.split())
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", short)


def _counted(words: Sequence[str]) -> str:
    return in_words({word: words.count(word) for word in sorted(set(words))})
