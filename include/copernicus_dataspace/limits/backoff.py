"""Back-off after 429: decides when the next transfer may start, without threads or clocks.

The service responds 429 to a transfer that starts while all slots of an account are busy, and may
free a slot only some seconds after its transfer ended. That delay is learned from its responses.
All times are in seconds.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROW: Final = 8
"""Consecutive refusals that are not random: at 15 % random refusals, 1 in 4 million."""

_RECENT: Final = 32
_TRIAL_SHARE: Final = 0.75
_FIRST_TRIAL: Final = 50
_LATEST_TRIAL: Final = 200
_JITTER: Final = 0.05


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of the algorithm; smaller ones make tests fast.

    Attributes:
        probe_s: First pause to try, and first wait after a random refusal; both double.
        lateness_s: Maximum pause to learn; a longer wait is caused by other programs.
        longest_wait_s: Maximum single wait; a longer Retry-After is left to the caller.
        negligible_s: Shorter pauses are ignored.
        probe_timeout_s: Maximum wait for the response to a probe before another is sent.
    """

    probe_s: float = 1.0
    lateness_s: float = 8.0
    longest_wait_s: float = 60.0
    negligible_s: float = 0.2
    probe_timeout_s: float = 3.0


@dataclass(eq=False, slots=True)
class SlotGrant:
    """One thread's slot; `end` is when the slot's last transfer ended, -inf for never."""

    end: float = -math.inf
    elapsed_s: float = math.inf
    begun: float = -math.inf
    in_use: bool = False
    not_before: float = -math.inf
    refusals: int = 0


class Backoff:
    """The back-off algorithm; the caller passes the time. Not thread-safe.

    One grant at a time probes for the pause while the others wait; see `wait_s`.
    """

    def __init__(
        self, connections: int, pause_s: float | None, ends: Iterable[float], timing: Timing
    ) -> None:
        """Start with a known pause, or None, and the last ends of other processes' transfers."""
        self.pause_s = pause_s or 0.0
        self.learnt_at: float | None = None
        self._timing = timing
        self._ends = sorted([*[-math.inf] * connections, *ends])[-connections:]
        self._grants = connections
        self._aim_s = 0.0 if pause_s is None else None
        self._prober: SlotGrant | None = None
        self._trial: SlotGrant | None = None
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_RECENT)
        self._accepted = 0
        self._trial_after = _FIRST_TRIAL
        self._earlier_s = 0.0
        self._refused_probes = 0
        self._doubted = False
        self._hold_until = -math.inf

    def take(self) -> SlotGrant | None:
        """Return a slot; None if all are taken."""
        if not self._grants:
            return None
        self._grants -= 1
        return SlotGrant()

    def give_back(self, grant: SlotGrant, now: float) -> None:
        """Free the slot and end its transfer."""
        self.drop(grant, now)
        self._grants += 1

    def drop(self, grant: SlotGrant, now: float) -> None:
        """End the transfer, if any, and leave probe or trial to another grant."""
        if grant.in_use:
            grant.in_use = False
            bisect.insort(self._ends, now)
        self._pass_on(grant)

    def _pass_on(self, grant: SlotGrant) -> None:
        self._prober = None if self._prober is grant else self._prober
        self._trial = None if self._trial is grant else self._trial

    def wait_s(self, grant: SlotGrant, now: float) -> float:
        """Return how long the request must wait; 0 to start now."""
        if grant.in_use:
            self.drop(grant, now)
        elapsed_s = now - self._ends[0]
        left_s = max(grant.not_before, self._hold_until) - now
        if left_s <= 0 and elapsed_s < math.inf:
            left_s = self._left_s(grant, elapsed_s, now)
        elif left_s <= 0:
            self._pass_on(grant)
        if left_s > 1e-6:  # noqa: PLR2004 - rounding errors
            return left_s
        grant.end, grant.elapsed_s, grant.in_use = self._ends.pop(0), elapsed_s, True
        grant.begun = now
        return 0.0

    def accepted(self, grant: SlotGrant, now: float) -> None:
        """Record that the request was accepted."""
        grant.refusals = 0
        self._accepted += 1
        if grant is self._prober and self._aim_s is not None:
            self._settle(self._aim_s, grant.elapsed_s, now)
        elif grant is self._trial:
            self._learn(grant.elapsed_s, now)
        if grant.elapsed_s < math.inf:
            self._outcomes.append((grant.elapsed_s, True))

    def refused(self, grant: SlotGrant, now: float, retry_after_s: float | None) -> None:
        """Record that the request got a 429."""
        elapsed_s, timing = grant.elapsed_s, self._timing
        grant.in_use = False
        bisect.insort(self._ends, grant.end)
        grant.refusals += 1
        if retry_after_s is not None and retry_after_s <= timing.longest_wait_s:
            self._hold_until = max(self._hold_until, now + retry_after_s)
        if grant is self._prober:
            self._refused_probes += 1
            self._aim_s = self._rung_s(elapsed_s)
        elif grant is self._trial:
            self._keep(now)
        elif elapsed_s == math.inf or (self._aim_s is None and self._is_chance(elapsed_s)):
            wait_s = timing.probe_s * 2 ** (grant.refusals - 1) * random.uniform(1, 1.25)  # noqa: S311
            grant.not_before = now + min(timing.longest_wait_s, wait_s)
        elif self._aim_s is None:
            self._prober, self._trial = grant, None
            self._aim_s = self._rung_s(elapsed_s)

    def _left_s(self, grant: SlotGrant, elapsed_s: float, now: float) -> float:
        if self._aim_s is None:
            return self._needed_s(grant, elapsed_s) - elapsed_s
        prober, patience_s = self._prober, self._timing.probe_timeout_s
        if prober is None or (prober.in_use and now >= prober.begun + patience_s):
            prober = self._prober = grant
        if prober is grant:
            return self._aim_s - elapsed_s
        return prober.begun + patience_s - now if prober.in_use else patience_s

    def _needed_s(self, grant: SlotGrant, elapsed_s: float) -> float:
        trial_s = self._trial_s()
        if self._trial is None and elapsed_s <= trial_s < self.pause_s:
            self._trial = grant
        return trial_s if self._trial is grant else self.pause_s

    def _trial_s(self) -> float:
        """Return the pause to try next: the earlier one if it may have been abandoned by chance."""
        if self._doubted:
            return self._earlier_s
        if self._accepted < self._trial_after:
            return self.pause_s
        shorter_s = _TRIAL_SHARE * self.pause_s
        return shorter_s if shorter_s >= self._timing.negligible_s else 0.0

    def _is_chance(self, elapsed_s: float) -> bool:
        """Record a refusal; tell whether recent transfers after as short a pause were accepted."""
        self._outcomes.append((elapsed_s, False))
        most_s = elapsed_s + max(self._timing.negligible_s, 0.1 * elapsed_s)
        alike = [accepted for other_s, accepted in self._outcomes if other_s <= most_s]
        return any(alike[-_ROW:])

    def _rung_s(self, elapsed_s: float) -> float:
        rung_s = self._timing.probe_s
        while rung_s <= 1.2 * elapsed_s:
            rung_s *= 2
        rung_s *= random.uniform(1, 1 + _JITTER)  # noqa: S311
        return min(rung_s, elapsed_s + self._timing.longest_wait_s)

    def _settle(self, aim_s: float, elapsed_s: float, now: float) -> None:
        self._aim_s = self._prober = None
        refused_probes, self._refused_probes = self._refused_probes, 0
        self._outcomes.clear()
        most_s = self._timing.lateness_s * (1 + _JITTER)
        if aim_s <= most_s:
            self._earlier_s = self.pause_s
            self._learn(elapsed_s if aim_s > 0 and elapsed_s <= most_s else aim_s, now)
            self._doubted = refused_probes == 1

    def _learn(self, pause_s: float, now: float) -> None:
        self.pause_s = pause_s if pause_s >= self._timing.negligible_s else 0.0
        self.learnt_at = now
        self._trial, self._accepted, self._trial_after = None, 0, _FIRST_TRIAL
        self._doubted = False

    def _keep(self, now: float) -> None:
        if not self._doubted:
            self._trial_after = min(4 * self._trial_after, _LATEST_TRIAL)
        self._trial, self._doubted, self._accepted = None, False, 0
        self.learnt_at = now
