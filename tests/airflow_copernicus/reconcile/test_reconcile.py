"""The audit, its repairs and the settlement, as Airflow would run them."""

import json
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from copernicus_dataspace.errors import ServiceUnavailableError
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of, transfers
from tests.support.airflow.registered import registered

INGEST = "sentinel2_daily"
DAY = date(2024, 8, 1)


class Ingests:
    """A folder of ingest files, and the audits of the first of them."""

    def __init__(self, folder, output, ingest):
        self.folder = folder
        self.output = output
        self._ingest = ingest
        self._runs = 0

    @classmethod
    def below(cls, folder, ingest):
        """Return a folder of one ingest file."""
        (folder / "ingests").mkdir()
        made = cls(folder / "ingests", folder / "output", ingest)
        made.write()
        return made

    def write(self, name=INGEST, **settings):
        given = {"tiles": ["T36TXL"], "output_uri": self.output.as_uri(), **settings}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(given))
        return path

    def reconcile(self, day=DAY, name=INGEST, *, is_paused=False, **params):
        """Audit as of the end of a day, let the repairs run, settle; return what was settled."""
        self._runs += 1
        context = make_context(
            f"{day}", dag_id="sentinel2_reconcile", run_id=f"scheduled__{day}_{self._runs}"
        )
        context["ti"].get_dag = lambda _: SimpleNamespace(is_paused=is_paused, tags=["copernicus"])
        known = self.registered()
        audit = CopernicusAuditOperator(task_id="audit", ingest=known[name], **params)
        repairs = audit.execute(context)
        for repair in repairs:
            self._ingest(
                make_context(
                    run_id=repair["trigger_run_id"],
                    run_type="operator_triggered",
                    dag_id=name,
                    conf=repair["conf"],
                ),
                **repair["conf"],
            )
        settle = CopernicusSettleOperator(task_id="settle", ingest=known[name])
        settled = settle.execute(context)
        folder = self.output / "reports" / name
        report = json.loads((folder / f"{settled['report_name']}.json").read_text())
        return {**settled, "report": report, "repairs": repairs}

    def registered(self):
        """Register the ingests of all files, as their DAGs do; return their names, by DAG id."""
        return {path.stem: registered(path) for path in sorted(self.folder.iterdir())}

    def changes(self, settled):
        change = settled["change"]
        return json.loads((self.output / change["path"]).read_text()) if change else {}


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def stem(product):
    return product.name.removesuffix(".SAFE")


def held(output):
    return sorted(path.parent.name for path in (output / "bands").rglob("item.json"))


def states(settled):
    return {one["name"]: (one["state"], one["now"]) for one in settled["report"]["exceptions"]}


def test_all_that_is_as_it_should_be_is_left_alone(connected, ingest, ingests):
    connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    settled = ingests.reconcile()
    assert settled["repairs"] == []
    assert settled["report"]["counts"] == {"present": 1}
    assert settled["report"]["exceptions"] == []
    assert settled["report"]["completeness"]["30"] == 100.0
    assert settled["change"] is None
    assert len(transfers(connected)) == before


def test_what_is_missing_and_what_came_late_is_fetched(connected, ingest, ingests):
    missing = connected.add(lake_product())
    late = connected.add(
        lake_product(sensed="2024-07-20T08:36:01.024Z", published="2024-07-25T00:00:00Z")
    )
    settled = ingests.reconcile()
    (repair,) = settled["repairs"]
    assert repair["trigger_run_id"].startswith("repair__")
    assert sorted(repair["conf"]["product_ids"]) == sorted([missing.id, late.id])
    assert states(settled) == {
        stem(missing): ("missing", "present"),
        stem(late): ("late", "present"),
    }
    assert held(ingests.output) == sorted([stem(missing), stem(late)])
    assert settled["missing"] == []
    assert settled["report"]["completeness"]["30"] == 100.0


def test_what_is_not_yet_published_is_not_missed(connected, ingests):
    connected.now = "2024-08-02T00:00:00Z"
    connected.add(lake_product(published="2024-08-05T00:00:00Z"))
    assert ingests.reconcile()["report"]["counts"] == {}


@pytest.mark.parametrize("damage", ["cut", "remove", "flip"])
def test_damage_is_found_and_mended(connected, ingest, ingests, damage):
    product = connected.add(lake_product())
    ran = ingest()
    scl = ran.output / "bands" / ran.files[0]
    right = scl.read_bytes()
    if damage == "remove":
        scl.unlink()
    else:
        scl.write_bytes(right[:-1] if damage == "cut" else right[:-1] + bytes([right[-1] ^ 1]))
    ingests.write(scrub_days=1)
    settled = ingests.reconcile()
    state = "absent" if damage == "remove" else "damaged"
    assert states(settled) == {stem(product): (state, "present")}
    assert scl.read_bytes() == right
    assert ingests.reconcile()["report"]["counts"] == {"present": 1}


def test_what_was_fetched_by_hand_is_guarded_too(connected, ingest, ingests):
    product = connected.add(lake_product())
    ran = ingest(bands=["SCL_20m", "B04"])
    (path,) = (path for path in ran.files if path.endswith("_B04_10m.jp2"))
    (ran.output / "bands" / path).unlink()
    settled = ingests.reconcile()
    (repair,) = settled["repairs"]
    assert repair["conf"]["product_ids"] == [product.id]
    assert repair["conf"]["bands"] == ["SCL_20m", "B04"]
    assert states(settled) == {stem(product): ("absent", "present")}
    assert (ran.output / "bands" / path).exists()


def test_a_product_listed_anew_with_other_content_is_fetched_anew(connected, ingest, ingests):
    old = connected.add(lake_product())
    ran = ingest()
    connected.remove(old.id, "Corrupted product")
    new = connected.add(lake_product(seed=5, cloud_cover=60))
    assert new.name == old.name
    settled = ingests.reconcile()
    assert states(settled) == {stem(new): ("damaged", "present")}
    scl, item = (ran.output / "bands" / name for name in ran.files)
    assert scl.read_bytes() == new.read(scl_of(new))
    assert json.loads(item.read_text())["properties"]["dataspace:product_id"] == new.id
    assert ingests.reconcile()["report"]["exceptions"] == []


def test_a_newer_baseline_takes_the_place_of_the_old_one(connected, ingest, ingests):
    old = connected.add(lake_product())
    ingest()
    new = connected.add(lake_product(baseline="05.12", generation="2024-09-01T00:00:00Z"))
    settled = ingests.reconcile()
    assert held(ingests.output) == [stem(new)]
    assert states(settled) == {
        stem(new): ("missing", "present"),
        stem(old): ("superseded", "gone"),
    }
    assert ingests.changes(settled) == {
        "2024-08-01": {"replaced": {old.id: [new.id]}, "withdrawn": []}
    }


def test_the_old_one_stays_until_the_new_one_is_there(connected, ingest, ingests):
    old = connected.add(lake_product())
    ingest()
    new = connected.add(lake_product(baseline="05.12", generation="2024-09-01T00:00:00Z"))
    connected.faults.add(Fault(service="download", status=403, times=None, match=new.id))
    settled = ingests.reconcile()
    assert held(ingests.output) == [stem(old)]
    assert settled["missing"] == [stem(new)]
    assert states(settled)[stem(old)] == ("superseded", "kept")
    connected.faults.clear()
    assert ingests.reconcile()["missing"] == []
    assert held(ingests.output) == [stem(new)]


@pytest.mark.parametrize("policy", ["keep", "quarantine", "remove"])
def test_what_becomes_of_superseded_and_withdrawn_products_is_configured(
    connected, ingest, ingests, policy
):
    ingests.write(superseded=policy, withdrawn=policy)
    old = connected.add(lake_product())
    withdrawn = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z"))
    ingest()
    new = connected.add(lake_product(baseline="05.12", generation="2024-09-01T00:00:00Z"))
    connected.remove(withdrawn.id, "Corrupted product")
    settled = ingests.reconcile()
    kept = [stem(old), stem(withdrawn)] if policy == "keep" else []
    assert held(ingests.output) == sorted([stem(new), *kept])
    moved = [path.parent.name for path in ingests.output.glob("quarantine/**/item.json")]
    assert sorted(moved) == sorted([stem(old), stem(withdrawn)] if policy == "quarantine" else [])
    assert bool(ingests.changes(settled)) == (policy != "keep")
    why = {one["name"]: one["why"] for one in settled["report"]["exceptions"]}
    assert "Corrupted product" in why[stem(withdrawn)]


def test_what_is_no_longer_listed_is_kept_where_nobody_says_why(connected, ingest, ingests):
    product = connected.add(lake_product())
    ingest()
    connected._listed.remove(product.id)
    settled = ingests.reconcile()
    assert states(settled) == {stem(product): ("orphaned", "kept")}
    assert held(ingests.output) == [stem(product)]


def test_without_the_list_of_deleted_products_nothing_is_taken_for_withdrawn(
    connected, ingest, ingests
):
    product = connected.add(lake_product())
    ingest()
    connected.remove(product.id)
    connected.faults.add(
        Fault(service="catalogue", status=400, times=None, match="DeletedProducts")
    )
    settled = ingests.reconcile()
    assert states(settled) == {stem(product): ("orphaned", "kept")}
    assert "deleted products could not be read" in settled["report"]["notes"][0]


def test_a_dry_run_changes_nothing(connected, ingest, ingests, tmp_path):
    old = connected.add(lake_product())
    ran = ingest()
    scl = ran.output / "bands" / ran.files[0]
    connected.add(lake_product(baseline="05.12", generation="2024-09-01T00:00:00Z"))
    gone = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z"))
    ingest(make_context(run_id="more"), versions="all")
    connected.remove(gone.id)
    scl.write_bytes(scl.read_bytes()[:-1] + b"x")

    def everything():
        paths = [
            path for top in ("bands", "stac") for path in (tmp_path / "output" / top).rglob("*")
        ]
        return {path: path.stat().st_mtime_ns for path in paths}

    ingests.write(versions="all")
    before = everything()
    settled = ingests.reconcile(is_dry_run=True, scrub=True)
    assert everything() == before
    assert settled["repairs"] == []
    assert settled["missing"] == []
    rows = {one["name"]: one["action"] for one in settled["report"]["exceptions"]}
    assert rows == {stem(old): "would be downloaded", stem(gone): "would be: quarantine"}
    assert not (tmp_path / "output/reports/sentinel2_daily/latest.json").exists()


def test_a_range_is_looked_at_day_by_day(connected, ingests):
    for day in range(1, 4):
        connected.add(lake_product(sensed=f"2023-05-0{day}T08:36:01.024Z"))
    settled = ingests.reconcile(first_day="2023-05-02", last_day="2023-05-03")
    assert list(settled["report"]["days"]) == ["2023-05-02", "2023-05-03"]
    assert len(held(ingests.output)) == 2


def test_offline_products_are_reported_and_not_asked_for(connected, ingests):
    product = connected.add(lake_product(online=False))
    settled = ingests.reconcile()
    assert settled["repairs"] == []
    assert states(settled) == {stem(product): ("offline", "missing")}
    assert settled["missing"] == []


def test_two_ingests_share_a_product_and_each_reports_by_itself(connected, ingest, ingests):
    shared = connected.add(lake_product())
    own = connected.add(lake_product(tile="36TWL"))
    ingests.write("other", tiles=["T36TXL", "T36TWL"])
    ingest()
    settled = ingests.reconcile(name="other")
    (repair,) = settled["repairs"]
    assert repair["conf"]["product_ids"] == [own.id]
    assert settled["report"]["counts"] == {"present": 1, "missing": 1}
    assert ingests.reconcile()["report"]["counts"] == {"present": 1}
    (item,) = (ingests.output / "bands").glob(f"*/*/*/*/{stem(shared)}/item.json")
    named = json.loads(item.read_text())["properties"]["dataspace:ingests"]
    assert named == ["other", "sentinel2_daily"]


def test_a_shared_product_is_retired_by_the_last_that_wants_it(connected, ingest, ingests):
    product = connected.add(lake_product())
    ingests.write("other")
    ingest()
    ingests.reconcile(name="other")
    connected.remove(product.id)
    settled = ingests.reconcile()
    (row,) = settled["report"]["exceptions"]
    assert row["action"] == "released to other"
    assert held(ingests.output) == [stem(product)]
    ingests.reconcile(name="other")
    assert held(ingests.output) == []


def test_the_whole_archive_is_looked_at_once_a_week(connected, ingest, ingests):
    old_day = DAY - timedelta(days=60)
    old = connected.add(lake_product(sensed=f"{old_day}T08:36:01.024Z"))
    connected.now = "2024-08-02T00:00:00Z"
    ingest(make_context(f"{old_day}"))
    ingests.reconcile()
    new = connected.add(
        lake_product(
            sensed=f"{old_day}T08:36:01.024Z",
            baseline="05.12",
            generation="2024-08-03T00:00:00Z",
            published="2024-08-03T00:00:00Z",
        )
    )
    connected.now = "2024-08-03T12:00:00Z"
    connected.remove(old.id)
    for number in range(1, 7):
        connected.now = f"{DAY + timedelta(days=number + 1)}T00:00:00Z"
        settled = ingests.reconcile(DAY + timedelta(days=number))
        assert settled["report"]["exceptions"] == []
    connected.now = "2024-08-09T00:00:00Z"
    settled = ingests.reconcile(DAY + timedelta(days=7))
    assert states(settled) == {
        stem(new): ("late", "present"),
        stem(old): ("superseded", "gone"),
    }
    assert held(ingests.output) == [stem(new)]


def test_an_unreadable_catalogue_plans_nothing(connected, ingest, ingests):
    product = connected.add(lake_product())
    ingest()
    connected.faults.add(Fault(service="catalogue", status=503, times=None))
    with pytest.raises(ServiceUnavailableError):
        ingests.reconcile()
    assert held(ingests.output) == [stem(product)]


def test_a_switched_off_ingest_is_reported_only(connected, ingests):
    product = connected.add(lake_product())
    settled = ingests.reconcile(is_paused=True)
    assert settled["repairs"] == []
    assert states(settled) == {stem(product): ("missing", "missing")}
    assert settled["missing"] == []


def test_the_report_stands_beside_the_archive(connected, ingest, ingests):
    connected.add(lake_product())
    settled = ingests.reconcile()
    folder = ingests.output / "reports" / INGEST
    page = (folder / "latest.html").read_text()
    assert "2024-08-01" in page
    assert json.loads((folder / "latest.json").read_text()) == settled["report"]


def test_ten_days_of_archive_are_not_a_year(connected, ingests):
    connected.add(lake_product())
    ingests.write(start_day=f"{DAY - timedelta(days=9)}")
    report = ingests.reconcile()["report"]
    assert report["completeness"]["365"] == 100.0
    assert report["known_days"] == {"7": 7, "30": 10, "365": 10}
    text = (ingests.output / "reports" / INGEST / "latest.html").read_text()
    assert "of 10 known days" in text


def test_days_older_than_a_year_are_reported_on_like_others(connected, ingests):
    old = DAY - timedelta(days=800)
    there = connected.add(lake_product(sensed=f"{old}T08:36:01.024Z"))
    away = connected.add(lake_product(sensed=f"{old}T10:36:01.024Z"))
    connected.faults.add(Fault(service="download", status=403, times=None, match=away.id))
    ingests.reconcile()
    remembered = (ingests.output / "reports" / INGEST / "chronicle.json").read_bytes()
    settled = ingests.reconcile(first_day=f"{old}", last_day=f"{old}")
    assert states(settled) == {
        stem(there): ("missing", "present"),
        stem(away): ("missing", "missing"),
    }
    report = settled["report"]
    assert (report["still_missing"], report["last_day"]) == (1, f"{old}")
    assert report["completeness"] == {"7": 50.0, "30": 50.0, "365": 50.0}
    assert report["known_days"] == {"7": 1, "30": 1, "365": 1}
    assert [day for day in report["days"] if day <= f"{old}"] == [f"{old}"]
    days = json.loads(remembered)["days"]
    kept = json.loads((ingests.output / "reports" / INGEST / "chronicle.json").read_text())["days"]
    assert kept == days


def test_what_is_offline_is_counted_apart(connected, ingest, ingests):
    connected.add(lake_product())
    ingest()
    away = connected.add(lake_product(sensed="2024-07-20T08:36:01.024Z", online=False))
    settled = ingests.reconcile()
    report = settled["report"]
    assert states(settled) == {stem(away): ("offline", "missing")}
    assert (settled["missing"], report["still_missing"], report["offline"]) == ([], 0, 1)
    assert report["completeness"] == {"7": 100.0, "30": 100.0, "365": 100.0}
    assert report["not_counted"] == {"7": 0, "30": 1, "365": 1}
