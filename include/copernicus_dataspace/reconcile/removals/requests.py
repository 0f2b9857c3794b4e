"""Removals, requests for their approval, and decisions, as stored values.

A removal deletes a held product or moves it to quarantine. Releasing a product to other ingests is
not a removal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from copernicus_dataspace.errors import UNREADABLE
from copernicus_dataspace.models.time_range import parse_instant
from copernicus_dataspace.reconcile.inspection.findings import SUPERSEDED

if TYPE_CHECKING:
    from collections.abc import Hashable
    from datetime import datetime

    from copernicus_dataspace.reconcile.inspection.findings import Finding


@dataclass(frozen=True, slots=True)
class Removal:
    """A possible removal: which product, why, and how.

    Attributes:
        id: Product id.
        name: Product name without ``.SAFE``.
        day: Sensing day, ``YYYY-MM-DD``.
        tile: Such as ``T36TXL``.
        state: ``superseded`` or ``withdrawn``.
        why: Explanation.
        instead: Names of the products that replace it.
        policy: ``remove`` or ``quarantine``.
    """

    id: str
    name: str
    day: str
    tile: str
    state: str
    why: str
    instead: tuple[str, ...]
    policy: str

    @classmethod
    def of(cls, finding: Finding, policy: str) -> Self:
        """Return the removal for a finding."""
        product = finding.product
        return cls(
            id=product.id,
            name=product.stem,
            day=product.sensed.date().isoformat(),
            tile=f"T{product.tile}" if product.tile else "-",
            state=finding.state,
            why=finding.why,
            instead=tuple(one.stem for one in finding.successors),
            policy=policy,
        )

    @classmethod
    def from_json(cls, record: Any) -> Self:
        """Return the removal that `to_json` wrote; raises TypeError and others if it is damaged."""
        instead = record["instead"]
        texts = {name: record[name] for name in cls.__slots__ if name != "instead"}
        if not all(isinstance(text, str) for text in (*texts.values(), *instead)):
            message = "a removal has strings only."
            raise TypeError(message)
        return cls(**texts, instead=tuple(instead))

    def to_json(self) -> dict[str, Any]:
        """Return the removal as JSON values."""
        facts: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**facts, "instead": list(self.instead)}

    @property
    def key(self) -> Hashable:
        """What a person approves: product, reason, successors and policy."""
        return self.id, self.name, self.state, frozenset(self.instead), self.policy

    @property
    def order(self) -> tuple[bool, str, str]:
        """Sort key: superseded products first, the oldest of them first."""
        return self.state != SUPERSEDED, self.day, self.name


@dataclass(frozen=True, slots=True)
class Request:
    """A request for approval of removals.

    Attributes:
        removals: In the order of `Removal.order`.
        since: When the first of them was requested.
        run_id: The approval run.
    """

    removals: tuple[Removal, ...]
    since: datetime
    run_id: str

    @classmethod
    def from_json(cls, record: Any) -> Self:
        """Return the request that `to_json` wrote."""
        removals = tuple(map(Removal.from_json, record["removals"]))
        return cls(removals, parse_instant(record["since"]), str(record["run_id"]))

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        removals = [one.to_json() for one in self.removals]
        return {"removals": removals, "since": self.since.isoformat(), "run_id": self.run_id}

    @property
    def keys(self) -> frozenset[Hashable]:
        """Keys of the requested removals."""
        return frozenset(one.key for one in self.removals)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision, or a rejection because nobody responded in time.

    Attributes:
        is_approved: Whether the removals may be done.
        removals: The requested removals.
    """

    is_approved: bool
    removals: tuple[Removal, ...]

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Return what `to_bytes` wrote; None if it is damaged."""
        try:
            record = json.loads(content)
            removals = tuple(map(Removal.from_json, record["removals"]))
            return cls(record["approved"] is True, removals)
        except UNREADABLE:
            return None

    def to_bytes(self) -> bytes:
        """Return the decision as JSON."""
        removals = [one.to_json() for one in self.removals]
        return json.dumps({"approved": self.is_approved, "removals": removals}).encode()
