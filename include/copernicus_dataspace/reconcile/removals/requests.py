"""Names removals that a person is asked to approve: values that are read and written.

A removal deletes a held product or moves it to quarantine. What an ingest leaves to others is none.
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
    """One line of a plan: which product may go, why, and how.

    Attributes:
        id: Of the product.
        name: Its name without ``.SAFE``.
        day: Sensing day, ``YYYY-MM-DD``.
        tile: Such as ``T36TXL``.
        state: ``superseded`` or ``withdrawn``.
        why: In words.
        instead: Names of the products that stand in its place.
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
        """Return the removal of what was found."""
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
        """Return the removal that `to_json` wrote; raises TypeError and others where it is none."""
        instead = record["instead"]
        texts = {name: record[name] for name in cls.__slots__ if name != "instead"}
        if not all(isinstance(text, str) for text in (*texts.values(), *instead)):
            message = "a removal holds texts only."
            raise TypeError(message)
        return cls(**texts, instead=tuple(instead))

    def to_json(self) -> dict[str, Any]:
        """Return all facts as JSON values."""
        facts: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**facts, "instead": list(self.instead)}

    @property
    def key(self) -> Hashable:
        """What a person agrees to: product, reason, successors and what becomes of it."""
        return self.id, self.name, self.state, frozenset(self.instead), self.policy

    @property
    def order(self) -> tuple[bool, str, str]:
        """Those whose successors stand come first, of those the oldest."""
        return self.state != SUPERSEDED, self.day, self.name


@dataclass(frozen=True, slots=True)
class Request:
    """A plan that a person is asked to approve.

    Attributes:
        removals: In the order of `Removal.order`.
        since: When any of it was first asked for.
        run_id: The run that asks.
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
        """Return all facts as JSON values."""
        removals = [one.to_json() for one in self.removals]
        return {"removals": removals, "since": self.since.isoformat(), "run_id": self.run_id}

    @property
    def keys(self) -> frozenset[Hashable]:
        """What is asked for."""
        return frozenset(one.key for one in self.removals)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said, or nobody in time.

    Attributes:
        is_approved: Whether the removals may be done.
        removals: What was asked.
    """

    is_approved: bool
    removals: tuple[Removal, ...]

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Return what `to_bytes` wrote; None where it is damaged."""
        try:
            record = json.loads(content)
            removals = tuple(map(Removal.from_json, record["removals"]))
            return cls(record["approved"] is True, removals)
        except UNREADABLE:
            return None

    def to_bytes(self) -> bytes:
        """Return all facts as JSON."""
        removals = [one.to_json() for one in self.removals]
        return json.dumps({"approved": self.is_approved, "removals": removals}).encode()
