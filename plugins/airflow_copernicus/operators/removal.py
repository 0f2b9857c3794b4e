"""The operators of approvals: the request to a user, and the approved removals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.links import report_url
from airflow_copernicus.observability import metrics
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.context import check_run_conf
from airflow_copernicus.runs.ingest_archive import Archive
from airflow_copernicus.runs.outputs import find_ingests
from copernicus_dataspace.catalogue.query import sensing_day
from copernicus_dataspace.errors import ConfigurationError, NotStagedError
from copernicus_dataspace.models.product_state import StateAfterRepair
from copernicus_dataspace.models.time_range import spans, utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import Scope, inspect_archive
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reconcile.removal_limits import agreed
from copernicus_dataspace.reconcile.removals.approval import Decision
from copernicus_dataspace.reconcile.removals.approval_text import plan_table, subject
from copernicus_dataspace.stac.static_catalog import refresh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.reconcile.removals.approval import Removal
    from copernicus_dataspace.reconcile.repair import RepairResult

_TRIGGERED: Final = "operator_triggered"
"""Type of the runs that `sentinel2_reconcile` starts."""
_SHORT_GAP_DAYS: Final = 30
"""Gaps up to this length are searched too, which costs less than separate searches."""


class CopernicusAskOperator(BaseOperator):
    """Creates the approval request for all pending removals of an ingest.

    The requested removals are recorded with the run; the response can approve no others. Returns
    ``ingest``, ``subject`` and ``body`` (Markdown), each as its own XCom. Skipped if no removals
    are pending or the ingest is paused.

    `ingest` and `with_rejected` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "with_rejected")
    ui_color = "#fdf3d8"

    def __init__(
        self,
        *,
        ingest: str,
        with_rejected: bool = False,
        outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            ingest: DAG id of the ingest.
            with_rejected: Whether to include rejected removals.
            outputs: Outputs whose ingests are known, besides those of the installation.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, multiple_outputs=True, **kwargs)
        self.ingest = ingest
        self.with_rejected = with_rejected
        self.outputs = outputs

    def execute(self, context: Context) -> dict[str, Any]:
        """Record the requested removals, and return the request."""
        archive = _archive(self, context)
        check_run_conf(context, self.template_fields)
        _skip_if_off(archive)
        removals = self._removals(archive, context["dag_run"])
        if not removals:
            message = f"{self.ingest}: no removals are pending."
            raise AirflowSkipException(message)
        return {
            "ingest": self.ingest,
            "subject": subject(self.ingest, removals),
            "body": plan_table(
                removals,
                report_url(self.ingest, "latest"),
                archive.store.uri(archive.question_path),
            ),
        }

    def _removals(self, archive: Archive, run: Any) -> Sequence[Removal]:
        """Return the removals of the request; a cleared run requests the same removals again.

        Airflow keeps showing the first text of a request, so it must not stand for other removals.
        """
        files = archive.files
        record = files.removals(utc_now()).answered(files.answers().values())
        content = archive.store.read(archive.question_path)
        is_current = record.request is not None and record.request.run_id == run.run_id
        if not is_current and (content is not None or run.run_type == _TRIGGERED):
            message = (
                f"{self.ingest}: a newer request replaces this one, or no removals are pending."
            )
            raise AirflowSkipException(message)
        if content is not None:
            question = Decision.read(content)
            return question.removals if question else ()
        removals = [*(record.request.removals if record.request else ())]
        if self.with_rejected:
            names = {removal.name for removal in removals}
            removals += [removal for removal in record.rejected if removal.name not in names]
        removals.sort(key=lambda removal: removal.order)
        archive.store.write(archive.question_path, Decision(False, tuple(removals)).to_bytes())
        return removals


class CopernicusRemoveOperator(BaseOperator):
    """Carries out the response to an approval request.

    If approved, catalogue and archive are compared again; removals in the request, in the record of
    the ingest and in this comparison are carried out, and the STAC catalogue is refreshed. If
    rejected, the response is recorded. Returns ``ingest`` (as for CopernicusAuditOperator),
    ``removed`` (names) and ``change`` (see CopernicusSettleOperator), each also as its own XCom.

    `ingest` and `with_rejected` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "with_rejected")
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        ingest: str,
        is_approved: bool,
        with_rejected: bool = False,
        outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            ingest: DAG id of the ingest.
            is_approved: Whether the request was approved.
            with_rejected: As for CopernicusAskOperator.
            outputs: Outputs whose ingests are known, besides those of the installation.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, multiple_outputs=True, **kwargs)
        self.ingest = ingest
        self.is_approved = is_approved
        self.with_rejected = with_rejected
        self.outputs = outputs

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove the approved products, or record the rejection; return the changes."""
        archive = _archive(self, context)
        _skip_if_off(archive)
        requested = _requested_removals(archive)
        results = self._remove(archive, requested, context) if self.is_approved else []
        removed = [
            result.finding.product.stem for result in results if result.now is StateAfterRepair.GONE
        ]
        run_id = context["dag_run"].run_id
        archive.files.write_answer(run_id, Decision(self.is_approved, requested))
        answer = "rejected, or no response in time: all products are kept"
        if self.is_approved:
            answer = f"approved: {len(removed)} of {len(requested)} removed or moved to quarantine"
        archive.files.note_approval(answer=answer)
        self.log.info("%s: %s.", self.ingest, answer)
        return {
            "ingest": {"dag_id": self.ingest, "output_uri": archive.ingest.defaults["output_uri"]},
            "removed": removed,
            "change": archive.write_changes(results),
        }

    def _remove(
        self, archive: Archive, requested: Sequence[Removal], context: Context
    ) -> list[RepairResult]:
        """Remove approved products; return the results, with those of earlier tries of the task."""
        repairer, store, policies = archive.repairer(), archive.store, archive.policies
        earlier = self._earlier(archive)
        earlier_results = repairer.judge(earlier, policies) if earlier else []
        results = [result for result in earlier_results if result.now is StateAfterRepair.GONE]
        for plan in _plans(archive, requested, context):
            judged = repairer.judge(plan, policies)
            record = archive.files.removals(utc_now())
            approved = agreed(record, judged, requested, with_rejected=self.with_rejected)
            open_ = (*(result.finding for result in (*results, *approved)),)
            store.write(archive.plan_path, replace(plan, open=open_).to_bytes())
            stems = {result.finding.product.stem for result in approved}
            results += repairer.remove(approved, stems)
        days = {result.finding.product.sensed.date() for result in results}
        if days:
            refresh(store, archive.terms.product_type, days)
        for result in results:
            self.log.info("%s: %s.", result.finding.product.stem, result.action)
        return results

    def _earlier(self, archive: Archive) -> Plan | None:
        """Return the plan of an earlier try of the task, if any."""
        content = archive.store.read(archive.plan_path)
        try:
            return None if content is None else Plan.read(content)
        except ValueError:
            self.log.warning(
                "%s is damaged: the removals of an earlier try are not reported again.",
                archive.store.uri(archive.plan_path),
            )
            return None


def _archive(
    operator: CopernicusAskOperator | CopernicusRemoveOperator, context: Context
) -> Archive:
    """Open the archive of the operator's ingest.

    Raises:
        ConfigurationError: No output has an ingest of this DAG id.
    """
    found = find_ingests(operator.outputs)
    matching = [one for one in found.ingests if one["dag_id"] == operator.ingest]
    if not matching:
        raise ConfigurationError(found.refusal("ingest", [operator.ingest]))
    return Archive.open(matching[0], context, operator.outputs)


def _skip_if_off(archive: Archive) -> None:
    if archive.is_switched_off:
        message = f"{archive.ingest.dag_id} is paused: nothing is changed."
        raise AirflowSkipException(message)


def _requested_removals(archive: Archive) -> tuple[Removal, ...]:
    """Return the removals of the run's request."""
    question = Decision.read(archive.store.read(archive.question_path))
    if question is None:
        message = (
            f"the approval request {archive.store.uri(archive.question_path)} is missing or "
            "damaged: nothing is removed. The next sentinel2_reconcile run creates a new request."
        )
        raise NotStagedError(message)
    return question.removals


def _plans(archive: Archive, requested: Sequence[Removal], context: Context) -> list[Plan]:
    """Return new plans for the requested products, made as in the nightly audit."""
    names, plans = {removal.name for removal in requested}, []
    with (
        CopernicusHook(archive.ingest.copernicus_conn_id).get_conn() as client,
        metrics.record_transfers(context, client.service.statistics),
    ):
        for window in spans(
            sorted({sensing_day(removal.day) for removal in requested}), gap=_SHORT_GAP_DAYS
        ):
            first, last = window.days[0], window.days[-1]
            scope = Scope(first, last, is_whole=False, is_routine=False, scrub_days=0)
            lookup = ProductLookup(client.service.catalogue, archive.query(window))
            known = archive.files.history(utc_now())
            archive_state = inspect_archive(archive.store, lookup, archive.terms, known, scope)
            plan = Plan.of(archive_state, scope, client.service.statistics.requests, frozenset())
            found = tuple(finding for finding in plan.open if finding.product.stem in names)
            plans.append(replace(plan, open=found))
    return plans
