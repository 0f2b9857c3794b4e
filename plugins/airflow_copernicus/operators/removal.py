"""The steps of an approval: what a person is asked, and what is done once it is approved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.links import report_url
from airflow_copernicus.observability import metrics
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.archive import Archive
from airflow_copernicus.runs.context import refuse_unknown
from copernicus_dataspace.catalogue.query import sensing_day
from copernicus_dataspace.errors import UNREADABLE, NotStagedError
from copernicus_dataspace.models.time_range import spans, utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import Scope, inspect_archive
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reconcile.removal_limits import agreed
from copernicus_dataspace.reconcile.removals.question import plan_table, subject
from copernicus_dataspace.reconcile.removals.requests import Decision
from copernicus_dataspace.reconcile.repair import NOW_GONE
from copernicus_dataspace.stac.static_catalog import refresh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context, RetryPolicy

    from copernicus_dataspace.reconcile.removals.requests import Removal
    from copernicus_dataspace.reconcile.repair import RepairResult

_BY_A_NIGHT: Final = "operator_triggered"
"""Type of the runs that `sentinel2_reconcile` starts."""
_SHORT_GAP_DAYS: Final = 30
"""Days between those asked for are listed, too, where a listing of their own would cost more."""


class CopernicusAskOperator(BaseOperator):
    """Makes one question of all removals that wait for approval in the record of an ingest.

    What is asked is kept with the run: it is all that its answer can allow. Returns ``ingest``,
    ``subject`` and ``body`` (Markdown), each under its own key. Skipped where nothing waits, or the
    ingest is switched off.

    `ingest` and `with_rejected` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "with_rejected")
    ui_color = "#fdf3d8"

    def __init__(
        self,
        *,
        ingest_folder: str | Path,
        ingest: str,
        with_rejected: bool = False,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the question.

        Args:
            ingest_folder: Holds the ingest files.
            ingest: DAG id of one of them.
            with_rejected: Whether what was rejected is asked for again.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, multiple_outputs=True, **kwargs)
        self.ingest_folder = str(ingest_folder)
        self.ingest = ingest
        self.with_rejected = with_rejected

    def execute(self, context: Context) -> dict[str, Any]:
        """Keep what is asked with the run, and return the question."""
        archive = Archive.named(self.ingest_folder, self.ingest, context)
        refuse_unknown(context, self.template_fields)
        _skip_if_off(archive)
        removals = self._removals(archive, context["dag_run"])
        if not removals:
            message = f"{self.ingest}: no removal waits for approval."
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
        """Return what the run asks for: of a run that is cleared the same again.

        Airflow shows the first text of a question for ever, so that it must not stand for more.
        """
        files = archive.files
        record = files.removals(utc_now()).answered(files.answers().values())
        content = archive.store.read(archive.question_path)
        is_current = record.request is not None and record.request.run_id == run.run_id
        if not is_current and (content is not None or run.run_type == _BY_A_NIGHT):
            message = f"{self.ingest}: a newer plan has taken the place of this one, or none waits."
            raise AirflowSkipException(message)
        if content is not None:
            question = Decision.read(content)
            return question.removals if question else ()
        removals = [*(record.request.removals if record.request else ())]
        if self.with_rejected:
            names = {one.name for one in removals}
            removals += [one for one in record.rejected if one.name not in names]
        removals.sort(key=lambda one: one.order)
        archive.store.write(archive.question_path, Decision(False, tuple(removals)).to_bytes())
        return removals


class CopernicusRemoveOperator(BaseOperator):
    """Carries out what a person has said of a run's question.

    Where it was approved, the catalogue is asked and the archive looked at anew, and what the
    question, the ingest's record and this look all name is removed; the STAC catalogue follows.
    Where it was not, that is remembered. Returns ``ingest``, ``removed`` (names) and ``changed``,
    as of CopernicusSettleOperator.

    `ingest` and `with_rejected` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "with_rejected")
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        ingest_folder: str | Path,
        ingest: str,
        is_approved: bool,
        with_rejected: bool = False,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the removal.

        Args:
            ingest_folder: Holds the ingest files.
            ingest: DAG id of one of them.
            is_approved: What the person said.
            with_rejected: As of the question.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.ingest_folder = str(ingest_folder)
        self.ingest = ingest
        self.is_approved = is_approved
        self.with_rejected = with_rejected

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove what is agreed, or remember that nothing is to be; return what changed."""
        archive = Archive.named(self.ingest_folder, self.ingest, context)
        _skip_if_off(archive)
        asked = _question(archive)
        outcomes = self._remove(archive, asked, context) if self.is_approved else []
        removed = [one.finding.product.stem for one in outcomes if one.now == NOW_GONE]
        run_id = context["dag_run"].run_id
        archive.files.write_answer(run_id, Decision(self.is_approved, asked))
        words = "rejected, or not answered in time: all of it is kept"
        if self.is_approved:
            words = f"approved: {len(removed)} of {len(asked)} removed or moved to quarantine"
        archive.files.note_approval(answer=words)
        self.log.info("%s: %s.", self.ingest, words)
        return {
            "ingest": self.ingest,
            "removed": removed,
            "changed": archive.write_changes(outcomes),
        }

    def _remove(
        self, archive: Archive, asked: Sequence[Removal], context: Context
    ) -> list[RepairResult]:
        """Remove what is agreed; of an earlier try of the task, say again what it has removed."""
        repairer, store, policies = archive.repairer(), archive.store, archive.policies
        earlier = self._earlier(archive)
        told = repairer.judge(earlier, policies) if earlier else []
        outcomes = [one for one in told if one.now == NOW_GONE]
        for plan in _plans(archive, asked, context):
            judged = repairer.judge(plan, policies)
            record = archive.files.removals(utc_now())
            may = agreed(record, judged, asked, with_rejected=self.with_rejected)
            open_ = (*(one.finding for one in (*outcomes, *may)),)
            store.write(archive.plan_path, replace(plan, open=open_).to_bytes())
            outcomes += repairer.remove(may, {one.finding.product.stem for one in may})
        days = {one.finding.product.sensed.date() for one in outcomes}
        if days:
            refresh(store, archive.terms.product_type, days)
        for one in outcomes:
            self.log.info("%s: %s.", one.finding.product.stem, one.action)
        return outcomes

    def _earlier(self, archive: Archive) -> Plan | None:
        """Return what an earlier try of the task has set out to remove."""
        content = archive.store.read(archive.plan_path)
        try:
            return None if content is None else Plan.read(content)
        except UNREADABLE:
            self.log.warning(
                "%s is damaged: what an earlier try has removed is not told again.",
                archive.store.uri(archive.plan_path),
            )
            return None


def _skip_if_off(archive: Archive) -> None:
    if archive.is_switched_off:
        message = f"{archive.ingest.dag_id} is switched off: nothing is changed."
        raise AirflowSkipException(message)


def _question(archive: Archive) -> tuple[Removal, ...]:
    """Return what the run has asked for."""
    question = Decision.read(archive.store.read(archive.question_path) or b"")
    if question is None:
        message = (
            f"the question of this run, {archive.store.uri(archive.question_path)}, is gone or "
            "damaged: nothing is removed. The next sentinel2_reconcile asks anew."
        )
        raise NotStagedError(message)
    return question.removals


def _plans(archive: Archive, asked: Sequence[Removal], context: Context) -> list[Plan]:
    """Return what is found now of what was asked for, as the nightly audit finds it."""
    names, plans = {one.name for one in asked}, []
    with (
        CopernicusHook(archive.ingest.copernicus_conn_id).get_conn() as client,
        metrics.of_transfers(context, client.service.statistics),
    ):
        for window in spans(sorted({sensing_day(one.day) for one in asked}), gap=_SHORT_GAP_DAYS):
            first, last = window.days[0], window.days[-1]
            scope = Scope(first, last, is_whole=False, is_routine=False, scrub_days=0)
            lookup = ProductLookup(client.service.catalogue, archive.query(window))
            known = archive.files.history(utc_now())
            archive_state = inspect_archive(archive.store, lookup, archive.terms, known, scope)
            plan = Plan.of(archive_state, scope, client.service.statistics.requests, frozenset())
            found = tuple(one for one in plan.open if one.product.stem in names)
            plans.append(replace(plan, open=found))
    return plans
