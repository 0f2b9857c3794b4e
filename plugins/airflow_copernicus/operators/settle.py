"""The last step of a reconcile: what became of what was found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_copernicus.links import ArchiveReportLink
from airflow_copernicus.observability import metrics
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.approval_requests import (
    approval_facts,
    new_run_id,
    state_of,
    trigger_of,
)
from airflow_copernicus.runs.archive import Archive
from airflow_copernicus.runs.pruning import prune
from copernicus_dataspace.errors import UNREADABLE, NotStagedError
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import delays_h
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reconcile.removal_limits import (
    NightlyLimits,
    RemovalOutcome,
    remove_within_limits,
)
from copernicus_dataspace.reconcile.repair import NOW_PRESENT
from copernicus_dataspace.reconcile.report import build, cells_now, still_missing
from copernicus_dataspace.reports.text import as_text
from copernicus_dataspace.reports.wording import report_name
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.static_catalog import refresh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.reconcile.inspection.history import History
    from copernicus_dataspace.reconcile.repair import RepairResult


class CopernicusSettleOperator(BaseOperator):
    """Looks again after the repairs, retires what should no longer be held, and reports.

    What was superseded goes only once its successor stands and every byte of it was compared, and
    only as much as the ingest's limits let go without being asked, see `reconcile.removals.record`.
    Returns ``ingest``, ``report_name``, ``report`` (the page's address), ``missing`` (names of
    products that could be had and are not there), ``changed``: for each day on which products were
    replaced or withdrawn, where to read which; and ``asks``, to be mapped over: the run that is to
    ask a person for the other removals, and the one whose question it replaces; none where the
    right question waits already. In the end what old runs have left is removed, see
    `airflow_copernicus.runs.pruning`.

    Every argument but `ingest_file` is a template field.
    """

    template_fields: Sequence[str] = ("ingests",)
    operator_extra_links = (ArchiveReportLink(),)
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        ingest_file: str | Path,
        ingests: Sequence[str] | None = None,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the settlement; arguments as for CopernicusAuditOperator."""
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.ingest_file = str(ingest_file)
        self.ingests = ingests

    def execute(self, context: Context) -> dict[str, Any]:
        """Settle, refresh the catalogue, report, and return where the report is."""
        archive = Archive.chosen(self.ingest_file, self.ingests, context)
        plan, ingest = _plan(archive), archive.ingest
        retired = _retire(archive, plan)
        if not plan.is_dry:
            refresh(archive.store, ingest.defaults["product_type"], plan.days)
        name, address = self._report(archive, plan, retired)
        result = {
            "ingest": ingest.dag_id,
            "report_name": name,
            "report": address,
            "missing": [] if plan.is_dry else [*still_missing(retired.outcomes), *plan.unusable],
            "changed": archive.write_changes(retired.outcomes),
            "asks": [trigger_of(ingest.dag_id, run_id) for run_id in retired.asks],
        }
        if not plan.is_dry:
            prune(archive)
        return result

    def _report(self, archive: Archive, plan: Plan, retired: RemovalOutcome) -> tuple[str, str]:
        files, made, outcomes = archive.files, datetime.now(UTC), retired.outcomes
        delays = {**plan.delays_h, **_delays_of_repaired(archive, outcomes)}
        known, found = files.history(utc_now()), (plan.days, cells_now(plan, outcomes), delays)
        facts = {
            "ingest": archive.ingest.dag_id,
            "area": archive.area,
            "product_type": archive.ingest.defaults["product_type"],
            "made": made.isoformat(timespec="seconds"),
            "dry_run": plan.is_dry,
            "switched_off": archive.is_switched_off,
            "approval": approval_facts(archive, retired.removals),
        }
        report = build(plan, outcomes, known.with_days(*found, until=plan.last), facts)
        name = report_name(report)
        self.log.info("\n%s", as_text(report))
        address = files.write(name, report)
        self.log.info("The report: %s", address)
        if not plan.is_dry:
            files.remember(_remembered(known.with_days(*found), plan))
        if plan.is_routine or archive.is_switched_off:
            metrics.of_report(report)
            files.write_latest(report)
        elif not plan.is_dry:
            files.note_approval(**facts["approval"], answer="")
        return name, address


def _plan(archive: Archive) -> Plan:
    try:
        return Plan.read(archive.store.read(archive.plan_path) or b"")
    except UNREADABLE as error:
        message = "the audit has left no plan, or it is damaged; look at its log, and clear it."
        raise NotStagedError(message) from error


def _retire(archive: Archive, plan: Plan) -> RemovalOutcome:
    """Remove what may go without being asked; nothing in a dry run, which asks nobody."""
    repairer, files, now = archive.repairer(), archive.files, archive.began
    outcomes = repairer.judge(plan, archive.policies)
    if plan.is_dry:
        return RemovalOutcome(outcomes, files.removals(now).answered(files.answers().values()))
    night = NightlyLimits(
        now=now,
        max_removals=archive.ingest.max_removals,
        policies=archive.policies,
        run_id=new_run_id(archive.ingest.dag_id, now),
        state_of=partial(state_of, archive.context["ti"]),
    )
    return remove_within_limits(files, repairer, plan, outcomes, night)


def _delays_of_repaired(
    archive: Archive, outcomes: Sequence[RepairResult]
) -> dict[str, list[float]]:
    """Return the hours from sensing to delivery of the days on which something was fetched."""
    repaired = (one.finding.product.sensed.date() for one in outcomes if one.now == NOW_PRESENT)
    held = Inventory(archive.store).entries(archive.terms.product_type, sorted({*repaired}))
    return delays_h(one for one in held if archive.ingest.dag_id in one.ingests)


def _remembered(history: History, plan: Plan) -> History:
    """Return what to remember: a look at a range by hand is no turn of the rolling ones."""
    if not plan.is_routine:
        return history
    survey = plan.survey or history.survey
    if plan.left_alone:  # their damage is to be found again
        return replace(history, survey=survey)
    return replace(history, survey=survey, scrubbed=plan.last + timedelta(days=1))
