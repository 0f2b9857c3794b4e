"""A program that runs the DAG of an ingest file with each configuration it is given, as JSON.

In a process of its own, because only there Airflow writes the logs of tasks as it does elsewhere.
"""

import json
import sys
from pathlib import Path

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.utils.db import initdb

END = "===== end of the run"

_FILE = """
from pathlib import Path

import airflow
from airflow_copernicus.dags.ingest import dag_of

dag = dag_of(Path({path!r}))
"""


def main(path, confs):
    initdb()
    DagBundlesManager().sync_bundles_to_db()
    (path.parent / "dag.py").write_text(_FILE.format(path=str(path)))
    for conf in confs:
        bag = DagBag(str(path.parent), bundle_path=path.parent)
        sync_bag_to_db(bag, "dags-folder", None)
        run = bag.dags[path.stem].test(run_conf=conf)
        sys.stdout.write(f"\n{END}: {run.state}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
