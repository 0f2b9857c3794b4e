"""Runs that want the same at the same moment, each in a thread, with Airflow's patience."""

import time
from threading import Barrier, Thread

from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from tests.airflow_copernicus.conftest import Events, make_context

_WAIT_S = 0.1
_GIVE_UP_S = 120


class Rival:
    """One run of an ingest, step by step."""

    def __init__(
        self,
        output_uri,
        run_id,
        bands=("SCL_20m",),
        dag_id="sentinel2_daily",
        product_ids=None,
        conf=None,
        **wanted,
    ):
        self.context = make_context(run_id=run_id, dag_id=dag_id, conf=conf or {})
        self.output = {"output_uri": output_uri}
        self.facts = {"bands": list(bands), **self.output, **wanted}
        self.waits = []
        query = {"tiles": ["36TXL"], "product_ids": product_ids}
        search = CopernicusSearchOperator(
            task_id="search", bands=list(bands), **query, **self.output
        )
        self.batches = search.execute(self.context)

    def download(self, batch):
        step = CopernicusDownloadOperator(task_id="d", batch=batch, pool_slots=2, **self.facts)
        step.execute(self.context)

    def extract(self, batch):
        CopernicusExtractOperator(task_id="e", batch=batch, **self.facts).execute(self.context)

    def publish(self):
        publish = CopernicusPublishOperator(task_id="publish", search_id="search", **self.output)
        publish.outlets = ["day"]
        return publish.execute({**self.context, "outlet_events": {"day": Events()}})

    def patiently(self, step, batch):
        """Do a step again each time it asks for that, as Airflow would but for the pause."""
        give_up = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < give_up:
            try:
                step(batch)
            except AirflowRescheduleException as caught:
                self.waits.append(caught.reschedule_date)
                time.sleep(_WAIT_S)
            else:
                return
        raise AssertionError("the run waits for ever")

    def run(self):
        for batch in self.batches:
            self.patiently(self.download, batch)
            self.patiently(self.extract, batch)
        assert self.publish()["missing"] == []


def run_together(*rivals):
    """Let runs begin their downloads at the same moment; raises what any of them raises."""
    start, errors = Barrier(len(rivals)), []

    def run(rival):
        start.wait()
        try:
            rival.run()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [Thread(target=run, args=(rival,)) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
