"""Brings what is held to what should be held, but for fetching; the new before the old."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataspace.audit import (
    FETCHED,
    OFFLINE,
    ORPHANED,
    SUPERSEDED,
    WITHDRAWN,
    Holdings,
    lacking,
)
from dataspace.custody import KEEP, adopt, disown, retire
from dataspace.ledger import Ledger
from dataspace.report_words import WOULD_BE_FETCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from dataspace.audit import Finding, Terms
    from dataspace.claims import Claims
    from dataspace.ledger import Entry
    from dataspace.plan import Plan
    from dataspace.product import Product
    from dataspace.stocktake import Stock
    from dataspace.store import Store

NOW_PRESENT: Final = "present"
NOW_MISSING: Final = "missing"
NOW_KEPT: Final = "kept"
NOW_GONE: Final = "gone"

_REPORTED: Final = "reported only"
_LEFT_ALONE: Final = "left for the next time: another run has it"
_NOW_UNTOUCHED: Final = {OFFLINE: NOW_MISSING, ORPHANED: NOW_KEPT}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policies:
    """What becomes of products that should no longer be held; see `custody.retire`.

    Attributes:
        superseded: Of those whose successors stand.
        withdrawn: Of those that were deleted upstream and have no successor.
    """

    superseded: str
    withdrawn: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a finding.

    Attributes:
        finding: What was found.
        action: What was done, in words.
        now: One of this module's states.
    """

    finding: Finding
    action: str
    now: str

    def to_json(self) -> dict[str, Any]:
        """Return a row of the report."""
        product = self.finding.product
        return {
            "day": product.sensed.date().isoformat(),
            "tile": f"T{product.tile}" if product.tile else "-",
            "name": product.stem,
            "id": product.id,
            "state": self.finding.state,
            "why": self.finding.why,
            "action": self.action,
            "now": self.now,
        }


class Mender:
    """Mends the holdings of one ingest."""

    def __init__(self, store: Store, claims: Claims, terms: Terms, now: datetime) -> None:
        """Prepare; nothing is changed yet.

        Args:
            store: Where products are held.
            claims: Of the run that mends: what another run has in its hands is left alone.
            terms: What the ingest wants.
            now: For the items that are written anew.
        """
        self._store = store
        self._claims = claims
        self._terms = terms
        self._now = now

    def prepare(self, stock: Stock) -> frozenset[str]:
        """Disown damaged files, so that they are fetched, and adopt what others have fetched.

        Returns the stems of damaged products that another run has in its hands.
        """
        products = {one.product.stem: one.product for one in stock.findings}
        done = {
            stem: self._claimed(products[stem], partial(self._disown, names))
            for stem, names in stock.damaged.items()
        }
        for product in stock.foreign:
            self._claimed(product, self._adopt)
        return frozenset(stem for stem, words in done.items() if words is None)

    def settle(self, plan: Plan, policies: Policies) -> list[Outcome]:
        """Retire what should no longer be held and return what became of every finding."""
        if plan.is_dry:
            return [_foreseen(finding, policies) for finding in plan.open]
        products = [one.product for one in plan.open]
        products += [product for one in plan.open for product in one.successors]
        days = sorted({product.sensed.date() for product in products})
        entries = Ledger(self._store).entries(self._terms.product_type, days)
        standing = {entry.product.stem: entry for entry in entries}
        return [
            Outcome(finding, _LEFT_ALONE, NOW_MISSING)
            if finding.product.stem in plan.left_alone
            else self._outcome(finding, standing, policies)
            for finding in plan.open
        ]

    def _outcome(
        self, finding: Finding, standing: Mapping[str, Entry], policies: Policies
    ) -> Outcome:
        if finding.state in FETCHED:
            if self._is_whole(finding.product, standing, finding.bands):
                return Outcome(finding, "fetched", NOW_PRESENT)
            return Outcome(finding, "not fetched, see the repair run", NOW_MISSING)
        policy = _policy(finding, policies)
        if policy is None:
            return Outcome(finding, _REPORTED, _NOW_UNTOUCHED[finding.state])
        if not all(self._is_whole(one, standing, finding.bands) for one in finding.successors):
            return Outcome(finding, "kept until what replaces it is there", NOW_KEPT)
        done = self._claimed(finding.product, partial(self._retire, policy))
        if done is None:
            return Outcome(finding, _LEFT_ALONE, NOW_KEPT)
        return Outcome(finding, done, NOW_KEPT if policy == KEEP else NOW_GONE)

    def _is_whole(
        self, product: Product, standing: Mapping[str, Entry], more_bands: Sequence[str]
    ) -> bool:
        entry = standing.get(product.stem)
        if entry is None:
            return False
        day, zips = product.sensed.date(), dict[str, int]()
        if self._terms.keep_archive:
            zips = Ledger(self._store).kept_zips(self._terms.product_type, day)
        return not lacking(product, entry, Holdings([entry], zips), self._terms, more_bands)

    def _claimed(self, product: Product, act: Callable[[Product], str]) -> str | None:
        """Do something to a product; return None where another run has it in its hands."""
        other = self._claims.take(product)
        if other:
            logger.warning("%s is left alone: %s is at it.", product.stem, other)
            return None
        try:
            return act(product)
        finally:
            self._claims.release(product)

    def _disown(self, names: Sequence[str], product: Product) -> str:
        disown(self._store, product, names, self._now)
        return "disowned"

    def _adopt(self, product: Product) -> str:
        adopt(self._store, product, self._terms.ingest, self._now)
        return "adopted"

    def _retire(self, policy: str, product: Product) -> str:
        others = self._terms.known - {self._terms.ingest}
        return retire(self._store, product, others, policy, self._now)


def _policy(finding: Finding, policies: Policies) -> str | None:
    """Return what is to become of a product that should not be held; None to leave it alone."""
    return {SUPERSEDED: policies.superseded, WITHDRAWN: policies.withdrawn}.get(finding.state)


def _foreseen(finding: Finding, policies: Policies) -> Outcome:
    """Return what would become of a finding."""
    if finding.state in FETCHED:
        return Outcome(finding, WOULD_BE_FETCHED, NOW_MISSING)
    policy = _policy(finding, policies)
    if policy is None:
        return Outcome(finding, _REPORTED, _NOW_UNTOUCHED[finding.state])
    return Outcome(finding, f"would be: {policy}", NOW_KEPT)
