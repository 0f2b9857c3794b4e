"""What the audit must never do: lose what is still listed, or let one product stop the others."""

from datetime import timedelta

import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from copernicus.operators import CopernicusAuditOperator
from copernicus.reconcile import build_reconcile_dag
from dataspace.errors import ProductNotFoundError
from tests.copernicus.conftest import lake_product, make_context
from tests.copernicus.test_reconcile import DAY, INGEST, Ingests, held, stem

_OLD_DAY = DAY - timedelta(days=60)


@pytest.fixture
def ingests(tmp_path, ingest):
    folder = tmp_path / "ingests"
    folder.mkdir()
    made = Ingests(folder, tmp_path / "output", ingest)
    made.write()
    return made


def _survey_again(connected, ingests):
    """Look at the whole archive a week later, by what was published and deleted since."""
    connected.now = f"{DAY + timedelta(days=8)}T00:00:00Z"
    settled = ingests.reconcile(DAY + timedelta(days=7))
    assert settled["report"]["by"] == "publication"
    return settled


def test_a_duplicate_that_is_deleted_does_not_take_its_twin_along(connected, ingest, ingests):
    twins = [
        connected.add(
            lake_product(
                sensed=f"{_OLD_DAY}T08:36:01.024Z",
                generation=f"{_OLD_DAY}T11:00:00Z",
                published=f"{_OLD_DAY}T1{hour}:00:00Z",
                seed=hour,
            )
        )
        for hour in (2, 3)
    ]
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{_OLD_DAY}"))
    ingests.reconcile()
    connected.now = f"{DAY + timedelta(days=3)}T00:00:00Z"
    connected.remove(twins[1].id, "Duplicated product")
    _survey_again(connected, ingests)
    assert held(ingests.output) == [stem(twins[0])]


def test_an_older_version_comes_back_where_the_newest_is_deleted(connected, ingest, ingests):
    sensed = f"{_OLD_DAY}T08:36:01.024Z"
    older = connected.add(lake_product(sensed=sensed, baseline="05.10"))
    newest = connected.add(lake_product(sensed=sensed))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{_OLD_DAY}"))
    ingests.reconcile()
    connected.now = f"{DAY + timedelta(days=3)}T00:00:00Z"
    connected.remove(newest.id, "Corrupted product")
    _survey_again(connected, ingests)
    assert held(ingests.output) == [stem(older)]


def test_one_product_that_vanished_does_not_keep_the_others_from_repair(connected, ingest, ingests):
    vanishing = connected.add(lake_product())
    other = connected.add(lake_product(sensed="2024-07-20T08:36:01.024Z"))
    audit = CopernicusAuditOperator(task_id="audit", ingest_file=ingests.folder / f"{INGEST}.yaml")
    (repair,) = audit.execute(make_context(f"{DAY}", dag_id="sentinel2_reconcile"))
    connected.remove(vanishing.id)  # hours later, as today's work goes first
    run = make_context(run_id=repair["trigger_run_id"], run_type="manual")
    try:
        ingest(run, **repair["conf"])
    except ProductNotFoundError as error:
        pytest.fail(f"the whole repair failed: {error}")
    assert held(ingests.output) == [stem(other)]


def test_a_repair_run_that_failed_is_not_run_again(ingests):
    mapped = build_reconcile_dag(ingests.folder).get_task(f"{INGEST}.repair")
    names = ("trigger_dag_id", "allowed_states", "failed_states", "reset_dag_run", "deferrable")
    given = {name: mapped.partial_kwargs[name] for name in names if name in mapped.partial_kwargs}
    repair = TriggerDagRunOperator(task_id="repair", trigger_run_id="repair__1", **given)
    repair.execute_complete({}, ("", {"run_ids": ["repair__1"], "repair__1": "failed"}))
