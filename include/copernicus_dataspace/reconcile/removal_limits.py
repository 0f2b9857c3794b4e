"""Removes products within the limits of an ingest, or with a person's approval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from copernicus_dataspace.models.product_state import ProductState, StateAfterRepair
from copernicus_dataspace.reconcile.removals.approval import Request
from copernicus_dataspace.reconcile.removals.removal_record import night_limit
from copernicus_dataspace.reconcile.report_files import answer_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.reconcile.removals.approval import Removal
    from copernicus_dataspace.reconcile.removals.removal_record import RemovalRecord
    from copernicus_dataspace.reconcile.repair import Policies, Repairer, RepairResult
    from copernicus_dataspace.reconcile.report_files import ReportFiles


class RequestState(Enum):
    """State of a run that requests approval."""

    QUEUED = "queued"
    """It has not started: it will request approval of the current record."""
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class NightlyLimits:
    """Removal limits of one nightly run.

    Attributes:
        now: Start of the run.
        max_removals: Of the ingest, see `removals.removal_record.night_limit`.
        policies: Of the ingest.
        run_id: Id of the run that would request approval.
        state_of: Returns the state of an approval run.
    """

    now: datetime
    max_removals: int
    policies: Policies
    run_id: str
    state_of: Callable[[str], RequestState]


@dataclass(frozen=True, slots=True)
class RemovalOutcome:
    """What a nightly run has removed, and what needs approval.

    Attributes:
        results: Result of each finding.
        removals: The updated removal record.
        requested_run: Approval run to start; None if there is nothing to approve, or the current
            request is already waiting.
        ended_run: Earlier approval run that must end because the plan has changed; None if there is
            none.
    """

    results: list[RepairResult]
    removals: RemovalRecord
    requested_run: str | None = None
    ended_run: str | None = None


def remove_within_limits(
    files: ReportFiles,
    repairer: Repairer,
    plan: Plan,
    results: Sequence[RepairResult],
    night: NightlyLimits,
) -> RemovalOutcome:
    """Remove what the limits allow, and store in the record what needs approval.

    Removals are counted before they are done, so that a killed run has not removed more than was
    counted.

    Args:
        files: Removal record and decisions on earlier requests.
        repairer: Of the ingest.
        plan: Not of a dry run.
        results: As of `Repairer.judge`.
        night: Limits.
    """
    answers = files.answers()
    stored = files.removals(night.now)
    before = stored.answered(answers.values())
    found = _removals(results)
    limit = night_limit(night.max_removals, repairer.held()) if found else 0
    at_once, asked = before.share_out(found, limit, night.now)
    names = {one.name for one in at_once}
    earlier = stored.request
    is_open = earlier is not None and answers.keys().isdisjoint(answer_names(earlier.run_id))
    state = night.state_of(earlier.run_id) if earlier and is_open else RequestState.ENDED
    request, is_new = _request(earlier, state, _asked(before, asked, plan, night), night)
    after = replace(before.with_done(names, night.now), request=request)
    if after != stored or stored.lost_at == night.now:
        files.remember_removals(after)
    files.forget_answers(answers)
    done = repairer.remove(results, names)
    undone = names & {one.finding.product.stem for one in done if one.now is StateAfterRepair.KEPT}
    if undone:
        after = after.without_done(undone, night.now)
        files.remember_removals(after)
    waiting = {one.name for one in request.removals} if request else set()
    is_ended = state is RequestState.WAITING and (is_new or request is None)
    return RemovalOutcome(
        [_explained(one, names, waiting) for one in done],
        after,
        requested_run=night.run_id if is_new else None,
        ended_run=earlier.run_id if earlier and is_ended else None,
    )


def agreed(
    record: RemovalRecord,
    results: Sequence[RepairResult],
    approved: Sequence[Removal],
    *,
    with_rejected: bool,
) -> list[RepairResult]:
    """Return the removals that the person, the current record and a new inspection agree on.

    Args:
        record: Current record of the ingest; it may be newer than the approval.
        results: As of `Repairer.judge`, of an inspection after the approval.
        approved: Removals shown to the person.
        with_rejected: Whether rejected removals were submitted again.
    """
    stored = [*(record.request.removals if record.request else ())]
    stored += record.rejected if with_rejected else ()
    keys = {one.key for one in approved} & {one.key for one in stored}
    return [one for one in results if one.removal and one.removal.key in keys]


def _removals(results: Iterable[RepairResult]) -> list[Removal]:
    return [one.removal for one in results if one.removal]


def _asked(
    before: RemovalRecord, asked: Sequence[Removal], plan: Plan, night: NightlyLimits
) -> tuple[Removal, ...]:
    removable = (ProductState.SUPERSEDED, ProductState.WITHDRAWN)
    pairs = {(state, night.policies.of(state)) for state in removable}
    return before.asking(asked, {day.isoformat() for day in plan.days}, pairs)


def _request(
    earlier: Request | None, state: RequestState, asked: tuple[Removal, ...], night: NightlyLimits
) -> tuple[Request | None, bool]:
    """Return the current request, and whether it is new.

    A request is never changed once it was shown. A changed plan gets a new run; the earlier run is
    started again and ends because it is no longer the current one.
    """
    if not asked:
        return None, False
    names = {one.name for one in earlier.removals} if earlier else set()
    is_known = earlier and names & {one.name for one in asked}
    request = Request(asked, earlier.since if earlier and is_known else night.now, night.run_id)
    if earlier and (
        state is RequestState.QUEUED
        or (state is RequestState.WAITING and request.keys == earlier.keys)
    ):
        return replace(request, run_id=earlier.run_id), False
    return request, True


def _explained(result: RepairResult, tried: set[str], waiting: set[str]) -> RepairResult:
    """Return a result with the reason why the product was not removed."""
    removal = result.removal
    if removal is None or removal.name in tried:
        return result
    if removal.name in waiting:
        return replace(result, action=f"waits for approval: {removal.policy}")
    return replace(result, action="kept: its removal was rejected")
