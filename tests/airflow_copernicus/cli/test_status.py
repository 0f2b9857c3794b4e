"""`airflow copernicus status`: the archive page as a table."""

import json

import pytest
from airflow.cli import cli_parser

from copernicus_dataspace.reports.html_page import html
from tests.support.sample_report import year


@pytest.fixture
def status(monkeypatch, capsys, tmp_path):
    """Return what runs the command in an installation with three ingest files."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")  # which the command changes
    ingests = tmp_path / "ingests"
    ingests.mkdir()
    good = f"tiles: [T36TXL]\noutput_uri: {(tmp_path / 'output').as_uri()}\n"
    for name, text in (("lake", good), ("new", good), ("odd", "x: 1")):
        (ingests / f"{name}.yaml").write_text(text)
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(ingests))

    def run(*arguments):
        args = cli_parser.get_parser().parse_args(["copernicus", "status", *arguments])
        args.func(args)
        return capsys.readouterr()

    return run


def test_every_ingest_has_a_row(status, tmp_path):
    report = {**year(), "ingest": "lake"}
    folder = tmp_path / "output" / "reports" / "lake"
    folder.mkdir(parents=True)
    (folder / "latest.json").write_text(json.dumps(report))
    (folder / "latest.html").write_text(html(report))
    said = status("--output", "json")
    lake, new, odd = json.loads(said.out)
    assert lake["ingest"] == "lake"
    assert lake["last day"] == report["last_day"]
    assert "30 days checked" in lake["result"]
    assert lake["30 days"].endswith("%") or "of" in lake["30 days"]
    assert (new["ingest"], new["result"]) == ("new", "no report yet")
    assert odd["result"].startswith("The file of odd is invalid: odd.yaml: ")
    assert "sentinel2_reconcile" in said.err  # is off, or that is unknown
