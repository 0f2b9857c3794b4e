"""The DAG that asks a person: its tasks, and that it asks once and waits without a worker."""

from datetime import timedelta

import pytest

from airflow_copernicus.dags.approvals import build_approval_dag
from airflow_copernicus.dags.reconcile import reconcile_dag


@pytest.fixture
def dag():
    return build_approval_dag(["file:///data"])


def test_one_question_leads_to_one_of_two_tasks(dag):
    approve = dag.get_task("approve")
    assert approve.upstream_task_ids == {"plan"}
    assert approve.downstream_task_ids == {"remove", "keep"}
    assert approve.options_mapping == {"Approve": "remove", "Reject": "keep"}
    assert not approve.is_mapped
    assert (approve.defaults, approve.response_timeout) == (["Reject"], timedelta(days=30))
    assert (dag.get_task("remove").is_approved, dag.get_task("keep").is_approved) == (True, False)


def test_what_was_removed_is_announced(dag):
    assert dag.get_task("announce").upstream_task_ids == {"remove"}


def test_as_many_questions_may_wait_as_there_are_ingests(dag):
    assert dag.max_active_runs >= 200


def test_the_night_starts_the_question():
    for task_id in ("request", "end_request"):
        task = reconcile_dag().get_task(f"ingest.{task_id}")
        assert task.trigger_dag_id == "sentinel2_approve_removals"
        assert (task.reset_dag_run, task.wait_for_completion) == (True, False)
