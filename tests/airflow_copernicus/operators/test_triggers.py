"""Runs that a night has planned: each is triggered once, one after the other, and waited for."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException, TaskDeferred

from airflow_copernicus.operators import CopernicusRepairOperator, CopernicusTriggerOperator

INGEST = {"dag_id": "lake", "output_uri": "file:///data"}
RUNS = [{"trigger_run_id": f"repair__{number}", "conf": {"number": number}} for number in range(3)]


class Airflow:
    """The runs there are, by id with their states."""

    def __init__(self, **states):
        self.states = states

    def get_dr_count(self, dag_id, run_ids, states=None):
        assert dag_id == "lake"
        found = [self.states[one] for one in run_ids if one in self.states]
        return sum(state in (states or [state]) for state in found)

    def xcom_push(self, key, value):
        """Take the link to the triggered run."""


def repair(planned, airflow, *, resumed=False):
    task = CopernicusRepairOperator(task_id="repair", ingest=INGEST, planned=planned)
    context = {"ti": airflow}
    return task.execute_complete(context, None) if resumed else task.execute(context)


def triggered(number):
    return pytest.raises(DagRunTriggerException, check=lambda error: _is_run(error, number))


def _is_run(error, number):
    assert error.trigger_dag_id == "lake"
    assert (error.dag_run_id, error.conf) == (f"repair__{number}", {"number": number})
    assert (error.wait_for_completion, error.deferrable, error.failed_states) == (True, True, [])
    return True


@pytest.mark.parametrize("resumed", [True, False])
def test_each_run_begins_when_the_one_before_has_ended(resumed):
    airflow = Airflow()
    for number, state in enumerate(("success", "failed", "success")):
        with triggered(number):
            repair(RUNS, airflow, resumed=resumed)
        airflow.states[f"repair__{number}"] = state
    assert repair(RUNS, airflow, resumed=resumed) is None


def test_a_retry_waits_for_the_run_that_is_under_way():
    with pytest.raises(TaskDeferred) as waits:
        repair(RUNS, Airflow(repair__0="success", repair__1="running"))
    assert waits.value.method_name == "execute_complete"
    assert (waits.value.trigger.dag_id, waits.value.trigger.run_ids) == ("lake", ["repair__1"])
    assert {*waits.value.trigger.states} == {"success", "failed"}


def test_where_nothing_is_planned_nothing_is_triggered():
    with pytest.raises(AirflowSkipException):
        repair([], Airflow())
    request = CopernicusTriggerOperator(
        task_id="request", ingest=INGEST, planned=None, trigger_dag_id="approve"
    )
    with pytest.raises(AirflowSkipException):
        request.execute({"ti": SimpleNamespace()})


def test_a_request_is_triggered_and_not_waited_for():
    planned = {"trigger_run_id": "lake__1", "conf": {"ingest": "lake"}}
    request = CopernicusTriggerOperator(
        task_id="request", ingest=INGEST, planned=planned, trigger_dag_id="approve"
    )
    with pytest.raises(DagRunTriggerException) as raised:
        request.execute({"ti": Airflow()})
    error = raised.value
    assert (error.trigger_dag_id, error.dag_run_id, error.conf) == (
        "approve",
        "lake__1",
        {"ingest": "lake"},
    )
    assert not error.wait_for_completion
