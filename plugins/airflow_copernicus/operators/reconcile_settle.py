"""The settle operator: checks repairs, removes products, and writes the report."""

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
    approval_status,
    new_run_id,
    state_of,
    trigger_kwargs,
)
from airflow_copernicus.runs.ingest_archive import Archive
from airflow_copernicus.runs.pruning import prune
from copernicus_dataspace.errors import NotStagedError
from copernicus_dataspace.models.product_state import StateAfterRepair
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import delays_h
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reconcile.removal_limits import (
    NightlyLimits,
    RemovalOutcome,
    remove_within_limits,
)
from copernicus_dataspace.reconcile.report import build, cells_now, still_missing
from copernicus_dataspace.reports.text import as_text
from copernicus_dataspace.reports.wording import report_name
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.static_catalog import refresh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.reconcile.inspection.history import History
    from copernicus_dataspace.reconcile.repair import RepairResult


class CopernicusSettleOperator(BaseOperator):
    """Checks the repairs, removes superseded and withdrawn products, and writes the report.

    A superseded product is removed only if its newer version is delivered and verified, and only
    within the limits of the ingest, see `reconcile.removals.removal_record`. At the end files of
    old runs are removed, see `airflow_copernicus.runs.pruning`. Returns, each also as its own XCom,

    * ``ingest``, ``report_name``, ``report`` (URI of the page),
    * ``missing`` (names of available products that are missing),
    * ``change`` (reference to the replaced and withdrawn products; None if there are none),
    * ``request`` (the approval run to trigger; None if there is none, or it is pending already) and
      ``ended_request`` (the earlier approval run to clear, so that it ends; None if there is none).

    `ingest` is a template field.
    """

    template_fields: Sequence[str] = ("ingest",)
    operator_extra_links = (ArchiveReportLink(),)
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        ingest: Mapping[str, str],
        allowed_outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator; arguments as for CopernicusAuditOperator."""
        super().__init__(retry_policy=retry_policy, multiple_outputs=True, **kwargs)
        self.ingest = ingest
        self.allowed_outputs = allowed_outputs

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove, refresh the STAC catalogue, write the report, and return the results."""
        archive = Archive.open(self.ingest, context, self.allowed_outputs)
        plan, ingest = _plan(archive), archive.ingest
        retired = _retire(archive, plan)
        if not plan.is_dry:
            refresh(archive.store, ingest.defaults["product_type"], plan.days)
        name, address = self._report(archive, plan, retired)
        result = {
            "ingest": ingest.dag_id,
            "report_name": name,
            "report": address,
            "missing": [] if plan.is_dry else [*still_missing(retired.results), *plan.unusable],
            "change": archive.write_changes(retired.results),
            "request": trigger_kwargs(ingest.dag_id, retired.requested_run),
            "ended_request": trigger_kwargs(ingest.dag_id, retired.ended_run),
        }
        if not plan.is_dry:
            prune(archive)
        return result

    def _report(self, archive: Archive, plan: Plan, retired: RemovalOutcome) -> tuple[str, str]:
        files, made, results = archive.files, datetime.now(UTC), retired.results
        delays = {**plan.delays_h, **_delays_of_repaired(archive, results)}
        known, found = files.history(utc_now()), (plan.days, cells_now(plan, results), delays)
        facts = {
            "ingest": archive.ingest.dag_id,
            "area": archive.place,
            "product_type": archive.ingest.defaults["product_type"],
            "made": made.isoformat(timespec="seconds"),
            "dry_run": plan.is_dry,
            "switched_off": archive.is_switched_off,
            "approval": approval_status(archive, retired.removals),
        }
        report = build(plan, results, known.with_days(*found, until=plan.last), facts)
        name = report_name(report)
        self.log.info("\n%s", as_text(report))
        address = files.write(name, report)
        self.log.info("Report: %s", address)
        if not plan.is_dry:
            files.remember(_updated_history(known.with_days(*found), plan))
        if plan.is_routine or archive.is_switched_off:
            metrics.record_report(report)
            files.write_latest(report)
        elif not plan.is_dry:
            files.note_approval(**facts["approval"], answer="")
        return name, address


def _plan(archive: Archive) -> Plan:
    try:
        return Plan.read(archive.store.read(archive.plan_path))
    except ValueError as error:
        message = (
            "the plan of the audit is missing or damaged; see the log of the audit, and clear it."
        )
        raise NotStagedError(message) from error


def _retire(archive: Archive, plan: Plan) -> RemovalOutcome:
    """Carry out removals within the limits; none in a dry run, which also requests none."""
    repairer, files, now = archive.repairer(), archive.files, archive.began
    results = repairer.judge(plan, archive.policies)
    if plan.is_dry:
        return RemovalOutcome(results, files.removals(now).answered(files.answers().values()))
    night = NightlyLimits(
        now=now,
        max_removals=archive.ingest.max_removals,
        policies=archive.policies,
        run_id=new_run_id(archive.ingest.dag_id, now),
        state_of=partial(state_of, archive.context["ti"]),
    )
    return remove_within_limits(files, repairer, plan, results, night)


def _delays_of_repaired(
    archive: Archive, results: Sequence[RepairResult]
) -> dict[str, list[float]]:
    """Return the hours from sensing to delivery, by day with repaired products."""
    repaired = {
        result.finding.product.sensed.date()
        for result in results
        if result.now is StateAfterRepair.PRESENT
    }
    entries = Inventory(archive.store).entries(archive.terms.product_type, sorted(repaired))
    return delays_h(entry for entry in entries if archive.ingest.dag_id in entry.ingests)


def _updated_history(history: History, plan: Plan) -> History:
    """Return the state to store; a run for given days does not count as a routine run."""
    if not plan.is_routine:
        return history
    survey = plan.survey or history.survey
    if plan.left_alone:  # the next run must find their damage again
        return replace(history, survey=survey)
    return replace(history, survey=survey, scrubbed=plan.last + timedelta(days=1))
