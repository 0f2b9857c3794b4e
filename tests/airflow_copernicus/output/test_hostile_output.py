"""Who may write to an output damages what lies there, and neither stops a night nor reaches out."""

import json
import os
import shutil
from collections import defaultdict
from datetime import UTC, date, datetime

import pytest

from airflow_copernicus.operators import (
    CopernicusAnnounceOperator,
    CopernicusPublishOperator,
    CopernicusSettleOperator,
)
from copernicus_dataspace.errors import ConfigurationError, NotStagedError
from copernicus_dataspace.ingest.run_records import Attempt, Delivered
from copernicus_dataspace.json_records import from_json
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.reconcile.inspection.history import History
from copernicus_dataspace.reconcile.inspection.product_lookup import ProductLookup
from copernicus_dataspace.reconcile.plan import Plan
from copernicus_dataspace.storage import local_files
from tests.airflow_copernicus.conftest import Events, lake_product
from tests.airflow_copernicus.output.test_forged_records import true_product
from tests.airflow_copernicus.reconcile.test_reconcile import DAY, INGEST, Ingests, held, stem
from tests.airflow_copernicus.ui.test_report_pages import output, project, visit  # noqa: F401

NOW = datetime(2024, 8, 3, 12, tzinfo=UTC)


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def chronicle_of(**changes):
    record = {"days": {}, "delays_h": {}, "scrubbed": None, "survey": None, **changes}
    return History.read(json.dumps(record).encode())


def survey_of(*days, at="2024-08-01T00:00:00+00:00"):
    return {"at": at, "product_type": "S2MSI2A", "days": days}


@pytest.mark.parametrize(
    "days",
    [
        [["0001-01-01", "9998-12-31"]],
        [["0001-01-01", "2024-08-01"]],
        [["2024-08-01", "9998-12-31"]],
        [["0001-01-01", "0001-01-02"], ["9998-12-30", "9998-12-31"]],
        [["0001-01-01", "9998-12-31"]] * 10_000,
    ],
)
def test_no_survey_makes_more_days_than_the_mission_has(days):
    found = [*chronicle_of(survey=survey_of(*days)).until(NOW).surveyed("S2MSI2A")]
    assert len(found) <= (NOW.date() - date(2015, 6, 1)).days
    assert all(date(2015, 6, 1) <= day < NOW.date() for day in found)


CELL = {"expected": 1, "present": 1, "why": {}}


def test_what_lies_in_the_future_is_not_remembered():
    known = chronicle_of(
        days={day: {"T36TXL": CELL} for day in ("0001-01-01", "2024-08-01", "9999-12-31")},
        delays_h={"2024-08-01": [1], "9999-12-31": [1]},
        scrubbed="9999-12-31",
        survey=survey_of(at="9999-12-31T00:00:00+00:00"),
    ).until(NOW)
    assert known == chronicle_of(
        days={"2024-08-01": {"T36TXL": CELL}}, delays_h={"2024-08-01": [1]}
    )


@pytest.mark.parametrize(
    "change",
    [
        *({"delays_h": {"2024-08-01": [n]}} for n in (float("nan"), float("inf"), 10**400, "x")),
        *(
            {"days": {"2024-08-01": {"T36TXL": {**CELL, **one}}}}
            for one in (
                {"expected": -1, "present": -2},
                {"present": 2},
                {"expected": 10**400},
                {"why": {"late": float("nan")}},
                {"why": []},
            )
        ),
        {"survey": survey_of(["2024-08-01", "2024-08-02"], ["2024-08-01", "2024-08-02"])},
        {"survey": survey_of(["2024-08-01", "9999-12-31"])},
    ],
)
def test_numbers_that_no_report_could_show_are_not_remembered(change):
    assert chronicle_of(**change) == History()


def test_a_forged_chronicle_puts_no_look_off_and_forgets_no_day(connected, ingests):
    product = connected.add(lake_product())
    ingests.reconcile()
    path = ingests.output / f"reports/{INGEST}/chronicle.json"
    record = json.loads(path.read_text())
    record["days"]["9999-12-31"] = {"T36TXL": CELL}
    record |= {"scrubbed": "9999-12-31"}
    record["survey"] |= {"at": "9999-01-01T00:00:00+00:00", "days": [["0001-01-01", "9998-12-31"]]}
    path.write_text(json.dumps(record))
    assert ingests.reconcile()["report"]["completeness"]["30"] == 100
    known = json.loads(path.read_text())
    assert f"{DAY}" in known["days"]
    assert "9999-12-31" not in known["days"]
    assert known["survey"]["at"] < "2100"
    assert known["scrubbed"] < "2100"
    assert held(ingests.output) == [stem(product)]


@pytest.mark.parametrize("day", ["1/01/01", "1999/12/31"])
def test_a_forged_item_makes_no_days_before_the_mission(day, connected, ingests):
    connected.add(lake_product())
    ingests.reconcile()
    (item,) = ingests.output.rglob("item.json")
    document = json.loads(item.read_text())
    year, month, number = day.split("/")
    document["properties"]["datetime"] = f"{year:0>4}-{month}-{number}T08:36:01Z"
    document["properties"]["dataspace:scheduled"] = [INGEST]
    forged = ingests.output / "bands/S2MSI2A" / day / item.parent.name / "item.json"
    forged.parent.mkdir(parents=True)
    forged.write_text(json.dumps(document))
    (ingests.output / f"reports/{INGEST}/chronicle.json").unlink()
    assert ingests.reconcile()["report"]["looked_at"] < 100


@pytest.mark.parametrize("id_", ["x", "S2 x", "not-a-uuid", "28ca37fe"])
def test_an_item_whose_id_is_none_stops_no_look(id_, connected, ingests):
    connected.add(lake_product())
    gone = [connected.add(lake_product(sensed=f"2024-07-{n}T08:36:01.024Z")) for n in (20, 30)]
    ingests.reconcile()
    items = {item.parent.name: item for item in ingests.output.rglob("item.json")}
    for product in gone:
        document = json.loads(items[stem(product)].read_text())
        document["properties"]["dataspace:product_id"] = id_
        items[stem(product)].write_text(json.dumps(document))
        connected.remove(product.id, "Corrupted product")
    report = ingests.reconcile()["report"]
    assert report["notes"] == []
    assert report["counts"]["present"] == 1
    assert ProductLookup(None, None).still_listed([id_]) == set()


@pytest.mark.parametrize(
    "change",
    [
        *({"size_bytes": n} for n in (-1, 10**400)),
        *({"cloud_cover": n} for n in (float("nan"), float("inf"), -1, 101, 10**400)),
    ],
)
def test_numbers_of_a_product_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=r"."):
        from_json({**true_product(), **change}, Product)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, 10**400, "1", None])
def test_numbers_of_a_run_that_cannot_be_are_refused(number):
    right = {"requests": 1, "bytes_transferred": 1, "seconds": 1, "errors": {}}
    for name in ("requests", "bytes_transferred", "seconds", "moving_s", "rate_limited"):
        with pytest.raises(ValueError, match=r"."):
            from_json({**right, name: number}, Attempt)
    with pytest.raises(ValueError, match=r"."):
        from_json({"files": 1, "bytes": number, "folder": "x"}, Delivered)
    for errors in ({"x": 1}, [], {"x": None}):
        with pytest.raises(ValueError, match=r"."):
            from_json({**right, "errors": errors}, Attempt)


@pytest.mark.parametrize("content", ["7", "{}", '[{"a": 1}]', "[[]]", "null", "[7]", '"ab"', "{"])
def test_a_forged_hand_over_does_not_end_a_run(content, ingest, connected, tmp_path, monkeypatch):
    connected.add(lake_product())
    true = CopernicusPublishOperator.execute

    def damage(self, context):
        (folder,) = (tmp_path / "output").rglob("search")
        (folder / "handed_over").mkdir(exist_ok=True)
        for batch in (folder / "products").iterdir():
            (folder / "handed_over" / batch.name).write_text(content)
        return true(self, context)

    monkeypatch.setattr(CopernicusPublishOperator, "execute", damage)
    ran = ingest()
    assert (ran.errors, ran.published["missing"]) == ([], [])


PLAN_DAMAGES = [
    {"counts": []},
    {"counts": {"present": "1"}},
    {"counts": {"present": 10**400}},
    {"cells": {"x": {}}},
    {"cells": {"2024-08-01": {"T36TXL": {"expected": 1}}}},
    {"delays_h": {"2024-08-01": [float("nan")]}},
    {"listed": "x"},
    {"requests": -1},
    {"scrubbed_bytes": 10**400},
    {"notes": 7},
    {"notes": [7]},
    {"left_alone": [[]]},
    {"unusable": "x"},
    {"days": ["x"]},
    {"survey": 7},
    {"open": [7]},
]


def finding(**changes):
    right = {"product": true_product(), "state": "late", "why": "", "successors": [], "bands": []}
    return {"open": [{**right, **changes}]}


@pytest.mark.parametrize(
    "change",
    [
        *PLAN_DAMAGES,
        *(finding(state=one) for one in ("x", None, [], {})),
        *(finding(why=7), finding(bands="SCL"), finding(bands=[7]), finding(successors=[{}])),
    ],
)
def test_a_damaged_plan_is_said_in_words(change, connected, ingests, monkeypatch):
    connected.add(lake_product())
    true = CopernicusSettleOperator.execute

    def damage(self, context):
        (plan,) = ingests.output.rglob("plan.json")
        read = json.loads(plan.read_text())
        assert Plan.read(json.dumps({**read, **finding()}).encode()).open
        plan.write_text(json.dumps({**read, **change}))
        return true(self, context)

    monkeypatch.setattr(CopernicusSettleOperator, "execute", damage)
    with pytest.raises(NotStagedError, match="plan of the audit is missing or damaged"):
        ingests.reconcile()


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{", "[]", "null", "7", "[" * 100_000, "{}"),
        *(json.dumps({"2024-08-01": one}) for one in (7, [], {}, {"replaced": {}})),
        *(
            json.dumps({"2024-08-01": {"replaced": {}, "withdrawn": [], **one}})
            for one in ({"replaced": []}, {"replaced": {"a": "b"}}, {"withdrawn": "abc"})
        ),
    ],
)
def test_damaged_changes_are_said_in_words(content, ingests):
    if content is not None:
        ingests.output.mkdir(exist_ok=True)
        (ingests.output / "changes.json").write_text(content)
    change = {
        "days": ["2024-08-01"],
        "output_uri": ingests.output.as_uri(),
        "path": "changes.json",
    }
    announce = CopernicusAnnounceOperator(
        task_id="announce", ingest=ingests.registered()[INGEST], change=change
    )
    events = defaultdict(Events)
    with pytest.raises(NotStagedError, match=r"changes.json is missing or damaged.*clear"):
        announce.execute({"outlet_events": events})


@pytest.mark.parametrize("name", ["item.json", "catalog.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_never_ends_holds_nobody_up(make, name, ingest, connected, tmp_path):
    product = connected.add(lake_product())
    ingest()
    (path,) = (one for one in (tmp_path / "output").rglob(name) if "stac" not in one.parts)
    path.unlink()
    make(path)
    if name == "catalog.json":
        with pytest.raises(
            ConfigurationError, match=r"catalog.json does not belong to this archive"
        ):
            ingest()
        return
    assert ingest().errors == []
    assert json.loads(path.read_text())["id"] == stem(product)


def test_a_catalogue_that_is_a_link_is_never_replaced(ingest, connected, tmp_path):
    connected.add(lake_product())
    for target in (tmp_path / "theirs.json", tmp_path / "nowhere", tmp_path):
        link = tmp_path / "output/catalog.json"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        (tmp_path / "theirs.json").write_text("{}")
        with pytest.raises(
            ConfigurationError, match=r"catalog.json does not belong to this archive"
        ):
            ingest()
        assert link.readlink() == target
        link.unlink()


def test_a_day_that_is_a_link_keeps_no_other_day_away(connected, ingests, tmp_path):
    kept = connected.add(lake_product())
    connected.add(lake_product(sensed="2024-07-20T08:36:01.024Z"))
    (tmp_path / "elsewhere").mkdir()
    day = ingests.output / "bands/S2MSI2A/2024/07/20"
    day.parent.mkdir(parents=True)
    day.symlink_to(tmp_path / "elsewhere")
    night = ingests.reconcile()
    assert [name[:19] for name in night["missing"]] == ["S2A_MSIL2A_20240720"]
    assert held(ingests.output) == [stem(kept)]
    assert [*(tmp_path / "elsewhere").iterdir()] == []


def test_a_report_that_is_a_link_shows_nothing_of_the_server(visit, output, tmp_path):  # noqa: F811
    secret = tmp_path / "config.json"
    secret.write_text('{"auths": "secret"}')
    (output / "reports/lake").mkdir(parents=True)
    (output / "reports/lake/latest.json").symlink_to(secret)
    answer = visit("lake").get("/reports/lake/latest.json")
    assert "secret" not in answer.text
    assert answer.status_code == 404


def test_reports_that_are_a_link_are_said_in_words(visit, output, tmp_path):  # noqa: F811
    (output / "reports").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/latest.json").write_text('{"auths": "secret"}')
    (output / "reports/lake").symlink_to(tmp_path / "elsewhere")
    browser = visit("lake", "hills")
    assert "is a link out of the output" in browser.get("/reports").text
    for name in ("latest", "latest.json"):
        answer = browser.get(f"/reports/lake/{name}")
        assert (answer.status_code, "secret" in answer.text) == (502, False)
        assert "is a link out of the output" in answer.text


def test_a_move_to_another_disk_follows_no_link(tmp_path, monkeypatch):
    """What it writes beside the target has a name that can be known before."""
    theirs, source, target = (tmp_path / name for name in ("theirs", "source", "a/target"))
    theirs.write_text("theirs")
    source.write_text("ours")
    target.parent.mkdir()
    true, seen = type(source).replace, []

    def refuse(self, other):
        if self == source:
            raise OSError(local_files.errno.EXDEV, "another disk")
        return true(self, other)

    monkeypatch.setattr(type(source), "replace", refuse)
    monkeypatch.setattr(shutil, "copyfile", lambda _, partial: seen.append(partial))
    with pytest.raises(FileNotFoundError):
        local_files.move(source, target)
    monkeypatch.undo()
    monkeypatch.setattr(type(source), "replace", refuse)
    seen[0].symlink_to(theirs)
    local_files.move(source, target)
    assert (theirs.read_text(), target.read_text()) == ("theirs", "ours")
