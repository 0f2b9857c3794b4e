"""An Airflow with ingests of a test's own making, and the DAG that keeps their archives true."""

import contextlib
import json

from dev_airflow.airflow_stack import Stack
from tests.e2e.conftest import Rehearsal

RECONCILE = "sentinel2_reconcile"

_DAGS = '''"""The Airflow DAGs of the ingests beside this file."""

import datetime
from pathlib import Path

from airflow_copernicus.dags import ingest_dags, reconcile_dag
from airflow_copernicus.dags.ingest import DEFAULT_ARGS
from airflow_copernicus.operators import reconcile_audit

DEFAULT_ARGS["retries"] = 0
reconcile_audit.PRODUCTS_PER_RUN = {per_repair}
ingest_dags(Path(__file__).parent / "ingests")
reconcile_dag(end_date={end!r})
'''
"""What fails is not tried again, so that it is seen."""


@contextlib.contextmanager
def workshop(folder, emulator, ingests, *, connection=None, per_repair=2, end=None):
    """Run Airflow against an emulator; ``ingests`` are the settings of each, by name.

    Their output is the folder's ``output``, so that they share what they both want. What is
    reconciled is not scheduled after ``end``. ``connection`` is the emulator's own unless given. Of
    more products than ``per_repair`` a night makes several runs.
    """
    output = folder / "output"
    dags = folder / "dags"
    (dags / "ingests").mkdir(parents=True)
    (dags / "workshop.py").write_text(_DAGS.format(end=end, per_repair=per_repair))
    for name, settings in ingests.items():
        facts = {"bands": ["SCL_20m"], "output_uri": output.as_uri(), **settings}
        (dags / "ingests" / f"{name}.yaml").write_text(json.dumps(facts))
    env = {
        "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(connection or emulator.connection()),
        "SENTINEL2_OUTPUT_URI": output.as_uri(),
    }
    with Stack(folder / "home", dags_folder=dags, env=env) as airflow:
        yield Rehearsal(airflow, emulator, output)
