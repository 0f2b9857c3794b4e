"""Runs the tasks of an ingest's DAG one by one, with a run's configuration, as Airflow would."""

import copy
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.dags.ingest import build_dag
from copernicus_dataspace.errors import DataSpaceError
from tests.airflow_copernicus.conftest import Events, make_context


@dataclass
class DagRan:
    """What one run has left: ``announced`` are extras of events by day, or by None without one."""

    summary: dict[str, Any] = field(default_factory=dict)
    announced: dict[str | None, Any] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)


class IngestDag:
    """The DAG of one ingest file, which may be written anew between two runs or tasks."""

    def __init__(self, folder, output, dag_id="sentinel2_daily", **settings):
        self.path = folder / f"{dag_id}.yaml"
        self.output = output
        self.write(**settings)

    def write(self, **settings):
        given = {"tiles": ["T36TXL"], "output_uri": self.output.as_uri(), **settings}
        self.path.write_text(json.dumps(given))

    def context(self, conf=None, day="2024-08-01", run_type="manual", **facts):
        facts = {"run_id": "a run", "dag_id": self.path.stem, **facts}
        return make_context(day, run_type=run_type, conf=conf or {}, **facts)

    def task(self, task_id, context, **mapped):
        """A task of the DAG as the file has it now, with its fields rendered."""
        dag = build_dag(Ingest.read(self.path), self.path.parent)
        asked = {**dag.params.dump(), **context["dag_run"].conf}
        context |= {"dag": dag, "params": asked}
        task = copy.copy(dag.get_task(task_id))
        for name, value in mapped.items():
            setattr(task, name, value)
        task.render_template_fields(context)
        return task

    def fetch(self, context, ran):
        """Search, download and extract."""
        for batch in self.task("search", context).execute(context):
            for name in ("product.download", "product.extract"):
                try:
                    self.task(name, context, batch=batch).execute(context)
                except (DataSpaceError, AirflowRescheduleException) as error:
                    ran.errors.append(error)

    def publish(self, context, ran):
        """Publish; an outlet without a partition is an event without a day."""
        task, events = self.task("publish", context), defaultdict(Events)
        try:
            task.execute({**context, "outlet_events": events})
        except DataSpaceError as error:
            ran.errors.append(error)
            return
        finally:
            run = f"runs/*/{context['dag_run'].run_id}/summary.json"
            (path,) = (one for root in self.roots for one in root.glob(run))
            ran.summary = json.loads(path.read_text())
        for asset in task.outlets:
            event = events[asset]
            ran.announced |= dict.fromkeys(event.partitions or [None], event.extra)

    @property
    def roots(self):
        return [self.output, *self.output.parent.glob("elsewhere")]

    def run(self, conf=None, **facts):
        ran, context = DagRan(), self.context(conf, **facts)
        self.fetch(context, ran)
        self.publish(context, ran)
        return ran
