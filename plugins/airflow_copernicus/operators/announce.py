"""The announce operator: an asset event for every day with replaced or withdrawn products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.assets import day_asset
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.ingest_archive import event_extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, RetryPolicy


class CopernicusAnnounceOperator(BaseOperator):
    """Announces replaced and withdrawn products to downstream DAGs.

    The asset of the ingest gets an event for each changed sensing day, with the day as partition.
    Skipped if nothing has changed.

    `ingest` and `change` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "change")

    def __init__(
        self,
        *,
        ingest: Mapping[str, str],
        change: Mapping[str, Any] | None,
        allowed_outputs: Sequence[str] = (),
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        """Create the operator.

        Args:
            ingest: ``dag_id`` of the ingest.
            change: Result of `Archive.write_changes`.
            allowed_outputs: Outputs that may be read, besides those of the installation.
            retry_policy: Decides about retries by the class of the error.
            **kwargs: Passed to BaseOperator.
        """
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.ingest = ingest
        self.change = change
        self.allowed_outputs = allowed_outputs

    def execute(self, context: Context) -> None:
        """Add the events."""
        if self.change is None:
            message = "No product was replaced or withdrawn."
            raise AirflowSkipException(message)
        asset = day_asset(self.ingest["dag_id"])
        self.outlets = [asset]  # not known when the DAG is parsed
        event = context["outlet_events"][asset]
        event.add_partitions(self.change["days"])
        event.extra = event_extra(self.change, self.allowed_outputs)
