"""The audit operator: compares an archive with the catalogue and plans repairs."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.params import RECONCILE_PARAMS
from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.observability import metrics
from airflow_copernicus.priority import REPAIR_RUN_PREFIX
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.context import (
    REPAIR_KEY,
    check_no_days_in_backfill,
    check_run_conf,
    is_backfill,
    sensing_window,
)
from airflow_copernicus.runs.ingest_archive import Archive
from airflow_copernicus.runs.ingest_registry import check_output_not_shared
from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.models.time_range import Window, utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import Scope, inspect_archive
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reports.wording import in_words
from copernicus_dataspace.storage.write_check import check_store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from airflow_copernicus.config.ingest_settings import Ingest
    from copernicus_dataspace.catalogue.odata_rows import UnusableRow
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.history import History

_TRAILING_DAYS: Final = 30
_ONE_DAY: Final = timedelta(days=1)
_SURVEY_INTERVAL: Final = timedelta(days=7)
_RUN_DURATION: Final = timedelta(hours=3)
"""Time for an ingest's own run; days whose run started later are not checked yet."""
PRODUCTS_PER_RUN: Final = 500
"""Maximum products of a repair run, so that a failed run does not affect all repairs."""


class CopernicusAuditOperator(BaseOperator):
    """Compares an ingest's archive with the catalogue, and plans repairs.

    Checks the given days; by default the 30 newest days that are due, and once a week all days
    since the first delivered day, see `reconcile.inspection.survey`. Returns ``trigger_run_id`` and
    ``conf`` of each repair run of the ingest's DAG; none in a dry run or if that DAG is paused. The
    plan is recorded in the output store. Skipped if the ingest's DAG does not exist.

    All arguments up to `scrub` are template fields.
    """

    template_fields: Sequence[str] = (*("ingest", "first_day", "last_day", "is_dry_run", "scrub"),)
    ui_color = "#d9e8f5"

    def __init__(  # noqa: PLR0913
        self,
        *,
        ingest: Mapping[str, str],
        first_day: str | None = None,
        last_day: str | None = None,
        is_dry_run: bool = False,
        scrub: bool = False,
        allowed_outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            ingest: ``dag_id`` and ``output_uri`` of an ingest, see `runs.ingest_registry`.
            first_day: First UTC sensing day, ``YYYY-MM-DD``; None for the default days.
            last_day: Last UTC sensing day, inclusive; a single date covers that day.
            is_dry_run: Whether to report without changing anything.
            scrub: Whether to verify all files now, not only those that are due.
            allowed_outputs: Outputs that may be used, besides those of the installation.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.ingest = ingest
        self.first_day = first_day
        self.last_day = last_day
        self.is_dry_run = is_dry_run
        self.scrub = scrub
        self.allowed_outputs = allowed_outputs

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Compare, prepare the repair of damaged products, record the plan, return the repairs."""
        archive = Archive.open(self.ingest, context, self.allowed_outputs)
        check_run_conf(context, RECONCILE_PARAMS)
        check_no_days_in_backfill(context, self.first_day, self.last_day)
        archive.store.delete(archive.plan_path)
        is_alone = archive.ingest.one_run_at_a_time
        if is_alone:
            check_output_not_shared(archive.store, archive.ingest.dag_id)
        check_store(archive.store, archive.folder, one_run_at_a_time=is_alone)
        history = archive.files.history(utc_now())
        is_dry = self.is_dry_run or archive.is_switched_off
        scope = self._scope(context, archive.ingest, history, is_dry=is_dry)
        with (
            CopernicusHook(archive.ingest.copernicus_conn_id).get_conn() as client,
            metrics.record_transfers(context, client.service.statistics),
        ):
            query = archive.query(Window.of_days(scope.first, scope.last))
            lookup = ProductLookup(client.service.catalogue, query)
            archive_state = inspect_archive(archive.store, lookup, archive.terms, history, scope)
            requests = client.service.statistics.requests
        if archive.is_switched_off:
            self.log.warning("%s is paused: nothing is changed.", archive.ingest.dag_id)
        left_alone = None if is_dry else archive.repairer().prepare(archive_state)
        plan = Plan.of(archive_state, scope, requests, left_alone)
        self.log.info(
            "%s: checked %d days with %d requests; found: %s.",
            *(archive.ingest.dag_id, len(plan.days), plan.requests, in_words(plan.counts)),
        )
        archive.store.write(archive.plan_path, plan.to_bytes())
        return (
            [] if is_dry else _repairs(plan, archive_state.answer.unusable, archive.ingest.defaults)
        )

    def _scope(self, context: Context, ingest: Ingest, history: History, *, is_dry: bool) -> Scope:
        window, today = sensing_window(self.first_day, self.last_day, context), utc_now().date()
        first, last = window.start.date(), min((window.end - _ONE_DAY).date(), today)
        if first > today:
            message = f"first_day {first} is in the future; choose a day up to {today}."
            raise QueryError(message)
        if self.first_day or self.last_day:
            return Scope(
                first,
                last,
                is_whole=False,
                is_routine=False,
                scrub_days=0,
                reads_all=self.scrub,
            )
        delay = ingest.timetable.publication_delay + _RUN_DURATION
        last = min(last, (utc_now() - delay - _ONE_DAY).date())
        trailing = last - timedelta(days=_TRAILING_DAYS - 1)
        scope = Scope(
            first=min(max(trailing, ingest.start_day.date()), last),
            last=last,
            is_whole=False,
            is_routine=not is_dry and not is_backfill(context),
            scrub_days=0 if is_dry else ingest.scrub_days,
            reads_all=self.scrub,
        )
        known = history.survey
        is_due = known is None or scope.present - known.at >= _SURVEY_INTERVAL
        return replace(scope, is_whole=scope.is_routine and is_due)


def _repairs(
    plan: Plan, unusable: Collection[UnusableRow], settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return run id and configuration of the repair runs.

    The configuration has the settings of this audit, in case the ingest changes meanwhile.
    """
    by_bands: dict[tuple[str, ...], list[Product]] = defaultdict(list)
    for finding in plan.open:
        if finding.state.needs_download and finding.product.stem not in plan.left_alone:
            by_bands[finding.bands].append(finding.product)
    missing = _missing(plan, {row.day for row in unusable})
    label = f"{REPAIR_RUN_PREFIX}{plan.last}__{uuid.uuid4().hex[:8]}"
    confs = [
        {**settings, **_repair(products[n : n + PRODUCTS_PER_RUN], bands, missing)}
        for bands, products in by_bands.items()
        for n in range(0, len(products), PRODUCTS_PER_RUN)
    ]
    return [
        {"trigger_run_id": f"{label}__{number}", "conf": conf} for number, conf in enumerate(confs)
    ]


def _repair(
    products: Sequence[Product], bands: Sequence[str], missing: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    days = sorted({product.day for product in products})
    return {
        "product_ids": [product.id for product in products],
        **({"bands": list(bands)} if bands else {}),
        REPAIR_KEY: {day: missing[day] for day in days if day in missing},
    }


def _missing(plan: Plan, unusable_days: Collection[str | None]) -> dict[str, list[str]]:
    """Return the ids of all missing products by day, for days on which they are known.

    They are unknown on days with invalid catalogue rows; on all days if such a row has no day.
    """
    if None in unusable_days:
        return {}
    today = utc_now().date()
    checked = {day for day in plan.days if day < today and day.isoformat() not in unusable_days}
    expected = [finding for finding in plan.open if finding.state.is_expected]
    doubtful = {
        finding.product.sensed.date()
        for finding in expected
        if finding.product.stem in plan.left_alone
    }
    missing: dict[str, list[str]] = defaultdict(list)
    for finding in expected:
        day = finding.product.sensed.date()
        if day in checked - doubtful:
            missing[day.isoformat()].append(finding.product.id)
    return dict(missing)
