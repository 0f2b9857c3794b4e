"""Removes what the limits of an ingest let go without being asked, and what a person approved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.reconcile.inspection.findings import SUPERSEDED, WITHDRAWN
from copernicus_dataspace.reconcile.removals.record import night_limit
from copernicus_dataspace.reconcile.removals.requests import Request
from copernicus_dataspace.reconcile.repair import NOW_KEPT
from copernicus_dataspace.reconcile.report_files import answer_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.reconcile.removals.record import RemovalRecord
    from copernicus_dataspace.reconcile.removals.requests import Removal
    from copernicus_dataspace.reconcile.repair import Policies, Repairer, RepairResult
    from copernicus_dataspace.reconcile.report_files import ReportFiles


UNASKED: Final = "unasked"
"""A run that has not begun: it will ask for what the record says then."""
ASKED: Final = "asked"
ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class NightlyLimits:
    """One night's run.

    Attributes:
        now: When it began.
        max_removals: Of the ingest, see `removal_record.night_limit`.
        policies: Of the ingest.
        run_id: The run that is to ask, where none does yet.
        state_of: Returns `UNASKED`, `ASKED` or `ENDED` for a run that was to ask.
    """

    now: datetime
    max_removals: int
    policies: Policies
    run_id: str
    state_of: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class RemovalOutcome:
    """What a night has removed, and what it asks for.

    Attributes:
        outcomes: What became of every finding.
        removals: The record, as it is kept now.
        asks: Runs to be started: the one that is to ask, and an earlier one whose question is to
            end as the plan has changed; none where the right question waits already.
    """

    outcomes: list[RepairResult]
    removals: RemovalRecord
    asks: tuple[str, ...] = ()


def remove_within_limits(
    files: ReportFiles,
    repairer: Repairer,
    plan: Plan,
    outcomes: Sequence[RepairResult],
    night: NightlyLimits,
) -> RemovalOutcome:
    """Remove what may go at once, and keep in the record what is to be asked for.

    What is removed is counted before it is: a run that is killed has removed no more than that.

    Args:
        files: Hold the record and the answers to earlier questions.
        repairer: Of the ingest.
        plan: Not a dry one.
        outcomes: As of `Repairer.judge`.
        night: Whose limits count.
    """
    answers = files.answers()
    stored = files.removals(night.now)
    before = stored.answered(answers.values())
    found = _removals(outcomes)
    limit = night_limit(night.max_removals, repairer.held()) if found else 0
    at_once, asked = before.share_out(found, limit, night.now)
    names = {one.name for one in at_once}
    earlier = stored.request
    is_open = earlier is not None and answers.keys().isdisjoint(answer_names(earlier.run_id))
    state = night.state_of(earlier.run_id) if earlier and is_open else ENDED
    request, asks = _request(earlier, state, _asked(before, asked, plan, night), night)
    after = replace(before.with_done(names, night.now), request=request)
    if after != stored or stored.lost_at == night.now:
        files.remember_removals(after)
    files.forget_answers(answers)
    done = repairer.remove(outcomes, names)
    undone = names & {one.finding.product.stem for one in done if one.now == NOW_KEPT}
    if undone:
        after = after.without_done(undone, night.now)
        files.remember_removals(after)
    waiting = {one.name for one in request.removals} if request else set()
    return RemovalOutcome([_told(one, names, waiting) for one in done], after, asks)


def agreed(
    record: RemovalRecord,
    outcomes: Sequence[RepairResult],
    approved: Sequence[Removal],
    *,
    with_rejected: bool,
) -> list[RepairResult]:
    """Return what may go because a person, the ingest's record and a new look all say so.

    Args:
        record: Of the ingest, as it is now: its plan may be newer than the approved one.
        outcomes: As of `Repairer.judge`, of a look after the approval.
        approved: What the person saw.
        with_rejected: Whether the person was asked again for what was rejected.
    """
    stored = [*(record.request.removals if record.request else ())]
    stored += record.rejected if with_rejected else ()
    keys = {one.key for one in approved} & {one.key for one in stored}
    return [one for one in outcomes if one.removal and one.removal.key in keys]


def _removals(outcomes: Iterable[RepairResult]) -> list[Removal]:
    return [one.removal for one in outcomes if one.removal]


def _asked(
    before: RemovalRecord, asked: Sequence[Removal], plan: Plan, night: NightlyLimits
) -> tuple[Removal, ...]:
    policies = night.policies
    pairs = {(SUPERSEDED, policies.superseded), (WITHDRAWN, policies.withdrawn)}
    return before.asking(asked, {day.isoformat() for day in plan.days}, pairs)


def _request(
    earlier: Request | None, state: str, asked: tuple[Removal, ...], night: NightlyLimits
) -> tuple[Request | None, tuple[str, ...]]:
    """Return what is asked for now, and the runs to be started.

    A question is never changed: who answers it has seen it. That of a changed plan is put by a run
    of its own, and the earlier run, started again, finds that it is no longer the one to ask.
    """
    ends = (earlier.run_id,) if earlier and state == ASKED else ()
    if not asked:
        return None, ends
    names = {one.name for one in earlier.removals} if earlier else set()
    is_known = earlier and names & {one.name for one in asked}
    request = Request(asked, earlier.since if earlier and is_known else night.now, night.run_id)
    if earlier and (state == UNASKED or (state == ASKED and request.keys == earlier.keys)):
        return replace(request, run_id=earlier.run_id), ()
    return request, (*ends, night.run_id)


def _told(outcome: RepairResult, tried: set[str], waiting: set[str]) -> RepairResult:
    """Return an outcome that says why it was not removed."""
    removal = outcome.removal
    if removal is None or removal.name in tried:
        return outcome
    if removal.name in waiting:
        return replace(outcome, action=f"waits for approval: {removal.policy}")
    return replace(outcome, action="kept: its removal was rejected")
