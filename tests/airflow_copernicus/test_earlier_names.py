"""What Airflow's database and users' DAGs hold of earlier versions still resolves."""

import json
import pkgutil
from datetime import datetime
from importlib.metadata import distribution

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

from airflow_copernicus.config.environment import ingests_folder
from airflow_copernicus.dags import ingest_dags

STORED = ("timetables.SensingDayTimetable", "priority.TodayFirst")


@pytest.fixture
def serialized():
    """The daily DAG as the database holds it."""
    return json.dumps(DagSerialization.to_dict(ingest_dags()["sentinel2_daily"]))


def test_a_dag_serialized_by_an_earlier_version_goes_on(serialized):
    earlier = serialized
    for name in STORED:
        assert f'"airflow_copernicus.{name}"' in earlier
        earlier = earlier.replace(f'"airflow_copernicus.{name}"', f'"copernicus.{name}"')
    now, before = (DagSerialization.from_dict(json.loads(one)) for one in (serialized, earlier))
    last = DataInterval(*(datetime.fromisoformat(f"2024-08-0{day}T00:00Z") for day in (1, 2)))
    scheduled = [
        dag.timetable.next_dagrun_info(
            last_automated_data_interval=last,
            restriction=TimeRestriction(earliest=last.start, latest=None, catchup=True),
        )
        for dag in (now, before)
    ]
    assert scheduled[0] == scheduled[1] is not None
    assert "copernicus.timetables" in type(before.timetable).__module__
    weights = [
        {task.task_id: type(task.weight_rule).__name__ for task in dag.tasks}
        for dag in (now, before)
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("copernicus.alerts:tell_late", "airflow_copernicus.notifications.webhook:tell_late"),
        ("copernicus.alerts:late_after", "airflow_copernicus.notifications.webhook:late_after"),
        ("copernicus.dag:build_dags", "airflow_copernicus.dags:ingest_dags"),
        ("copernicus.dag:dag_of", "airflow_copernicus.dags.ingest:dag_of"),
        ("copernicus.dag:day_asset", "airflow_copernicus.assets:day_asset"),
        (
            "copernicus.project:default_output_uri",
            "airflow_copernicus.config.environment:default_output_uri",
        ),
        ("copernicus.hooks:CopernicusHook", "airflow_copernicus.hooks:CopernicusHook"),
        (
            "copernicus.operators:CopernicusSearchOperator",
            "airflow_copernicus.operators:CopernicusSearchOperator",
        ),
    ],
)
def test_earlier_names_lead_to_the_same(name, now):
    assert pkgutil.resolve_name(name) is pkgutil.resolve_name(now)


def test_the_earlier_name_of_the_folder_of_ingests_holds_it():
    assert pkgutil.resolve_name("copernicus.project:INGESTS") == ingests_folder()


def test_earlier_names_are_no_part_of_the_package():
    found = distribution("airflow-provider-copernicus").read_text("top_level.txt")
    assert {*found.split()} == {
        "airflow_copernicus",
        "copernicus_dataspace",
        "copernicus_dataspace_emulator",
    }
