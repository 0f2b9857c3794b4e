"""The DAG that asks a person: its tasks, and that it asks once and waits without a worker."""

from datetime import timedelta

import pytest

from airflow_copernicus.dags.approvals import build_approval_dag
from airflow_copernicus.dags.reconcile import build_reconcile_dag


@pytest.fixture
def folder(tmp_path):
    for name in ("hills", "lake"):
        (tmp_path / f"{name}.yaml").write_text("area: lake\n")
    return tmp_path


def test_one_question_leads_to_one_of_two_tasks(folder):
    dag = build_approval_dag(folder)
    approve = dag.get_task("approve")
    assert approve.upstream_task_ids == {"plan"}
    assert approve.downstream_task_ids == {"remove", "keep"}
    assert approve.options_mapping == {"Approve": "remove", "Reject": "keep"}
    assert not approve.is_mapped
    assert (approve.defaults, approve.response_timeout) == (["Reject"], timedelta(days=30))
    assert (dag.get_task("remove").is_approved, dag.get_task("keep").is_approved) == (True, False)


def test_downstream_of_every_ingest_can_be_told(folder):
    dag = build_approval_dag(folder)
    for name in ("hills", "lake"):
        (asset,) = dag.get_task(f"downstream.{name}.announce").outlets
        assert asset.name == f"sentinel2_day_{name}"
        days = dag.get_task(f"downstream.{name}.changed_days").python_callable
        settled = {"ingest": "lake", "changed": [{"days": ["2024-08-01"]}]}
        assert days(settled) == (settled["changed"] if name == "lake" else [])
    assert dag.get_task("remove").downstream_task_ids >= {
        "downstream.hills.changed_days",
        "downstream.lake.changed_days",
    }


@pytest.mark.parametrize(
    "name", ["plan", "approve", "remove", "keep", "downstream", "a.b", "n" * 200]
)
def test_an_ingest_may_have_any_name(tmp_path, name):
    """Its tasks must not have the names of the DAG's own."""
    (tmp_path / f"{name}.yaml").write_text("area: lake\n")
    ids = set(build_approval_dag(tmp_path).task_ids)
    group = f"downstream.{name.replace('.', '-')}"
    assert ids == {
        *("plan", "approve", "remove", "keep"),
        *(f"{group}.changed_days", f"{group}.announce"),
    }


def test_as_many_questions_may_wait_as_there_are_ingests(folder):
    assert build_approval_dag(folder).max_active_runs > 2


def test_a_folder_without_ingests_has_nothing_to_ask(tmp_path):
    assert set(build_approval_dag(tmp_path).task_ids) == {"plan", "approve", "remove", "keep"}


def test_the_night_starts_the_question(folder):
    ask = build_reconcile_dag(folder).get_task("lake.ask")
    assert ask.partial_kwargs["trigger_dag_id"] == "sentinel2_approve_removals"
    assert ask.partial_kwargs["reset_dag_run"] is True
    assert not ask.partial_kwargs.get("wait_for_completion")
