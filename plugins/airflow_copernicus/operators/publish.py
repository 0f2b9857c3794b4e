"""The publish operator: the run's summary, and an asset event for every complete day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.links import ArchiveLink
from airflow_copernicus.observability import lineage, metrics
from airflow_copernicus.observability.run_note import push_note
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.complete_days import announce
from airflow_copernicus.runs.context import open_store, run_layout
from copernicus_dataspace.errors import NotStagedError, PermanentError
from copernicus_dataspace.ingest.quota import Usage
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.ingest.run_summary import as_text, in_one_line, summarise
from copernicus_dataspace.stac.static_catalog import refresh_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from airflow_copernicus.runs.complete_days import Announcement


class CopernicusPublishOperator(lineage.TellsLineage, BaseOperator):
    """Writes the run's summary, refreshes the STAC catalogue, and announces complete days.

    The scheduler sets the summary's shortest form as the run's note, see `observability.run_note`.

    Each outlet asset gets an event for each complete sensing day, with the day as partition, see
    `runs.complete_days`. Fails if products are missing and no day is complete. If some days are
    complete, the returned ``missing`` lists the missing products of the others.
    """

    template_fields: Sequence[str] = ("search_id", "output_uri")
    operator_extra_links = (ArchiveLink(),)
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        search_id: str,
        output_uri: str | None = None,
        complete_for: Mapping[str, Any] | None = None,
        allowed_outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            search_id: Task id of the search to summarise.
            output_uri: As for the search.
            complete_for: Settings by the names of the search's arguments, and ``keep_archive``. A
                run with other settings, except additional bands, announces no day. None to accept
                the settings of any run.
            allowed_outputs: As for the search.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator; `outlets` are the assets to announce.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.search_id = search_id
        self.output_uri = output_uri
        self.complete_for = complete_for
        self.allowed_outputs = allowed_outputs

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the summary, announce days, return the summary's URI and the missing products."""
        store = open_store(self.output_uri or default_output_uri(), self.allowed_outputs)
        run = placed(store, run_layout(context))
        records = RunRecords(store, run, self.search_id)
        search = records.search()
        if search is None:
            push_note(context, "the search failed")
            message = "the search has no result; see the log of the search task."
            raise NotStagedError(message)
        products, delivered = records.all_products(), records.delivered()
        summary = summarise(search, products, records.attempts(), delivered)
        summary["bytes_30_days"] = Usage(store, search["account"]).sweep()
        metrics.record_run(context, summary)
        refresh_all(store, products)
        announced = announce(store, summary, self.complete_for)
        missing = summary["missing"]
        summary |= {"complete_days": announced.days, "not_complete": announced.reasons}
        text = as_text(summary)
        self.log.info("\n%s", text)
        address = records.write_summary(summary, text)
        push_note(context, in_one_line(summary))
        metrics.record_quota(summary["bytes_30_days"], summary["quota_bytes"])
        self.lineage = lineage.Lineage(
            lineage.folder_datasets(delivered), (lineage.dataset_at(address),)
        )
        if not missing:
            store.delete(run.staging_dir)
        if missing and not announced.days:
            message = (
                f"{len(missing)} products are missing: {', '.join(missing[:5])}; see {address}"
            )
            raise PermanentError(message)
        self._add_events(context, announced, address)
        return {"summary": address, "missing": missing}

    def _add_events(self, context: Context, announced: Announcement, address: str) -> None:
        if not announced.days:
            self.outlets = []  # else Airflow creates an event without a partition
        for asset in self.outlets:
            event = context["outlet_events"][asset]
            event.add_partitions(announced.days)
            event.extra = {"products": {**announced.products}, "summary": address}
