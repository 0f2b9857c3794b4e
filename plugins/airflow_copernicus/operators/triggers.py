"""Operators that trigger the runs an earlier task has planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

_ENDED: Final = ["success", "failed"]
_POKE_INTERVAL_S: Final = 5


class CopernicusTriggerOperator(TriggerDagRunOperator):
    """Triggers a planned run of a DAG; skipped if none is planned.

    `ingest` and `planned` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "planned")

    def __init__(
        self, *, ingest: Mapping[str, str], planned: Mapping[str, Any] | None, **kwargs: Any
    ) -> None:
        """Create the operator.

        Args:
            ingest: ``dag_id`` of the ingest that the run is about.
            planned: ``trigger_run_id`` and ``conf`` of the run; None for no run.
            **kwargs: Passed to TriggerDagRunOperator.
        """
        super().__init__(logical_date=None, **kwargs)
        self.ingest = ingest
        self.planned = planned

    def execute(self, context: Context) -> None:
        """Trigger the run."""
        if self.planned is None:
            message = "There is no run to trigger."
            raise AirflowSkipException(message)
        self.trigger_run_id, self.conf = self.planned["trigger_run_id"], self.planned["conf"]
        super().execute(context)


class CopernicusRepairOperator(TriggerDagRunOperator):
    """Triggers the planned runs of an ingest's DAG, each when the one before has ended.

    Waits deferred, without a worker, until the last one has ended, successful or not. A retry
    continues with the run that has not ended. Skipped if no run is planned.

    `ingest` and `planned` are template fields.
    """

    template_fields: Sequence[str] = ("ingest", "planned")

    def __init__(
        self, *, ingest: Mapping[str, str], planned: Sequence[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        """Create the operator.

        Args:
            ingest: ``dag_id`` of the ingest.
            planned: ``trigger_run_id`` and ``conf`` of each run.
            **kwargs: Passed to TriggerDagRunOperator.
        """
        super().__init__(
            trigger_dag_id="",
            logical_date=None,
            wait_for_completion=True,
            allowed_states=_ENDED,
            failed_states=[],  # else Airflow retries the task if the run fails
            poke_interval=_POKE_INTERVAL_S,
            deferrable=True,
            **kwargs,
        )
        self.ingest = ingest
        self.planned = planned

    def execute(self, context: Context) -> None:
        """Trigger the first run that has not ended, or wait for it."""
        if not self.planned:
            message = "There is nothing to repair."
            raise AirflowSkipException(message)
        self.trigger_dag_id = self.ingest["dag_id"]
        count = context["ti"].get_dr_count
        for run in self.planned:
            run_id = run["trigger_run_id"]
            if count(self.trigger_dag_id, run_ids=[run_id], states=_ENDED):
                continue
            if count(self.trigger_dag_id, run_ids=[run_id]):
                self._wait_for(run_id)
            self.trigger_run_id, self.conf = run_id, run["conf"]
            super().execute(context)

    def execute_complete(self, context: Context, event: Any) -> None:  # noqa: ARG002
        """Continue after a run has ended."""
        self.execute(context)

    def _wait_for(self, run_id: str) -> None:
        self.defer(
            trigger=DagStateTrigger(
                dag_id=self.trigger_dag_id,
                states=self.allowed_states,
                run_ids=[run_id],
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
        )
