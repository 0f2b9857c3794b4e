"""Where runs may write is for those to say who keep the installation."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_copernicus.config import allowed_outputs
from airflow_copernicus.operators import (
    CopernicusAnnounceOperator,
    CopernicusAuditOperator,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
    CopernicusSettleOperator,
)
from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.errors import ConfigurationError, TransientError
from tests.airflow_copernicus.conftest import Events, lake_product, make_context
from tests.support.airflow.registered import registered

BATCH = {"search": "search", "stamp": "1", "batch": "0000", "label": "x"}
OUTSIDE = r"is not allowed in this installation.*allowed_outputs in the section"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def allowed(tmp_path, monkeypatch):
    """The only place that is allowed, beside which others lie."""
    folder = tmp_path / "data"
    monkeypatch.setenv("SENTINEL2_OUTPUT_URI", f"file://{folder}")
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "")
    monkeypatch.setenv("AIRFLOW__COPERNICUS__INGESTS_FOLDER", str(tmp_path / "ingests"))
    (tmp_path / "ingests").mkdir()
    return folder


def operators(output_uri, dag_id="sentinel2_daily"):
    ingest = {"dag_id": dag_id, "output_uri": output_uri}
    change = {"days": [], "output_uri": output_uri, "path": "x"}
    wanted = {"bands": ["SCL_20m"], "output_uri": output_uri}
    return {
        "search": CopernicusSearchOperator(task_id="search", tiles=["36TXL"], **wanted),
        "download": CopernicusDownloadOperator(task_id="download", batch=BATCH, **wanted),
        "extract": CopernicusExtractOperator(task_id="extract", batch=BATCH, **wanted),
        "publish": CopernicusPublishOperator(
            task_id="publish", search_id="search", output_uri=output_uri
        ),
        "audit": CopernicusAuditOperator(task_id="audit", ingest=ingest),
        "settle": CopernicusSettleOperator(task_id="settle", ingest=ingest),
        "announce": CopernicusAnnounceOperator(task_id="announce", ingest=ingest, change=change),
    }


@pytest.mark.parametrize(
    "task", ["search", "download", "extract", "publish", "audit", "settle", "announce"]
)
def test_every_task_refuses_an_output_outside(task, connected, allowed, tmp_path):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "catalog.json").write_text("theirs")
    context = {**make_context(), "outlet_events": defaultdict(Events)}
    with pytest.raises(ConfigurationError, match=OUTSIDE):
        operators(outside.as_uri())[task].execute(context)
    assert [path.name for path in outside.iterdir()] == ["catalog.json"]
    assert (outside / "catalog.json").read_text() == "theirs"
    assert connected.requests == []


@pytest.mark.parametrize(
    "uri",
    [
        *("{top}/data2", "{top}/dat", "{top}", "{top}/data/../elsewhere", "{top}/data/../../etc"),
        *("/etc", "/", "{top}/data%2F..%2Fetc", "{top}/DATA", "{top}/link", "{top}/data/out"),
    ],
)
@pytest.mark.parametrize("form", ["file://{}", "{}", "FILE://{}/", "local://{}"])
def test_a_place_beside_is_not_within(uri, form, allowed, tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    allowed.mkdir()
    (allowed / "out").symlink_to("/etc")
    with pytest.raises(ConfigurationError, match=OUTSIDE + r"|has a part|not an absolute"):
        open_store(form.format(uri.format(top=tmp_path)))


@pytest.mark.parametrize(
    "form", ["file://{}", "{}", "FILE://{}", "local://{}", "file://{}/", "{}/"]
)
@pytest.mark.parametrize("below", ["", "/deep/er", "//deep", "/a*c [1] ?#%20é"])
def test_what_lies_below_is_within_however_it_is_written(form, below, allowed, tmp_path):
    store = open_store(form.format(f"{allowed}{below}"))
    store.write("x", b"x")
    assert [path.name for path in tmp_path.rglob("x")] == ["x"]


def test_a_root_may_be_a_link_and_so_may_the_way_to_it(allowed, tmp_path):
    (tmp_path / "true").mkdir()
    allowed.symlink_to(tmp_path / "true")
    for uri in (f"file://{allowed}/x", f"file://{tmp_path}/true/x"):
        open_store(uri).write("y", b"y")
    assert (tmp_path / "true/x/y").read_bytes() == b"y"


@pytest.mark.parametrize(
    "uri",
    [
        *("data", "./data", "../data", "~/data", "~", "file:data", "file:./data", "file://data"),
        *(
            "file://./data",
            "file://~/data",
            "file://localhost/data",
            "",
            "file://",
            "file:",
            "/../",
        ),
        *(
            "simplecache::file:///{top}",
            "dir::file:///{top}",
            "zip://x::file:///y.zip",
            "{top}/./x",
        ),
        *("file://{top}/\n", " file://{top}", "file:///a\\b", "file:///a\0b", "s3://", "s3:///"),
        *(
            "s3://b//x",
            "s3://b/x/../y",
            "s3://b/.",
            "s3://a@b@c/x",
            "s3://b/k?versionId=1",
            "file://x@{top}",
        ),
    ],
)
def test_a_relative_or_unclear_uri_is_refused_in_words(uri, allowed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "file:///, s3://b, s3://a@b, s3://c")
    given = uri.replace("{top}", str(allowed))
    search = CopernicusSearchOperator(
        task_id="s", tiles=["T36TXL"], bands=["SCL_20m"], output_uri=given or "/../"
    )
    words = r"Output URI \(output_uri\): .*; write, for example, file:///data/sentinel2 or s3://connection_id@bucket"
    with pytest.raises(ConfigurationError, match=r"(?s)" + words):
        search.execute(make_context())
    with pytest.raises(ConfigurationError, match=r"(?s)" + words):
        open_store(given)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("roots", "uri", "is_allowed"),
    [
        ("s3://conn@bucket/x", "s3://conn@bucket/x", True),
        ("s3://conn@bucket/x/", "s3://conn@bucket/x/y/", True),
        ("s3://conn@bucket", "s3://conn@bucket/any", True),
        ("s3://conn@bucket/", "S3://conn@bucket/any", True),
        ("s3://bucket", "s3a://bucket/any", True),
        ("gs://a, s3://b ,,", "s3://b/x", True),
        ("s3://conn@bucket/x", "s3://bucket/x", False),
        ("s3://bucket/x", "s3://conn@bucket/x", False),
        ("s3://conn@bucket/x", "s3://other@bucket/x", False),
        ("s3://conn@bucket/x", "s3://conn@bucket", False),
        ("s3://conn@bucket/x", "s3://conn@bucket/x2", False),
        ("s3://conn@bucket/x", "s3://conn@bucket/X", False),
        ("s3://conn@bucket/x", "s3://conn@bucket/x%2F..%2Fy", False),
        ("s3://conn@bucket/x", "s3://conn@bucket2/x", False),
        ("s3://conn@bucket/x", "gs://conn@bucket/x", False),
        ("s3://bucket", "file:///bucket", False),
        ("relative, s3://b", "s3://b", True),
        ("*", "s3://b", False),
        ("s3://*", "s3://b", False),
        ("s3://a*c", "s3://abc/x", False),
    ],
)
def test_storage_account_and_path_all_count(roots, uri, is_allowed, allowed, monkeypatch):
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", roots)
    if is_allowed:
        allowed_outputs.check_output_allowed(uri)
    else:
        with pytest.raises(ConfigurationError, match=OUTSIDE):
            allowed_outputs.check_output_allowed(uri)


def test_the_outputs_of_the_ingest_files_are_allowed(allowed, tmp_path):
    uri = (tmp_path / "third").as_uri()
    with pytest.raises(ConfigurationError, match=OUTSIDE):
        open_store(uri)
    (tmp_path / "ingests/broken.yaml").write_text("]")
    (tmp_path / "ingests/lake.yaml").write_text(f"tiles: [T36TXL]\noutput_uri: {uri}\n")
    open_store(f"{uri}/below").write("x", b"x")


@given(st.lists(st.sampled_from(["..", ".", "", "data", "x", "~", "%2e%2e"]), max_size=6))
def test_no_uri_leads_out_of_what_is_allowed(parts):
    place = "/nowhere/data"
    uri = f"file://{place}/{'/'.join(parts)}"
    try:
        found = allowed_outputs.Place.of(uri)
    except ConfigurationError:
        return
    inside = os.path.normpath(f"{place}/{'/'.join(parts)}").startswith(place)
    assert found.is_within(allowed_outputs.Place.of(f"file://{place}")) == inside


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", "theirs", "\xff", '{"type": "Catalog"}', '{"id": "sentinel-2"}'),
        '{"type": "Catalog", "id": "sentinel-2", "description": "Sentinel-2 scenes.", "links": []}',
    ],
)
def test_a_foreign_catalogue_is_never_replaced(content, ingest, connected, tmp_path):
    product = connected.add(lake_product())
    theirs = tmp_path / "output/catalog.json"
    theirs.parent.mkdir()
    theirs.write_text(content, encoding="latin-1")
    before = theirs.read_bytes()
    with pytest.raises(
        ConfigurationError, match=r"catalog.json does not belong to this archive.*never"
    ):
        ingest()
    assert [path.name for path in theirs.parent.iterdir()] == ["catalog.json"]
    assert connected.requests == []

    theirs.rename(tmp_path / "kept.json")
    assert ingest().published["missing"] == []
    ours = json.loads(theirs.read_text())
    assert ours["id"] == "sentinel-2"
    assert ingest().errors == []
    (tmp_path / "kept.json").rename(theirs)
    shutil.rmtree(tmp_path / "output/runs")
    with pytest.raises(ConfigurationError, match="does not belong to this archive"):
        ingest()
    assert theirs.read_bytes() == before
    assert product


@pytest.fixture
def shared(allowed, tmp_path):
    """The file of an ingest that shares its output with one that wants it for itself."""
    settings = f"tiles: [T36TXL]\noutput_uri: {allowed.as_uri()}\n"
    other = tmp_path / "ingests/other.yaml"
    other.write_text(settings)
    ingest = tmp_path / "ingests/sentinel2_daily.yaml"
    ingest.write_text(f"{settings}one_run_at_a_time: true\n")
    for path in (ingest, other):
        registered(path)
    return other


@pytest.mark.parametrize("task", ["search", "audit"])
def test_an_output_for_one_alone_is_refused_where_another_has_it(task, connected, allowed, shared):
    tasks = operators(allowed.as_uri())
    tasks["search"].one_run_at_a_time = True
    shared.write_text("]")  # it may write again
    with pytest.raises(
        ConfigurationError, match=r"one_run_at_a_time: .* also the output of other;.*/data/ingests"
    ):
        tasks[task].execute(make_context())
    assert connected.requests == []
    (allowed / "ingests/other.json").unlink()
    tasks[task].execute(make_context())


@pytest.fixture
def stale(monkeypatch):
    """Return what lets a call of the disk fail for one path."""

    def make(name, failing):
        really = getattr(os, name)

        def call(path, *args, **kwargs):
            if str(path) == str(failing):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return really(path, *args, **kwargs)

        monkeypatch.setattr(os, name, call)

    return make


def test_others_that_cannot_be_listed_now_may_share_the_output(connected, allowed, shared, stale):
    stale("scandir", allowed / "ingests")
    audit = operators(allowed.as_uri())["audit"]
    with pytest.raises(TransientError, match="ingests cannot be listed"):
        audit.execute(make_context())
    assert connected.requests == []


def test_an_ingest_file_that_cannot_be_read_now_may_allow_an_output(
    allowed, shared, stale, tmp_path
):
    stale("open", shared)
    open_store(allowed.as_uri())
    with pytest.raises(TransientError, match=r"other\.yaml"):
        open_store((tmp_path / "third").as_uri())


def test_the_rule_costs_a_dag_file_nothing_heavy():
    heavy = ["shapely", "pandas", "pyogrio", "pystac", "numpy"]
    code = "import sys, airflow_copernicus.config.allowed_outputs; "
    code += f"print([x for x in {heavy} if x in sys.modules])"
    places = os.pathsep.join(str(ROOT / name) for name in ("plugins", "include"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("[]"), done.stderr
