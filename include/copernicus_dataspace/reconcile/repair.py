"""Brings what is held to what should be held, but for fetching; the new before the old."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.reconcile.inspection.findings import (
    FETCHED,
    OFFLINE,
    ORPHANED,
    SUPERSEDED,
    WITHDRAWN,
)
from copernicus_dataspace.reconcile.inspection.product_check import ProductCheck
from copernicus_dataspace.reconcile.removals.requests import Removal
from copernicus_dataspace.reconcile.removals.retirement import (
    GONE_ALREADY,
    KEEP,
    adopt,
    disown,
    release,
    retire,
)
from copernicus_dataspace.reports.wording import WOULD_BE_FETCHED
from copernicus_dataspace.stac.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.archive_state import ArchiveState
    from copernicus_dataspace.reconcile.inspection.findings import Finding, Terms
    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.storage.leases import Leases
    from copernicus_dataspace.storage.store import Store

NOW_PRESENT: Final = "present"
NOW_MISSING: Final = "missing"
NOW_KEPT: Final = "kept"
NOW_GONE: Final = "gone"

_REPORTED: Final = "reported only"
_LEFT_ALONE: Final = "left for the next time: another run has it"
_UNTIL_THERE: Final = "kept until what replaces it is there"
_NOT_YET: Final = "kept: its removal was not asked for"
_NOW_UNTOUCHED: Final = {OFFLINE: NOW_MISSING, ORPHANED: NOW_KEPT}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policies:
    """What becomes of products that should no longer be held; see `retirement.retire`.

    Attributes:
        superseded: Of those whose successors stand.
        withdrawn: Of those that were deleted upstream and have no successor.
    """

    superseded: str
    withdrawn: str


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What became of a finding.

    Attributes:
        finding: What was found.
        action: What was done, in words.
        now: One of this module's states.
        removal: What may be done to it, where that is allowed.
    """

    finding: Finding
    action: str
    now: str
    removal: Removal | None = None

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


class Repairer:
    """Mends the holdings of one ingest."""

    def __init__(self, store: Store, leases: Leases, terms: Terms, now: datetime) -> None:
        """Prepare; nothing is changed yet.

        Args:
            store: Where products are held.
            leases: Of the run that mends: what another run has in its hands is left alone.
            terms: What the ingest wants.
            now: For the items that are written anew.
        """
        self._store = store
        self._leases = leases
        self._terms = terms
        self._now = now
        self._others = terms.known - {terms.ingest}

    def prepare(self, archive_state: ArchiveState) -> frozenset[str]:
        """Disown damaged files, so that they are fetched, and adopt what others have fetched.

        Returns the stems of damaged products that another run has in its hands.
        """
        products = {one.product.stem: one.product for one in archive_state.findings}
        done = {
            stem: self._claimed(products[stem], partial(self._disown, names))
            for stem, names in archive_state.damaged.items()
        }
        for product in archive_state.foreign:
            self._claimed(product, self._adopt)
        return frozenset(stem for stem, words in done.items() if words is None)

    def judge(self, plan: Plan, policies: Policies) -> list[RepairResult]:
        """Return what became of every finding; nothing is removed yet.

        What nothing speaks against to remove has its `RepairResult.removal`; what other ingests
        want is left to them.
        """
        if plan.is_dry:
            return [_foreseen(finding, policies) for finding in plan.open]
        products = [one.product for one in plan.open]
        products += [product for one in plan.open for product in one.successors]
        standing = ProductCheck(self._store, self._terms, products)
        return [
            RepairResult(finding, _LEFT_ALONE, NOW_MISSING)
            if finding.product.stem in plan.left_alone
            else self._judged(finding, standing, policies)
            for finding in plan.open
        ]

    def remove(
        self, outcomes: Sequence[RepairResult], names: Collection[str]
    ) -> list[RepairResult]:
        """Do those of the removals that are named, by product; return what became of all.

        Right before, every byte of what takes a product's place is read and compared.

        Args:
            outcomes: As of `judge`.
            names: Of the products that may go.
        """
        successors = [
            product
            for one in outcomes
            if one.removal and one.removal.name in names
            for product in one.finding.successors
        ]
        standing = ProductCheck(self._store, self._terms, successors)
        return [
            self._removed(one, one.removal, standing)
            if one.removal and one.removal.name in names
            else one
            for one in outcomes
        ]

    def held(self) -> int:
        """Return how many products are held for the ingest."""
        inventory, product_type = Inventory(self._store), self._terms.product_type
        entries = inventory.entries(product_type, inventory.days(product_type))
        return sum(self._terms.ingest in entry.ingests for entry in entries)

    def _judged(self, finding: Finding, standing: ProductCheck, policies: Policies) -> RepairResult:
        if finding.state in FETCHED:
            if standing.is_whole(finding.product, finding.bands):
                return RepairResult(finding, "fetched", NOW_PRESENT)
            return RepairResult(finding, "not fetched, see the repair run", NOW_MISSING)
        policy = _policy(finding, policies)
        if policy is None:
            return RepairResult(finding, _REPORTED, _NOW_UNTOUCHED[finding.state])
        return self._surplus(finding, standing, policy)

    def _surplus(self, finding: Finding, standing: ProductCheck, policy: str) -> RepairResult:
        if policy == KEEP:
            return RepairResult(finding, "kept", NOW_KEPT)
        if not all(standing.is_whole(one, finding.bands) for one in finding.successors):
            return RepairResult(finding, _UNTIL_THERE, NOW_KEPT)
        entry = standing.entry(finding.product)
        if entry is None:
            return RepairResult(finding, GONE_ALREADY, NOW_GONE)
        if {*entry.ingests} & self._others:
            return self._acted(finding, self._release)
        return RepairResult(finding, _NOT_YET, NOW_KEPT, Removal.of(finding, policy))

    def _removed(
        self, outcome: RepairResult, removal: Removal, standing: ProductCheck
    ) -> RepairResult:
        finding = outcome.finding
        for successor in finding.successors:
            if not standing.is_whole(successor, finding.bands):
                return RepairResult(finding, _UNTIL_THERE, NOW_KEPT)
            wrong = standing.wrong_files(successor)
            if wrong:
                self._claimed(successor, partial(self._disown, wrong))
                words = f"kept: of what replaces it, {', '.join(wrong)} is damaged"
                return RepairResult(finding, words, NOW_KEPT)
        return self._acted(finding, partial(self._retire, removal.policy))

    def _acted(self, finding: Finding, act: Callable[[Product], str]) -> RepairResult:
        done = self._claimed(finding.product, act) or _LEFT_ALONE
        return RepairResult(finding, done, NOW_KEPT if done == _LEFT_ALONE else NOW_GONE)

    def _claimed(self, product: Product, act: Callable[[Product], str]) -> str | None:
        """Do something to a product; return None where another run has it in its hands."""
        other = self._leases.take(product)
        if other:
            logger.warning("%s is left alone: %s is at it.", product.stem, other)
            return None
        try:
            return act(product)
        finally:
            self._leases.release(product)

    def _disown(self, names: Sequence[str], product: Product) -> str:
        disown(self._store, product, names, self._now)
        return "disowned"

    def _adopt(self, product: Product) -> str:
        adopt(self._store, product, self._terms.ingest, self._now)
        return "adopted"

    def _release(self, product: Product) -> str:
        return release(self._store, product, self._others, self._now)

    def _retire(self, policy: str, product: Product) -> str:
        return retire(self._store, product, self._others, policy, self._now)


def _policy(finding: Finding, policies: Policies) -> str | None:
    """Return what is to become of a product that should not be held; None to leave it alone."""
    return {SUPERSEDED: policies.superseded, WITHDRAWN: policies.withdrawn}.get(finding.state)


def _foreseen(finding: Finding, policies: Policies) -> RepairResult:
    """Return what would become of a finding."""
    if finding.state in FETCHED:
        return RepairResult(finding, WOULD_BE_FETCHED, NOW_MISSING)
    policy = _policy(finding, policies)
    if policy is None:
        return RepairResult(finding, _REPORTED, _NOW_UNTOUCHED[finding.state])
    return RepairResult(finding, f"would be: {policy}", NOW_KEPT)
