"""The last step: one page about the run, and an event for every complete day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.observability import lineage, metrics
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.announcement import announce
from airflow_copernicus.runs.context import open_store, run_layout
from copernicus_dataspace.errors import NotStagedError, PermanentError
from copernicus_dataspace.ingest.quota import Usage
from copernicus_dataspace.ingest.run_folders import placed
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.ingest.run_summary import as_text, summarise
from copernicus_dataspace.stac.static_catalog import refresh_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy

    from airflow_copernicus.runs.announcement import Announcement


class CopernicusPublishOperator(lineage.TellsLineage, BaseOperator):
    """Writes the run's summary, refreshes the STAC catalogue, and announces complete days.

    Each outlet asset gets an event for each complete sensing day, its partition, and none where no
    day is, see `runs.announcement`. Fails where products are missing and no day is announced;
    where some days are, the returned ``missing`` names what the others lack.
    """

    template_fields: Sequence[str] = ("search_id", "output_uri")
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        search_id: str,
        output_uri: str | None = None,
        complete_for: Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Describe the publication.

        Args:
            search_id: Task id of the search whose products are summed up.
            output_uri: As for the search.
            complete_for: Settings by the names of the search's arguments, and ``keep_archive``: a
                run that searched with others announces no day, but that it may ask for more bands.
                None where the settings of a run are always its DAG's own.
            retry_policy: Judges failures by the class of the error.
            **kwargs: Passed to BaseOperator; `outlets` are the assets to announce.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.search_id = search_id
        self.output_uri = output_uri
        self.complete_for = complete_for

    def execute(self, context: Context) -> dict[str, Any]:
        """Summarise, announce, and return the summary's address and what is missing."""
        store = open_store(self.output_uri or default_output_uri())
        run = placed(store, run_layout(context))
        records = RunRecords(store, run, self.search_id)
        search = records.search()
        if search is None:
            message = "the search has left no result; look at its log."
            raise NotStagedError(message)
        products, delivered = records.all_products(), records.delivered()
        summary = summarise(search, products, records.attempts(), delivered)
        summary["bytes_30_days"] = Usage(store, search["account"]).sweep()
        metrics.of_run(context, summary)
        refresh_all(store, products)
        announced = announce(store, summary, self.complete_for)
        missing = summary["missing"]
        summary |= {"complete_days": announced.days, "not_complete": announced.reasons}
        text = as_text(summary)
        self.log.info("\n%s", text)
        address = records.write_summary(summary, text)
        metrics.quota(summary["bytes_30_days"], summary["quota_bytes"])
        self.lineage = lineage.Lineage(lineage.folders(delivered), (lineage.place(address),))
        if not missing:
            store.delete(run.staging_dir)
        if missing and not announced.days:
            message = (
                f"{len(missing)} products are missing: {', '.join(missing[:5])}; see {address}"
            )
            raise PermanentError(message)
        self._tell(context, announced, address)
        return {"summary": address, "missing": missing}

    def _tell(self, context: Context, announced: Announcement, address: str) -> None:
        if not announced.days:
            self.outlets = []  # or Airflow makes an event without a day
        for asset in self.outlets:
            event = context["outlet_events"][asset]
            event.add_partitions(announced.days)
            event.extra = {"products": {**announced.products}, "summary": address}
