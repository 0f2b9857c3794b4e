"""Removals, requests for their approval, and decisions, as stored values.

A removal deletes a held product or moves it to quarantine. Releasing a product to other ingests is
not a removal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from copernicus_dataspace.json_records import Instant, read_json_or, write_json
from copernicus_dataspace.models.product_state import ProductState, RemovalPolicy

if TYPE_CHECKING:
    from collections.abc import Hashable

    from copernicus_dataspace.reconcile.inspection.findings import Finding


@dataclass(frozen=True, slots=True)
class Removal:
    """A possible removal: which product, why, and how.

    Attributes:
        id: Product id.
        name: Product name without ``.SAFE``.
        day: Sensing day, ``YYYY-MM-DD``.
        tile: Such as ``T36TXL``.
        state: Superseded or withdrawn.
        why: Explanation.
        instead: Names of the products that replace it.
        policy: Remove or quarantine.
    """

    id: str
    name: str
    day: str
    tile: str
    state: ProductState
    why: str
    instead: tuple[str, ...]
    policy: RemovalPolicy

    @classmethod
    def of(cls, finding: Finding, policy: RemovalPolicy) -> Self:
        """Return the removal for a finding."""
        product = finding.product
        return cls(
            id=product.id,
            name=product.stem,
            day=product.day,
            tile=product.tile_label,
            state=finding.state,
            why=finding.why,
            instead=tuple(one.stem for one in finding.successors),
            policy=policy,
        )

    @property
    def key(self) -> Hashable:
        """What a person approves: product, reason, successors and policy."""
        return self.id, self.name, self.state, frozenset(self.instead), self.policy

    @property
    def order(self) -> tuple[bool, str, str]:
        """Sort key: superseded products first, the oldest of them first."""
        return self.state != ProductState.SUPERSEDED, self.day, self.name


@dataclass(frozen=True, slots=True)
class Request:
    """A request for approval of removals.

    Attributes:
        removals: In the order of `Removal.order`.
        since: When the first of them was requested.
        run_id: The approval run.
    """

    removals: tuple[Removal, ...]
    since: Instant
    run_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        """Keys of the requested removals."""
        return frozenset(one.key for one in self.removals)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision, or a rejection because nobody responded in time.

    Attributes:
        approved: Whether the removals may be done.
        removals: The requested removals.
    """

    approved: bool
    removals: tuple[Removal, ...]

    @classmethod
    def read(cls, content: bytes | None) -> Self | None:
        """Return what `to_bytes` wrote; None if it is missing or damaged."""
        return read_json_or(content, cls, None)

    def to_bytes(self) -> bytes:
        """Return the decision as JSON."""
        return write_json(self)
