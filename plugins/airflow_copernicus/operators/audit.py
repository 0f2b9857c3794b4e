"""The first step of a reconcile: what should be held, beside what is."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_copernicus.config.allowed_outputs import refuse_shared
from airflow_copernicus.config.params import RECONCILE_PARAMS
from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.observability import metrics
from airflow_copernicus.priority import REPAIR
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.archive import Archive
from airflow_copernicus.runs.context import (
    REPAIR_KEY,
    is_backfill,
    refuse_in_backfill,
    refuse_unknown,
    sensing_window,
)
from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.models.time_range import Window, utc_now
from copernicus_dataspace.reconcile.inspection.archive_state import Scope, inspect_archive
from copernicus_dataspace.reconcile.inspection.findings import EXPECTED, FETCHED
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.reports.wording import in_words
from copernicus_dataspace.storage.write_check import check_store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from airflow.sdk import Context, RetryPolicy

    from airflow_copernicus.config.ingests import Ingest
    from copernicus_dataspace.catalogue.odata_rows import UnusableRow
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.history import History

_TRAILING_DAYS: Final = 30
_ONE_DAY: Final = timedelta(days=1)
_WHOLE_EVERY: Final = timedelta(days=7)
_PRODUCTS_PER_RUN: Final = 500
"""Of a repair run, so that one that fails leaves the others alone."""


class CopernicusAuditOperator(BaseOperator):
    """Compares what an ingest should hold with what it holds, and plans the repairs.

    Looks at the thirty newest days that are due; once a week at all days since the first one held,
    see `reconcile.inspection.survey`; or at the days it is given. Returns, to be mapped over,
    ``trigger_run_id`` and ``conf`` of the runs of the ingest's DAG that will fetch what is missing,
    late or damaged; none for a dry run, or where that DAG is switched off. The plan itself is
    recorded in the output store. Skipped where other ingests are chosen.

    Every argument but `ingest_file` is a template field.
    """

    template_fields: Sequence[str] = (*("first_day", "last_day", "ingests", "is_dry_run", "scrub"),)
    ui_color = "#d9e8f5"

    def __init__(  # noqa: PLR0913
        self,
        *,
        ingest_file: str | Path,
        first_day: str | None = None,
        last_day: str | None = None,
        ingests: Sequence[str] | None = None,
        is_dry_run: bool = False,
        scrub: bool = False,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the audit.

        Args:
            ingest_file: The file of include/ingests, read when the task runs.
            first_day: First UTC sensing day, ``YYYY-MM-DD``; None for the run's own choice.
            last_day: Last UTC sensing day, included; one alone means that one day.
            ingests: DAG ids of the ingests to look at; none for all.
            is_dry_run: Whether to report only, and change nothing.
            scrub: Whether the bytes of all files are read now, not only of those whose turn it is.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.ingest_file = str(ingest_file)
        self.first_day = first_day
        self.last_day = last_day
        self.ingests = ingests
        self.is_dry_run = is_dry_run
        self.scrub = scrub

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Compare, disown what is damaged, record the plan, and return the repairs."""
        archive = Archive.chosen(self.ingest_file, self.ingests, context)
        refuse_unknown(context, RECONCILE_PARAMS)
        refuse_in_backfill(context, self.first_day, self.last_day)
        archive.store.delete(archive.plan_path)
        is_alone = archive.ingest.one_run_at_a_time
        if is_alone:
            refuse_shared(archive.ingest.defaults["output_uri"], archive.ingest.dag_id)
        check_store(archive.store, archive.folder, one_run_at_a_time=is_alone)
        history = archive.files.history(utc_now())
        is_dry = self.is_dry_run or archive.is_switched_off
        scope = self._scope(context, archive.ingest, history, is_dry=is_dry)
        with (
            CopernicusHook(archive.ingest.copernicus_conn_id).get_conn() as client,
            metrics.of_transfers(context, client.service.statistics),
        ):
            query = archive.query(Window.of_days(scope.first, scope.last))
            lookup = ProductLookup(client.service.catalogue, query)
            archive_state = inspect_archive(archive.store, lookup, archive.terms, history, scope)
            requests = client.service.statistics.requests
        if archive.is_switched_off:
            self.log.warning("%s is switched off: nothing is changed.", archive.ingest.dag_id)
        left_alone = None if is_dry else archive.repairer().prepare(archive_state)
        plan = Plan.of(archive_state, scope, requests, left_alone)
        self.log.info(
            "%s: days looked at: %d, by requests: %d; found: %s.",
            *(archive.ingest.dag_id, len(plan.days), plan.requests, in_words(plan.counts)),
        )
        archive.store.write(archive.plan_path, plan.to_bytes())
        return (
            [] if is_dry else _repairs(plan, archive_state.answer.unusable, archive.ingest.defaults)
        )

    def _scope(self, context: Context, ingest: Ingest, history: History, *, is_dry: bool) -> Scope:
        asked, today = sensing_window(self.first_day, self.last_day, context), utc_now().date()
        first, last = asked.start.date(), min((asked.end - _ONE_DAY).date(), today)
        if first > today:
            message = f"first_day {first} lies in the future; choose a day up to {today}."
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
        last = min(last, (utc_now() - ingest.timetable.publication_delay - _ONE_DAY).date())
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
        is_due = known is None or scope.present - known.at >= _WHOLE_EVERY
        return replace(scope, is_whole=scope.is_routine and is_due)


def _repairs(
    plan: Plan, unusable: Collection[UnusableRow], settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return run id and configuration of the runs that will fetch what is to be fetched.

    They have the settings of this audit: what is changed meanwhile it has not looked for.
    """
    by_bands: dict[tuple[str, ...], list[Product]] = defaultdict(list)
    for finding in plan.open:
        if finding.state in FETCHED and finding.product.stem not in plan.left_alone:
            by_bands[finding.bands].append(finding.product)
    lacking = _lacking(plan, {row.day for row in unusable})
    label = f"{REPAIR}{plan.last}__{uuid.uuid4().hex[:8]}"
    confs = [
        {**settings, **_repair(products[n : n + _PRODUCTS_PER_RUN], bands, lacking)}
        for bands, products in by_bands.items()
        for n in range(0, len(products), _PRODUCTS_PER_RUN)
    ]
    return [
        {"trigger_run_id": f"{label}__{number}", "conf": conf} for number, conf in enumerate(confs)
    ]


def _repair(
    products: Sequence[Product], bands: Sequence[str], lacking: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    days = sorted({product.sensed.date().isoformat() for product in products})
    return {
        "product_ids": [product.id for product in products],
        **({"bands": list(bands)} if bands else {}),
        REPAIR_KEY: {day: lacking[day] for day in days if day in lacking},
    }


def _lacking(plan: Plan, odd_days: Collection[str | None]) -> dict[str, list[str]]:
    """Return by day the ids of all that must stand until it is complete, where that is known.

    Not known is it on days of which rows cannot be used, nor at all where such a row tells no day.
    """
    if None in odd_days:
        return {}
    today = utc_now().date()
    looked_at = {day for day in plan.days if day < today and day.isoformat() not in odd_days}
    expected = [one for one in plan.open if one.state in EXPECTED]
    doubtful = {
        one.product.sensed.date() for one in expected if one.product.stem in plan.left_alone
    }
    lacking: dict[str, list[str]] = defaultdict(list)
    for finding in expected:
        day = finding.product.sensed.date()
        if day in looked_at - doubtful:
            lacking[day.isoformat()].append(finding.product.id)
    return dict(lacking)
