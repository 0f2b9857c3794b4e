"""The removal record of an ingest, and which removals need no approval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.json_records import (
    Instant,
    from_json,
    read_json,
    write_json,
)
from copernicus_dataspace.reconcile.removals.requests import Removal, Request  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence
    from datetime import datetime

    from copernicus_dataspace.reconcile.removals.requests import Decision

MAX_REMOVALS: Final = 10
"""Default maximum number of removals per night."""

_PERCENT: Final = 5
_AT_LEAST: Final = 2
"""Minimum limit for small archives."""
_NIGHT: Final = timedelta(hours=23)
"""Scheduled runs start about a day apart; runs within this time share one night's limit."""
_MONTH: Final = timedelta(days=30)
_NIGHTS_A_MONTH: Final = 5
_AHEAD: Final = timedelta(days=1)
"""Instants further ahead come from a wrong clock."""


@dataclass(frozen=True, slots=True)
class RemovalRecord:
    """Removals of an ingest: done without approval, requested, and rejected.

    Attributes:
        done: Product name and time of each removal of the last thirty days.
        request: The request that waits for a decision.
        rejected: Kept because a person rejected the removal, or nobody responded in time.
        lost_at: When this record was found damaged: earlier removals are unknown.
    """

    done: tuple[tuple[str, Instant], ...] = ()
    request: Request | None = None
    rejected: tuple[Removal, ...] = ()
    lost_at: Instant | None = None

    @classmethod
    def read(cls, content: bytes | None, now: datetime) -> Self:
        """Return what `to_bytes` wrote; an empty record if there is nothing.

        If it is damaged, or has removals in the future, the limits count as used up from now on.
        """
        if content is None:
            return cls()
        try:
            stored = read_json(content, dict[str, Any])
            return from_json({name: stored[name] for name in cls.__slots__}, cls).until(now)
        except (ValueError, KeyError):
            return cls(lost_at=now)

    def until(self, now: datetime) -> Self:
        """Return the record without entries of a clock that was ahead, which would never expire."""
        latest, request = now + _AHEAD, self.request
        past = tuple((name, at) for name, at in self.done if at <= latest)
        is_known = past == self.done and (self.lost_at is None or self.lost_at <= latest)
        return replace(
            self,
            done=past,
            request=request and replace(request, since=min(request.since, now)),
            lost_at=self.lost_at if is_known else now,
        )

    def to_bytes(self) -> bytes:
        """Return the record as JSON."""
        return write_json(self, indent=1)

    def answered(self, answers: Iterable[Decision | None]) -> RemovalRecord:
        """Return the record after some decisions; None is a damaged decision."""
        record = self
        for answer in filter(None, answers):
            names = {one.name for one in answer.removals}
            rejected = [one for one in record.rejected if one.name not in names]
            if not answer.approved:
                rejected += answer.removals
            keys = {one.key for one in answer.removals}
            record = replace(record._without(keys), rejected=tuple(rejected))
        return record

    def is_lost(self, now: datetime) -> bool:
        """Tell whether the removals of the last thirty days are unknown."""
        return self.lost_at is not None and now - self.lost_at < _MONTH

    def share_out(
        self, found: Iterable[Removal], limit: int, now: datetime
    ) -> tuple[list[Removal], list[Removal]]:
        """Return the removals that need no approval, and those that do.

        Requested or rejected removals always need approval. A rejected removal is requested again
        only if something about it has changed.

        Args:
            found: All possible removals.
            limit: Per night, see `night_limit`; five times that in thirty days.
            now: Start of the nightly run; a second attempt has the same time and the same result.
        """
        settled = {one.name for one in self.rejected}
        settled |= {one.name for one in self.request.removals} if self.request else set()
        ordered = sorted(found, key=lambda one: one.order)
        counted = {name for name, at in self.done if at == now}
        at_once = [one for one in ordered if one.name in counted]
        free = [one for one in ordered if one.name not in counted | settled]
        at_once += free[: self._left(limit, now)]
        no_more = {one.key for one in (*self.rejected, *at_once)}
        return at_once, [one for one in ordered if one.key not in no_more]

    def _left(self, limit: int, now: datetime) -> int:
        """Return how many more removals need no approval; future times count as this night."""
        if self.is_lost(now):
            return 0
        night = sum(at > now - _NIGHT for _, at in self.done)
        month = sum(at > now - _MONTH for _, at in self.done)
        return max(0, min(limit - night, _NIGHTS_A_MONTH * limit - month))

    def with_done(self, names: Iterable[str], now: datetime) -> RemovalRecord:
        """Return the record with more removals of this night, without expired ones."""
        recent = {(name, at) for name, at in self.done if at > now - _MONTH}
        both = recent | {(name, now) for name in names}
        return replace(self, done=tuple(sorted(both, key=lambda one: (one[1], one[0]))))

    def without_done(self, names: Collection[str], now: datetime) -> RemovalRecord:
        """Return the record without removals of this night that were not done."""
        kept = tuple((name, at) for name, at in self.done if at != now or name not in names)
        return replace(self, done=kept)

    def asking(
        self, asked: Sequence[Removal], looked_at: Collection[str], policies: Collection[Any]
    ) -> tuple[Removal, ...]:
        """Return all removals to request, including earlier ones of other days.

        Args:
            asked: Removals of the inspected days.
            looked_at: Inspected days, ``YYYY-MM-DD``.
            policies: Current pairs of state and policy.
        """
        before = self.request.removals if self.request else ()
        kept = [
            one
            for one in before
            if one.day not in looked_at and (one.state, one.policy) in policies
        ]
        return tuple(sorted((*kept, *asked), key=lambda one: one.order))

    def _without(self, keys: Collection[Hashable]) -> RemovalRecord:
        if self.request is None:
            return self
        left = tuple(one for one in self.request.removals if one.key not in keys)
        return replace(self, request=replace(self.request, removals=left) if left else None)


def night_limit(max_removals: int, held: int) -> int:
    """Return how many products may be removed in a night without approval.

    The smaller of `max_removals` and five percent of the held products, but at least two of the
    latter, for small archives. With `max_removals` 0 every removal needs approval.
    """
    return min(max_removals, max(_AT_LEAST, held * _PERCENT // 100))
