"""What the alerts say; tests/e2e/examples/test_observed.py has them sent by a real Airflow."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
import yaml
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from airflow_copernicus.dags import ingest_dags
from airflow_copernicus.notifications import run_report, webhook
from airflow_copernicus.notifications.webhook import FailedDaysNotifier, late_after
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support import webhook_server

DAG_ID = "sentinel2_daily"
SECRET = "T000/B000/hush-hush"


@pytest.fixture
def hook(connect, monkeypatch):
    monkeypatch.setattr(webhook, "RETRY_DELAY_S", 0.0)
    with webhook_server.listening() as hook:
        connect({"conn_type": "http", "host": hook.address, "password": SECRET}, webhook.CONN_ID)
        yield hook


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Where the ingest of the tests puts its files: the ingest file says so, and no run."""
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(tmp_path))
    settings = {"area": "lake", "output_uri": (tmp_path / "output").as_uri()}
    (tmp_path / f"{DAG_ID}.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "output"


def as_json(dag_run):
    """Return a run as a missed deadline tells of it."""
    facts = {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in vars(dag_run).items()
    }
    return {**facts, "dag_run_id": facts.pop("run_id")}


def test_a_failed_day_is_told_with_reasons(connected, ingest, output, hook):
    connected.add(lake_product())
    bad = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z", seed=7))
    connected.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    context = make_context()
    ingest(context)
    FailedDaysNotifier()(context)
    ((path, message),) = hook.posts
    assert path == f"/hook/{SECRET}"
    name, summary = bad.name.removesuffix(".SAFE"), "scheduled__2024-08-01/summary.json"
    first, product, where, run = message["text"].splitlines()
    assert first == f"{DAG_ID} failed for 2024-08-01. 1 of 2 products delivered, 1 missing."
    assert product.startswith(f"- {name}: AccessDeniedError: ")
    assert "HTTP 403" in product
    assert where == f"Summary: {(output / 'runs' / DAG_ID / summary).as_uri()}"
    assert run.endswith(f"/dags/{DAG_ID}/runs/scheduled__2024-08-01")
    assert message["days"] == ["2024-08-01"]
    assert [one["name"] for one in message["missing"]] == [name]
    assert SECRET not in str(message)


def test_a_late_day_is_told_while_it_runs(connected, ingest, output, hook):
    connected.add(lake_product())
    context = make_context()
    ingest(context)
    (output / "runs" / DAG_ID / "scheduled__2024-08-01/search/delivered/0000.json").unlink()
    late = {
        "dag_run": as_json(context["dag_run"]),
        "deadline": {"id": "1", "deadline_time": "2024-08-03T12:00:00+00:00"},
    }
    callback = late_after(timedelta(hours=12)).callback
    asyncio.run(webhook.tell_late(**callback.kwargs, context=late))
    (text,) = hook.texts()
    assert text.startswith(
        f"{DAG_ID} is late for 2024-08-01: not complete by 2024-08-03T12:00:00+00:00. 0 of 1 "
    )
    assert ": not downloaded\n" in text


@pytest.mark.parametrize(
    ("context", "period", "note"),
    [
        (make_context(), "2024-08-01", "search has no result"),
        (
            {"dag": DAG(DAG_ID, schedule=None), "run_id": "manual__x"},
            "days unknown",
            "search has no result",
        ),
        (
            {"dag": DAG("elsewhere", schedule=None), "run_id": "manual__x"},
            "days unknown",
            "search has no result",
        ),
        (
            {"dag": DAG("broken", schedule=None), "run_id": "manual__x"},
            "days unknown",
            "ConfigurationError: broken.yaml: bands",
        ),
    ],
)
def test_an_alert_says_what_it_can(output, hook, context, period, note):
    (output.parent / "broken.yaml").write_text("bands: 7")
    FailedDaysNotifier()(context)
    (text,) = hook.texts()
    assert f"failed for {period}." in text
    assert note in text


def test_an_unusable_row_is_told_with_what_is_wrong_with_it(connected, ingest, output, hook):
    odd, away = connected.add(lake_product()), connected.add(lake_product(online=False, seed=7))
    connected.rewrite(odd.id, lambda row: {**row, "ContentLength": "N/A"})
    context = make_context()
    ran = ingest(context, product_ids=[odd.id, away.id])
    FailedDaysNotifier()(context)
    ((_, message),) = hook.posts
    (row,) = ran.summary["unusable"]
    assert {one["name"]: one["reason"] for one in message["missing"]} == {
        away.name.removesuffix(".SAFE"): "offline",
        row["label"]: row["why"],
    }


def test_blank_lines_of_the_form_are_no_products(output, hook):
    run = make_context(conf={"product_ids": ["", " "], "first_day": ""})
    assert run_report.report(run)["days"] == ["2024-08-01"]


def test_many_missing_products_are_counted(connected, ingest, output, hook, monkeypatch):
    monkeypatch.setattr(run_report, "MAX_LISTED", 1)
    connected.faults.add(Fault(service="download", status=403, times=None))
    for hour in ("08", "10", "12"):
        connected.add(lake_product(sensed=f"2024-08-01T{hour}:36:01.024Z", scale=0.003))
    context = make_context()
    ingest(context)
    FailedDaysNotifier()(context)
    (text,) = hook.texts()
    assert "3 missing." in text
    assert "- and 2 more\n" in text


def test_one_notifier_serves_many_runs_and_templates(output, hook):
    notifier = FailedDaysNotifier(text="{{ alert.run_id }} of {{ alert.dag_id }}")
    for run_id in ("a", "b"):
        notifier(make_context(run_id=run_id))
    assert hook.texts() == [f"a of {DAG_ID}", f"b of {DAG_ID}"]


def test_a_webhook_that_stumbles_is_asked_again(hook):
    hook.statuses = [503, 503]
    webhook.post(webhook.CONN_ID, {"text": "x"})
    assert hook.texts() == ["x"] * 3


def test_a_webhook_that_refuses_is_no_secret_but_its_address_is(hook):
    hook.statuses = [404] * 3
    with pytest.raises(
        AirflowException, match=r"'copernicus_alerts' did not accept.*HTTP 404"
    ) as caught:
        webhook.post(webhook.CONN_ID, {"text": "x"})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_webhook_that_is_away_is_told_without_its_address(connect, monkeypatch):
    monkeypatch.setattr(webhook, "RETRY_DELAY_S", 0.0)
    connect(
        {"conn_type": "http", "host": "http://127.0.0.1:9", "password": SECRET}, webhook.CONN_ID
    )
    with pytest.raises(AirflowException, match="ConnectionError") as caught:
        webhook.post(webhook.CONN_ID, {"text": "x"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        ({"host": "https://h/a/", "password": "/t"}, "https://h/a/t"),
        ({"host": "h", "schema": "http", "port": 81}, "http://h:81"),
        ({"host": "h/a"}, "https://h/a"),
    ],
)
def test_addresses(parts, address):
    empty = {"host": None, "schema": None, "port": None, "password": None}
    assert webhook._webhook_url(SimpleNamespace(**{**empty, **parts})) == address


def test_every_dag_takes_alerts(tmp_path):
    (tmp_path / "good.yaml").write_text("area: lake")
    (tmp_path / "bad.yaml").write_text("bands: 7")
    given = {
        "on_failure_callback": FailedDaysNotifier(),
        "deadline": late_after(timedelta(hours=1)),
    }
    for one in ingest_dags(tmp_path, **given).values():
        assert one.has_on_failure_callback
        (deadline,) = one.deadline
        assert deadline.callback.path == "airflow_copernicus.notifications.webhook.tell_late"
