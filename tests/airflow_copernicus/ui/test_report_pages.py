"""The pages of reports: who may see which, and that nothing else is shown."""

import json

import pytest
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from airflow_copernicus import links
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.ingest_registry import register
from airflow_copernicus.ui import paused_dags, plugin_views, report_pages
from copernicus_dataspace.reports import html_page
from tests.support.airflow.registered import registered
from tests.support.sample_report import year

NAME = "2026-11-23T030000Z"


class Rights:
    """An auth manager by which a user sees some DAGs."""

    def __init__(self, *seen):
        self._seen = set(seen)

    def is_authorized_dag(self, *, method, details, **_):
        return method == "GET" and details.id in self._seen

    def get_authorized_dag_ids(self, **_):
        return self._seen


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


@pytest.fixture
def project(monkeypatch, tmp_path, output):
    """Two ingests that have run and write to one place, and one whose file is broken."""
    folder = tmp_path / "ingests"
    folder.mkdir()
    for name in ("lake", "hills"):
        path = folder / f"{name}.yaml"
        path.write_text(f"area: lake\noutput_uri: {output.as_uri()}\n")
        registered(path)
    (folder / "broken.yaml").write_text("colour: blue\n")
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(folder))
    return folder


@pytest.fixture(autouse=True)
def database(monkeypatch):
    """Put a database without tables in the place of Airflow's.

    Return what keeps in it which DAGs there are, and whether they are paused.
    """
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    monkeypatch.setattr(paused_dags, "create_session", lambda: Session(engine))

    def keep(**paused):
        table = DagModel.__table__
        table.create(engine)
        with Session(engine) as session:
            for dag_id, is_paused in paused.items():
                facts = {"dag_id": dag_id, "is_paused": is_paused, "is_stale": False}
                lacking = {
                    column.name: 0
                    for column in table.columns
                    if not (column.nullable or column.default or column.server_default)
                }
                session.execute(table.insert().values({**lacking, **facts}))
            session.commit()

    return keep


@pytest.fixture
def visit(project, monkeypatch):
    """Return a browser of a user who may see some DAGs."""

    def browser(*seen):
        rights = Rights(*seen)
        monkeypatch.setattr(report_pages, "get_auth_manager", lambda: rights)
        monkeypatch.setattr(security, "get_auth_manager", lambda: rights)
        monkeypatch.setattr(security.DagModel, "get_team_name", lambda _: None)
        overrides = report_pages.app.dependency_overrides
        monkeypatch.setitem(overrides, security.get_user, lambda: "someone")
        return TestClient(report_pages.app)

    return browser


@pytest.fixture
def reported(output):
    folder = output / "reports" / "lake"
    folder.mkdir(parents=True)
    for name in ("latest", NAME):
        (folder / f"{name}.html").write_text("<script>alert(1)</script>")
        (folder / f"{name}.json").write_text(json.dumps(year(ingest="lake")))
    (output / "secret.html").write_text("secret")
    return folder


@pytest.mark.parametrize(
    "path", ["/reports", "/reports/lake", "/reports/lake/latest", f"/reports/lake/{NAME}.json"]
)
def test_nothing_is_shown_without_a_login(project, reported, path):
    answer = TestClient(report_pages.app).get(path, follow_redirects=False)
    assert answer.status_code == 401
    assert "lake" not in answer.text


@pytest.mark.parametrize("path", ["/reports/lake", "/reports/lake/latest", "/reports/nowhere"])
def test_the_reports_of_a_dag_are_for_those_who_may_see_it(visit, reported, path):
    assert visit("hills").get(path).status_code == 403


def test_latest_report_is_shown_where_its_links_hold(visit, reported, database):
    database(sentinel2_reconcile=False, sentinel2_approve_removals=False)
    browser = visit("lake")
    answer = browser.get("/reports/lake")
    assert answer.status_code == 200
    assert answer.url.path == "/reports/lake/latest"
    assert "<h1>lake" in answer.text
    assert answer.text == html_page.html(year(ingest="lake"))
    assert browser.get(f"/reports/lake/{NAME}.json").json() == year(ingest="lake")


@pytest.mark.parametrize(
    "path",
    ["", "/lake/latest", f"/lake/{NAME}", f"/lake/{NAME}.html", f"/lake/{NAME}.json", "/x/y"],
)
def test_nothing_shown_can_act_or_be_framed_by_any_but_the_ui(visit, reported, path):
    answer = visit("lake", "x").get(f"/reports{path}")
    policy = [one.strip() for one in answer.headers["content-security-policy"].split(";")]
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"} <= set(policy)
    assert "sandbox allow-same-origin" in policy, "scripts, forms, windows and downloads are off"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "script" not in answer.text
    kinds = {"/x/y": "text/plain", f"/lake/{NAME}.json": "application/json"}
    kind = answer.headers["content-type"].removesuffix("; charset=utf-8")
    assert kind == kinds.get(path, "text/html")
    if path.endswith(".json"):
        assert answer.headers["content-disposition"] == f'inline; filename="{NAME}.json"'


def test_a_page_that_others_have_put_there_is_not_shown(visit, reported):
    (reported / f"{NAME}.json").unlink()
    for name in (NAME, f"{NAME}.html"):
        answer = visit("lake").get(f"/reports/lake/{name}")
        assert answer.status_code == 404
        assert answer.text == f"lake has no report {NAME}.json.\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/reports/nowhere", "There is no ingest 'nowhere'"),
        ("/reports/broken", '"colour" is not a setting; known settings:'),
        ("/reports/hills/latest", "hills has no report latest.json."),
        ("/reports/lake/2026-11-24T030000Z.json", "lake has no report 2026-11-24T030000Z.json."),
        ("/reports/lake/yesterday", "'yesterday' is not the name of a report"),
        (f"/reports/lake/{NAME}.txt", "is not the name of a report"),
        (f"/reports/lake/{NAME}%0A", "is not the name of a report"),
        ("/reports/..%2f..%2fsecret", "Not Found"),
        ("/reports/lake/..%2f..%2fsecret.html", "Not Found"),
        ("/reports/lake%2f..%2f..%2fsecret/latest", "Not Found"),
        ("/reports/..%5c..%5csecret/latest", "There is no ingest"),
        ("/reports/lake/%2e%2e%2fsecret", "Not Found"),
        ("/reports/lake.yaml", "There is no ingest"),
    ],
)
def test_what_is_not_there_is_refused_in_words(visit, reported, path, words):
    everything = visit("lake", "hills", "broken", "nowhere", "lake.yaml", "..\\..\\secret", "..")
    answer = everything.get(path)
    assert answer.status_code == 404
    assert words in answer.text


def test_overview_names_the_ingests_one_may_see(visit, reported, project, output):
    (output / "reports/lake/latest.json").write_text(json.dumps(year(ingest="lake")))
    answer = visit("lake", "broken", "other").get("/reports")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'href="reports/lake/latest"' in answer.text
    assert "No available products of the 30 days checked are missing" in answer.text
    assert "is not a setting" in answer.text
    assert "hills" not in answer.text
    assert "other" not in answer.text


OFF = "sentinel2_reconcile is paused"
BOTH = "Unpause sentinel2_reconcile and sentinel2_approve_removals."


@pytest.mark.parametrize("path", ["/reports", "/reports/lake/latest", "/reports/lake/latest.html"])
@pytest.mark.parametrize(
    ("paused", "words"),
    [
        ({"sentinel2_reconcile": True, "sentinel2_approve_removals": True}, BOTH),
        ({}, BOTH),
        (
            {"sentinel2_reconcile": True, "sentinel2_approve_removals": False},
            "Unpause sentinel2_reconcile.",
        ),
    ],
    ids=["both off", "none there", "one off"],
)
def test_pages_are_red_while_nobody_looks_after_the_archive(
    visit, reported, database, path, paused, words
):
    database(**paused)
    text = visit("lake").get(path).text
    assert 'role="alert"' in text
    assert OFF in text
    assert words in text


@pytest.mark.parametrize("path", ["/reports", "/reports/lake/latest"])
def test_they_are_not_once_both_are_on(visit, reported, database, path):
    database(sentinel2_reconcile=False, sentinel2_approve_removals=False)
    text = visit("lake").get(path).text
    assert "alert" not in text
    assert "switched o" not in text


def test_an_earlier_report_is_shown_as_it_was(visit, reported, database):
    database()
    assert visit("lake").get(f"/reports/lake/{NAME}").text == html_page.html(year(ingest="lake"))


def test_questions_that_nobody_is_asked_are_told_of(visit, reported, database):
    database(sentinel2_reconcile=False, sentinel2_approve_removals=True)
    text = visit("lake").get("/reports").text
    assert "alert" not in text
    assert "sentinel2_approve_removals is paused" in text


def test_a_database_that_cannot_be_read_hides_no_report(visit, reported):
    browser = visit("lake")
    assert "It is unknown whether sentinel2_reconcile" in browser.get("/reports").text
    assert "<h1>lake" in browser.get("/reports/lake/latest").text


@pytest.mark.parametrize("uri", ["s3://nobody@bucket/x", "ftp://x/y"])
def test_an_output_that_cannot_be_read_is_named_and_hides_no_other(
    visit, project, reported, output, uri
):
    (project / "hills.yaml").write_text(f"area: lake\noutput_uri: {uri}\n")
    (output / "ingests/hills.json").unlink()
    answer = visit("hills").get("/reports/hills/latest")
    assert answer.status_code == 502
    assert "The output of hills cannot be read" in answer.text
    overview = visit("lake", "hills", "sentinel2_reconcile").get("/reports").text
    assert "The output of hills cannot be read" in overview
    assert f"{uri} cannot be read: " in overview
    assert f"{uri} cannot be read: " not in visit("lake").get("/reports").text
    assert "No available products of the 30 days checked are missing" in overview
    assert "<h1>lake" in visit("lake").get("/reports/lake/latest").text


def test_an_output_of_ingests_without_files_is_named_if_it_cannot_be_read(
    visit, reported, monkeypatch
):
    away = "s3://nobody@bucket/x"
    monkeypatch.setenv("AIRFLOW__COPERNICUS__ALLOWED_OUTPUTS", away)
    browser = visit("lake", "coast", "sentinel2_reconcile")
    answer = browser.get("/reports/coast/latest")
    assert answer.status_code == 502
    for text in (answer.text, browser.get("/reports").text):
        assert f"{away} cannot be read: " in text
    assert "hills" not in answer.text
    assert "<h1>lake" in browser.get("/reports/lake/latest").text


@pytest.fixture
def coast(output):
    """An ingest that a DAG file declares in Python, and that has run."""
    settings = {"tiles": ["T36TXL"], "output_uri": output.as_uri()}
    register(open_store(output.as_uri()), Ingest.of("coast", settings, None), None)
    (output / "reports/coast").mkdir(parents=True)
    (output / "reports/coast/latest.json").write_text(json.dumps(year(ingest="coast")))


def test_an_ingest_without_a_file_has_a_row_and_a_page(visit, project, coast):
    browser = visit("coast")
    overview = browser.get("/reports").text
    assert 'href="reports/coast/latest"' in overview
    assert "No available products of the 30 days checked are missing" in overview
    assert "<h1>coast" in browser.get("/reports/coast").text
    assert browser.get("/reports/coast/latest.json").json() == year(ingest="coast")
    assert "coast" not in visit("lake").get("/reports").text
    assert visit("lake").get("/reports/coast/latest").status_code == 403


def test_without_ingest_files_the_registered_ingests_are_shown(
    visit, reported, output, monkeypatch, tmp_path
):
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(tmp_path / "nowhere"))
    monkeypatch.setenv("AIRFLOW__COPERNICUS__OUTPUT_URI", output.as_uri())
    browser = visit("lake")
    assert 'href="reports/lake/latest"' in browser.get("/reports").text
    assert "<h1>lake" in browser.get("/reports/lake/latest").text


def test_pages_are_found_where_the_menu_and_the_links_lead():
    browser = TestClient(plugin_views.FASTAPI_APP["app"])
    prefix = plugin_views.FASTAPI_APP["url_prefix"]
    assert browser.get(links.REPORTS_PATH.removeprefix(prefix)).status_code == 401


@pytest.mark.parametrize(
    ("base", "menu"),
    [
        ("", "/copernicus/reports"),
        ("http://airflow.example", "/copernicus/reports"),
        ("https://example.org/airflow/", "/airflow/copernicus/reports"),
    ],
)
def test_addresses_follow_the_servers_own(monkeypatch, base, menu):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    settled = {"ingest": "lake", "report_name": NAME}
    monkeypatch.setattr(links.BaseXCom, "get_value", lambda **_: settled)
    assert plugin_views.reports_view()["href"] == menu
    link = links.ArchiveReportLink().get_link(None, ti_key=None)
    assert link == f"{base.rstrip('/')}/copernicus/reports/lake/{NAME}"
    monkeypatch.setattr(links.BaseXCom, "get_value", lambda **_: None)
    link = links.ArchiveReportLink().get_link(None, ti_key=None)
    assert link == f"{base.rstrip('/')}/copernicus/reports"
