"""Applies the plan, except downloads: marks damaged files, adopts, releases, removes."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.models.product_state import (
    ProductState,
    RemovalPolicy,
    StateAfterRepair,
)
from copernicus_dataspace.reconcile.inspection.product_check import ProductCheck
from copernicus_dataspace.reconcile.removals.approval import Removal
from copernicus_dataspace.reconcile.removals.retirement import (
    GONE_ALREADY,
    Retirement,
    adopt,
    disown,
    release,
    retire,
)
from copernicus_dataspace.stac.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.archive_state import ArchiveState
    from copernicus_dataspace.reconcile.inspection.findings import Finding, Terms
    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.storage.leases import Leases
    from copernicus_dataspace.storage.store import Store

_REPORTED: Final = "reported only"
_IN_USE: Final = "skipped: in use by another run"
_UNTIL_THERE: Final = "kept until its replacement is complete"
_NOT_YET: Final = "kept: its removal was not requested"
_UNTOUCHED: Final = {
    ProductState.OFFLINE: StateAfterRepair.MISSING,
    ProductState.ORPHANED: StateAfterRepair.KEPT,
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policies:
    """What to do with products that should no longer be held; see `retirement.retire`.

    Attributes:
        superseded: For products whose successors are complete.
        withdrawn: For products that were deleted upstream and have no successor.
    """

    superseded: RemovalPolicy
    withdrawn: RemovalPolicy

    def of(self, state: ProductState) -> RemovalPolicy | None:
        """Return the policy for a state; None if products in it are never removed."""
        policies = {
            ProductState.SUPERSEDED: self.superseded,
            ProductState.WITHDRAWN: self.withdrawn,
        }
        return policies.get(state)


@dataclass(frozen=True, slots=True)
class RepairResult:
    """The result of a repair.

    Attributes:
        finding: The finding.
        action: What was done, as text.
        now: What the product is afterwards.
        removal: The possible removal, if nothing forbids it.
    """

    finding: Finding
    action: str
    now: StateAfterRepair
    removal: Removal | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a row of the report."""
        product = self.finding.product
        return {
            "day": product.day,
            "tile": product.tile_label,
            "name": product.stem,
            "id": product.id,
            "state": self.finding.state,
            "why": self.finding.why,
            "action": self.action,
            "now": self.now,
        }


class Repairer:
    """Repairs the archive of one ingest."""

    def __init__(self, store: Store, leases: Leases, terms: Terms, now: datetime) -> None:
        """Set up; nothing is changed yet.

        Args:
            store: Store with the products.
            leases: Leases of this run; products leased by others are skipped.
            terms: What the ingest wants.
            now: Time of change, for updated items.
        """
        self._store = store
        self._leases = leases
        self._terms = terms
        self._now = now
        self._others = terms.known - {terms.ingest}

    def prepare(self, archive_state: ArchiveState) -> frozenset[str]:
        """Mark damaged files for download, and adopt products delivered for other ingests.

        Returns the stems of damaged products that are leased by another run.
        """
        products = {one.product.stem: one.product for one in archive_state.findings}
        left_alone = {
            stem
            for stem, names in archive_state.damaged.items()
            if not self._disown(products[stem], names)
        }
        for product in archive_state.foreign:
            with self._claimed(product) as is_ours:
                if is_ours:
                    adopt(self._store, product, self._terms.ingest, self._now)
        return frozenset(left_alone)

    def judge(self, plan: Plan, policies: Policies) -> list[RepairResult]:
        """Return the result of each finding; nothing is removed yet.

        Products that may be removed have a `RepairResult.removal`; those that other ingests want
        are left to them.
        """
        if plan.is_dry:
            return [_foreseen(finding, policies) for finding in plan.open]
        products = [one.product for one in plan.open]
        products += [product for one in plan.open for product in one.successors]
        checks = ProductCheck(self._store, self._terms, products)
        return [
            RepairResult(finding, _IN_USE, StateAfterRepair.MISSING)
            if finding.product.stem in plan.left_alone
            else self._judged(finding, checks, policies)
            for finding in plan.open
        ]

    def remove(self, results: Sequence[RepairResult], names: Collection[str]) -> list[RepairResult]:
        """Remove the named products; return the results of all.

        Immediately before, all files of the successors are read and verified.

        Args:
            results: As of `judge`.
            names: Names of the products to remove.
        """
        successors = [
            product
            for one in results
            if one.removal and one.removal.name in names
            for product in one.finding.successors
        ]
        checks = ProductCheck(self._store, self._terms, successors)
        return [
            self._removed(one, one.removal, checks)
            if one.removal and one.removal.name in names
            else one
            for one in results
        ]

    def held(self) -> int:
        """Return how many products are held for the ingest."""
        inventory, product_type = Inventory(self._store), self._terms.product_type
        entries = inventory.entries(product_type, inventory.days(product_type))
        return sum(self._terms.ingest in entry.ingests for entry in entries)

    def _judged(self, finding: Finding, checks: ProductCheck, policies: Policies) -> RepairResult:
        if finding.state.needs_download:
            if checks.is_whole(finding.product, finding.bands):
                return RepairResult(finding, "downloaded", StateAfterRepair.PRESENT)
            return RepairResult(
                finding, "not downloaded, see the repair run", StateAfterRepair.MISSING
            )
        policy = policies.of(finding.state)
        if policy is None:
            return RepairResult(finding, _REPORTED, _UNTOUCHED[finding.state])
        return self._surplus(finding, checks, policy)

    def _surplus(
        self, finding: Finding, checks: ProductCheck, policy: RemovalPolicy
    ) -> RepairResult:
        if policy == RemovalPolicy.KEEP:
            return RepairResult(finding, "kept", StateAfterRepair.KEPT)
        if not all(checks.is_whole(one, finding.bands) for one in finding.successors):
            return RepairResult(finding, _UNTIL_THERE, StateAfterRepair.KEPT)
        entry = checks.entry(finding.product)
        if entry is None:
            return RepairResult(finding, GONE_ALREADY.action, GONE_ALREADY.now)
        if {*entry.ingests} & self._others:
            return self._acted(finding, self._release)
        return RepairResult(finding, _NOT_YET, StateAfterRepair.KEPT, Removal.of(finding, policy))

    def _removed(
        self, result: RepairResult, removal: Removal, checks: ProductCheck
    ) -> RepairResult:
        finding = result.finding
        for successor in finding.successors:
            if not checks.is_whole(successor, finding.bands):
                return RepairResult(finding, _UNTIL_THERE, StateAfterRepair.KEPT)
            wrong = checks.wrong_files(successor)
            if wrong:
                self._disown(successor, wrong)
                words = f"kept: its replacement is damaged ({', '.join(wrong)})"
                return RepairResult(finding, words, StateAfterRepair.KEPT)
        return self._acted(finding, partial(self._retire, removal.policy))

    def _acted(self, finding: Finding, act: Callable[[Product], Retirement]) -> RepairResult:
        with self._claimed(finding.product) as is_ours:
            done = act(finding.product) if is_ours else Retirement(_IN_USE, StateAfterRepair.KEPT)
        return RepairResult(finding, done.action, done.now)

    def _disown(self, product: Product, names: Sequence[str]) -> bool:
        """Mark files as damaged; return False if another run has leased the product."""
        with self._claimed(product) as is_ours:
            if is_ours:
                disown(self._store, product, names, self._now)
        return is_ours

    @contextlib.contextmanager
    def _claimed(self, product: Product) -> Iterator[bool]:
        """Lease a product inside the block; yield False if another run has leased it."""
        other = self._leases.take(product)
        if other:
            logger.warning("%s is skipped: it is in use by run %s.", product.stem, other)
            yield False
            return
        try:
            yield True
        finally:
            self._leases.release(product)

    def _release(self, product: Product) -> Retirement:
        released = release(self._store, product, self._others, self._now)
        return released or Retirement(_NOT_YET, StateAfterRepair.KEPT)

    def _retire(self, policy: RemovalPolicy, product: Product) -> Retirement:
        return retire(self._store, product, self._others, policy, self._now)


def _foreseen(finding: Finding, policies: Policies) -> RepairResult:
    """Return the expected result of a finding in a dry run."""
    if finding.state.needs_download:
        return RepairResult(finding, "would be downloaded", StateAfterRepair.MISSING)
    policy = policies.of(finding.state)
    if policy is None:
        return RepairResult(finding, _REPORTED, _UNTOUCHED[finding.state])
    return RepairResult(finding, f"would be: {policy}", StateAfterRepair.KEPT)
