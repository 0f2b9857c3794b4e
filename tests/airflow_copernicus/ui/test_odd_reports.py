"""Reports that are damaged, forged or out of reach: each is said in words, and hides no other."""

import errno
import html
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_copernicus.runs import outputs
from copernicus_dataspace.errors import ReportError
from copernicus_dataspace.reports import html_page, validation, wording
from copernicus_dataspace.reports.text import as_text
from tests.airflow_copernicus.ui.test_report_pages import output, project, visit  # noqa: F401
from tests.support.sample_report import year

RIGHT = year(ingest="lake")
ROW = RIGHT["exceptions"][0]
LATER = {
    *("switched_off", "scrubbed_bytes", "by", "notes", "approval"),
    *("offline", "known_days", "not_counted"),
}
"""Fields that reports of earlier versions do not have."""
ODD = {
    "cut": "{",
    "empty": "",
    "list": "[]",
    "text": '"report"',
    "null": "null",
    "number": "7",
    "object": "{}",
    "nan": json.dumps({**RIGHT, "completeness": {"7": float("nan")}}),
    "infinite": json.dumps({**RIGHT, "completeness": {"7": float("inf")}}),
    "digits": json.dumps(RIGHT).replace('"requests": 4', f'"requests": {"9" * 5000}'),
    "deep": "[" * 100_000,
    "deep_inside": json.dumps(RIGHT).replace('"notes": []', f'"notes": {"[" * 100_000}'),
    "latin": json.dumps({**RIGHT, "area": "étang"}, ensure_ascii=False).encode("latin-1"),
    "utf16": json.dumps(RIGHT).encode("utf-16"),
    "half": json.dumps(RIGHT).replace('"area": "lake"', '"area": "\\ud800"'),
    "html": "<!doctype html><script>alert(1)</script>",
    "binary": bytes(range(256)),
}
WRONG = {
    "made": ["soon", 7, None, "0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", []],
    "last_day": ["2026-13-01", "0001-01-01", "9999-12-31", 20261121, None, "20261121"],
    "still_missing": ["1", "0", -1, 1.5, True, None, [], 10**400],
    "repaired": ["7", {}],
    "looked_at": ["30"],
    "scrubbed_bytes": ["1", 10**400],
    "dry_run": ["false", 0],
    "switched_off": [1],
    "completeness": [None, [], {"7": "99"}, {"30": []}, {"7": 1e308}, {"7": -1}, {"365": True}],
    "freshness": [None, {"7": 1}, {"7": {"median_h": "1", "p95_h": 1}}, {"7": {"median_h": 1}}],
    "days": [[], {"2026-11-20": []}, {"x": {"T36TXL": {}}}, {"x": {"T": {"expected": "1"}}}],
    "exceptions": [{}, [1], [{}], [{"action": 7}], "x", [None], [{**ROW, "day": None}]],
    "counts": [{"present": "1"}, [1], None],
    "notes": ["a note", [1], {}],
    "area": [{"type": "Point"}, 7],
    "ingest": [None, ["lake"]],
    "approval": [7, [], {"waiting": "1"}, {"waiting": 1}, {"path": 1}, {"where": 1}],
}


@pytest.fixture
def latest(output):  # noqa: F811
    """Write the latest report of the lake; that of the hills is as it should be."""
    for name in ("lake", "hills"):
        (output / "reports" / name).mkdir(parents=True)
    (output / "reports/hills/latest.json").write_text(json.dumps(year(ingest="hills")))

    def write(content):
        raw = content if isinstance(content, bytes) else content.encode()
        (output / "reports/lake/latest.json").write_bytes(raw)

    return write


def assert_said(browser, *words, status=502):
    """Check that the overview shows the others, and words where the page would be."""
    answer = browser.get("/reports")
    assert answer.status_code == 200
    assert all(one in html.unescape(answer.text) for one in words)
    assert "No available products of the 30 days checked are missing" in answer.text, "of the hills"
    assert "<script" not in answer.text
    page = browser.get("/reports/lake/latest")
    assert page.status_code == status
    assert page.headers["content-type"] == "text/plain; charset=utf-8"
    assert all(one in page.text for one in words)
    assert len(page.text) < 500


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_report_is_said_in_words(visit, latest, name):  # noqa: F811
    latest(ODD[name])
    browser = visit("lake", "hills")
    assert_said(browser, "it has 0 bytes" if name == "empty" else "it is not a report: ")
    if name != "object":
        assert browser.get("/reports/lake/latest.json").status_code == 502


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, them in WRONG.items() for v in them])
def test_a_field_that_cannot_be_meant_is_named(visit, latest, field, value):  # noqa: F811
    latest(json.dumps({**RIGHT, field: value}))
    assert_said(visit("lake", "hills"), field, "it is not a report: ")


@pytest.mark.parametrize("field", sorted(set(RIGHT) - LATER))
def test_a_field_that_is_not_there_is_named(visit, latest, field):  # noqa: F811
    latest(json.dumps({name: value for name, value in RIGHT.items() if name != field}))
    assert_said(visit("lake", "hills"), field, "it is not a report: ")


def test_an_early_report_is_shown(visit, latest):  # noqa: F811
    latest(json.dumps({name: value for name, value in RIGHT.items() if name not in LATER}))
    assert "<h1>lake" in visit("lake").get("/reports/lake/latest").text


def pipe(path):
    os.mkfifo(path)


def large(path):
    with path.open("wb") as file:
        file.truncate(validation.MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "no report"),
        (lambda path: path.symlink_to(path.name), "cannot be read"),
        (lambda path: path.symlink_to("nowhere"), "no report"),
        (pipe, "it has 0 bytes"),
        (lambda path: path.symlink_to("/dev/zero"), "it has 0 bytes"),
        (large, "bytes; expected 1 to 100,000,000"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(visit, latest, output, make, words):  # noqa: F811
    make(output / "reports/lake/latest.json")
    assert_said(visit("lake", "hills"), words, status=404 if words == "no report" else 502)


@pytest.mark.parametrize("uri", ["memory://x/y", "ftp://host/x", "s3://nobody@bucket/x"])
def test_an_output_out_of_reach_is_said_in_words(visit, project, output, latest, uri):  # noqa: F811
    (project / "lake.yaml").write_text(f"area: lake\noutput_uri: {uri}\n")
    (output / "ingests/lake.json").unlink()
    assert_said(visit("lake", "hills"), "The output of lake cannot be read")


def test_a_storage_that_fails_as_its_own_library_likes_is_named(
    visit,  # noqa: F811
    latest,
    monkeypatch,
    tmp_path,
):
    really, away = outputs.registered_ingests, (tmp_path / "away").as_uri()

    def fails(store):
        if store.uri("x").startswith(away):
            raise KeyError("bucket")
        return really(store)

    monkeypatch.setattr(outputs, "registered_ingests", fails)
    monkeypatch.setenv("AIRFLOW__COPERNICUS__ALLOWED_OUTPUTS", away)
    latest(json.dumps(RIGHT))
    browser = visit("lake", "sentinel2_reconcile")
    assert f"{away} cannot be read: KeyError" in browser.get("/reports").text
    assert "<h1>lake" in browser.get("/reports/lake/latest").text


def test_broken_ingests_have_rows(visit, project, output, latest):  # noqa: F811
    (project / "lake.yaml").write_text("area: leak")
    latest(json.dumps(RIGHT))
    browser = visit("lake", "sentinel2_reconcile")
    assert "The file of lake is invalid: lake.yaml: area:" in browser.get("/reports").text
    assert "<h1>lake" in browser.get("/reports/lake/latest").text
    (output / "ingests/lake.json").unlink()
    assert_said(visit("lake", "hills"), "The file of lake is invalid: lake.yaml: area:", status=404)
    (project / "lake.yaml").unlink()
    (project / "lake.yaml").symlink_to("nowhere")
    (project / "lake.yml").write_text("area: lake")
    (project / ".#lake.yaml").symlink_to("user@host.1")
    (project / "no id.yaml").write_text("area: lake")
    answer = visit("lake", "lake_2", "no_id", "hills").get("/reports")
    for words in (
        "is a broken link",
        "lake.yaml already has this DAG id",
        "is not a valid DAG id",
        "30 days",
    ):
        assert words in answer.text


def test_a_folder_of_ingests_that_cannot_be_read_is_named(visit, project, monkeypatch):  # noqa: F811
    really = os.scandir

    def fails(path):
        if path == project:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really(path)

    monkeypatch.setattr(os, "scandir", fails)
    browser = visit("lake")
    for path in ("/reports", "/reports/lake", "/reports/lake/latest"):
        answer = browser.get(path)
        assert answer.status_code == 502
        assert "ingests cannot be read: Permission denied" in answer.text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([RIGHT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(RIGHT)), anything, min_size=1, max_size=3))
def test_a_report_is_refused_or_can_be_shown(changes):
    try:
        report = validation.read_report(json.dumps({**RIGHT, **changes}).encode())
    except ReportError:
        return
    for said in (html_page.html(report), as_text(report)):
        said.encode()
    html_page.overview([{"ingest": "lake", **wording.headline(report)}]).encode()
