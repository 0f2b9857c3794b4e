"""The reports of an ingest, opened in Airflow's own UI; from a disk and from object storage.

With UPDATE_IMAGES=1 the picture of the documentation is made anew.
"""

import json
import os
import shutil

import pytest
import requests
from moto.server import ThreadedMotoServer
from playwright.sync_api import expect

from copernicus_dataspace.reports.html_page import html
from copernicus_dataspace.reports.wording import report_name
from dev_airflow.airflow_stack import PROJECT, Stack
from tests.e2e.conftest import DAG
from tests.support.airflow import browser
from tests.support.airflow.bucket import Bucket
from tests.support.airflow.watch import link_of
from tests.support.sample_report import year

pytestmark = pytest.mark.skipif(not browser.CHROMIUM, reason="not installed: chromium")

REPORT = year()
FILES = {
    f"reports/{DAG}/{name}{ending}": content
    for name in ("latest", report_name(REPORT))
    for ending, content in ((".html", html(REPORT)), (".json", json.dumps(REPORT)))
}

SETTLED = "settled"
SETTLE = f"""
from airflow.sdk import DAG, BaseOperator
from airflow_copernicus.links import ArchiveReportLink

class Settle(BaseOperator):
    operator_extra_links = (ArchiveReportLink(),)

    def execute(self, context):
        said = {{"ingest": {DAG!r}, "report_name": {report_name(REPORT)!r}}}
        return said if self.task_id == "makes_one" else None

with DAG({SETTLED!r}, schedule=None):
    Settle(task_id="makes_one")
    Settle(task_id="makes_none")
"""
"""A task that makes a report, and one that makes none."""


@pytest.fixture(scope="module", params=["disk", pytest.param("bucket", marks=pytest.mark.long)])
def airflow(request, tmp_path_factory):
    """An Airflow whose default output holds a report; the bucket's keys are in its database."""
    home = tmp_path_factory.mktemp("reports")
    if request.param == "disk":
        for path, content in FILES.items():
            (home / "output" / path).parent.mkdir(parents=True, exist_ok=True)
            (home / "output" / path).write_text(content)
        with _started(home, (home / "output").as_uri()) as airflow:
            yield airflow
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    bucket = Bucket(f"http://{host}:{port}")
    for path, content in FILES.items():
        bucket.put(path, content)
    with _started(home, bucket.uri) as airflow:
        extra = json.dumps(bucket.connection["extra"])
        connection = {**bucket.connection, "connection_id": "storage", "extra": extra}
        airflow.create("connections", connection)
        yield airflow
    server.stop()


def _started(home, output_uri):
    dags = shutil.copytree(PROJECT / "dags", home / "dags")
    (dags / "settled.py").write_text(SETTLE)
    return Stack(home / "home", dags_folder=dags, env={"SENTINEL2_OUTPUT_URI": output_uri})


def test_a_report_is_found_through_the_menu(airflow, tmp_path):
    airflow.unpause(DAG)
    with browser.opened(airflow) as page:
        page.get_by_role("button", name="Browse").click()
        page.get_by_role("menuitem", name="Sentinel-2 archive").click()
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("alert")).to_contain_text("sentinel2_reconcile is paused")
        row = frame.get_by_role("row", name=DAG)
        expect(row).to_contain_text(
            "No available products of the 30 days checked are missing, and 1 product is "
            "offline; 7 products repaired."
        )
        row.get_by_role("link", name=DAG).click()
        expect(frame.get_by_role("heading", name=DAG, exact=True)).to_be_visible()
        expect(frame.get_by_role("img")).to_have_count(2)
        frame.get_by_role("link", name=f"{report_name(REPORT)}.json").wait_for()
        shown = page.goto(f"{airflow.url}/copernicus/reports/{DAG}")
        assert shown.status == 200
        _keep_picture(page, tmp_path)


def test_a_report_is_for_those_who_are_logged_in(airflow):
    headers = _login(airflow)
    for path in ("", f"/{DAG}", f"/{DAG}/latest", f"/{DAG}/latest.json"):
        url = f"{airflow.url}/copernicus/reports{path}"
        refused = requests.get(url, timeout=30)
        assert refused.status_code == 401
        assert DAG not in refused.text
        wrong = requests.get(url, headers={"Authorization": "Bearer made.up.token"}, timeout=30)
        assert wrong.status_code == 403
        shown = requests.get(url, headers=headers, timeout=30)
        assert shown.status_code == 200
        assert DAG in shown.text


def test_a_task_leads_to_the_report_it_made(airflow):
    airflow.unpause(SETTLED)
    body = {"dag_run_id": "once", "logical_date": None}
    airflow.create(f"dags/{SETTLED}/dagRuns", body)
    assert airflow.wait_for_run(SETTLED, "once") == "success"
    tasks = f"dags/{SETTLED}/dagRuns/once/taskInstances"
    reports = f"{airflow.url}/copernicus/reports"
    link = link_of(airflow, f"{tasks}/makes_one", "Report")
    assert link == f"{reports}/{DAG}/{report_name(REPORT)}"
    assert requests.get(link, headers=_login(airflow), timeout=30).text == html(REPORT)
    assert link_of(airflow, f"{tasks}/makes_none", "Report") == reports


def test_the_list_is_red_until_the_archive_is_looked_after(airflow):
    page, headers = f"{airflow.url}/copernicus/reports", _login(airflow)
    assert 'role="alert"' in requests.get(page, headers=headers, timeout=30).text
    for dag_id in ("sentinel2_reconcile", "sentinel2_approve_removals"):
        airflow.unpause(dag_id)
    assert 'role="alert"' not in requests.get(page, headers=headers, timeout=30).text


def _login(airflow):
    who = {"username": "admin", "password": airflow.password}
    answer = requests.post(f"{airflow.url}/auth/token", json=who, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _keep_picture(page, tmp_path):
    """Keep what is shown, in the documentation only where that is asked for."""
    docs = PROJECT / "docs" / "images"
    path = (docs if os.environ.get("UPDATE_IMAGES") else tmp_path) / "report.png"
    page.set_viewport_size({"width": 1100, "height": 1000})
    page.screenshot(path=path)
    assert path.stat().st_size < 200_000
