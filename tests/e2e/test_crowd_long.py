"""5,000 products in one window: the run ends well, and the UI answers all the while."""

import json
import time
from datetime import timedelta

import pytest
import sqlalchemy

from copernicus_dataspace_emulator import Emulator
from dev_airflow import services
from dev_airflow.airflow_stack import Stack
from tests.e2e.conftest import DAG, Rehearsal
from tests.support.airflow.scale_page import SCALE
from tests.support.airflow.scene import FIRST, NOW, Scene, below, recipes, scl_bytes
from tests.support.airflow.watch import Answers

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        bool(services.missing()), reason=f"not installed: {', '.join(services.missing())}"
    ),
]

DAYS, A_DAY = 25, 200
MOST_SECONDS = 2.0
MOST_XCOM_BYTES = 48_000


@pytest.fixture
def crowd(tmp_path):
    with Emulator(now=NOW) as emulator, services.postgres() as database:
        products = [emulator.add(recipe) for recipe in recipes(DAYS, A_DAY)]
        right = {one.name.removesuffix(".SAFE"): scl_bytes(one) for one in products}
        output = tmp_path / "output"
        env = {
            "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(emulator.connection()),
            "SENTINEL2_OUTPUT_URI": output.as_uri(),
            "COPERNICUS_STATE_DIR": str(tmp_path / "state"),
        }
        with Stack(tmp_path / "home", database=database, env=env) as airflow:
            rehearsal = Rehearsal(airflow, emulator, output)
            yield Scene(rehearsal, DAYS, right, lambda: below(output / "bands"))


def largest_xcom(database):
    """Return the size of the largest value that a task handed on, in bytes."""
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        size = connection.execute(sqlalchemy.text("select max(length(value::text)) from xcom"))
        return size.scalar()


def test_five_thousand_products_in_one_window(crowd):
    airflow = crowd.airflow
    airflow.unpause(DAG)
    pages = [f"/api/v2/dags/{DAG}/dagRuns", f"/ui/grid/runs/{DAG}", f"/ui/grid/structure/{DAG}"]
    began = time.monotonic()
    Answers(airflow, pages).look()  # the first one lets Airflow import for two seconds
    with Answers(airflow, pages) as answers:
        last = FIRST + timedelta(days=DAYS - 1)
        run = crowd.rehearsal.trigger(
            first_day=str(FIRST), last_day=str(last), max_cloud_cover=None
        )
        state = crowd.rehearsal.finished(run, timeout_s=2400)
    took_s = time.monotonic() - began
    tasks = airflow.api("GET", f"dags/{DAG}/dagRuns/{run}/taskInstances")["total_entries"]
    wrong = crowd.wrong()
    xcom = largest_xcom(airflow.database)
    SCALE.record(
        f"{DAYS * A_DAY:,} products in one window, LocalExecutor with four processes",
        [
            ("products right", f"{len(crowd.right) - len(wrong)} of {len(crowd.right)}", "all"),
            ("pages answered within", f"{max(answers.seconds):.2f} s", f"< {MOST_SECONDS:g} s"),
            ("pages asked for", len(answers.seconds), ""),
            ("scheduler unhealthy, or page refused", len(answers.unhealthy), "0"),
            ("largest XCom value", f"{xcom:,} bytes", f"< {MOST_XCOM_BYTES:,} bytes"),
            ("task instances", tasks, ""),
            ("answered 429", f"{100 * crowd.refused_share():.2f} %", ""),
            ("wall time", f"{took_s:.0f} s", ""),
        ],
    )
    assert state == "success"
    assert wrong == []
    assert answers.unhealthy == []
    assert max(answers.seconds) < MOST_SECONDS
    assert xcom < MOST_XCOM_BYTES
