import hashlib
import json

import pytest

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace.errors import (
    AccessDeniedError,
    CorruptDownloadError,
    CredentialsError,
    NotStagedError,
    PermanentError,
    QueryError,
    ServiceUnavailableError,
    StorageRefusedError,
)
from copernicus_dataspace.ingest import run_records
from copernicus_dataspace_emulator import Fault
from copernicus_dataspace_emulator.products.content import open_content
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of, transfers


def test_a_day_arrives(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    stem = product.name.removesuffix(".SAFE")
    name = scl_of(product).rpartition("/")[2]
    assert ran.errors == []
    assert ran.files == [
        f"S2MSI2A/2024/08/01/{stem}/{name}",
        f"S2MSI2A/2024/08/01/{stem}/item.json",
    ]
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))
    assert ran.staged == []
    assert ran.partitions == ["2024-08-01"]
    assert ran.published["missing"] == []


def test_one_file_costs_one_request_and_its_bytes(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    (transfer,) = transfers(connected)
    assert transfer.bytes_sent == product.files[scl_of(product)].size
    assert [one.service for one in connected.requests].count("stac") == 1
    assert ran.summary["bytes_of_products"] == product.zip_size


def test_the_item_tells_where_everything_came_from(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    item = json.loads((ran.output / "bands" / ran.files[1]).read_text())
    (asset,) = item["assets"].values()
    content = product.read(scl_of(product))
    assert item["id"] == product.name.removesuffix(".SAFE")
    assert item["properties"]["dataspace:product_id"] == product.id
    assert item["properties"]["dataspace:run_id"] == "scheduled__2024-08-01"
    assert item["properties"]["dataspace:dag_id"] == "sentinel2_daily"
    assert item["properties"]["processing:version"] == "05.11"
    assert asset["file:size"] == len(content)
    assert asset["file:checksum"] == "1620" + hashlib.sha3_256(content).hexdigest()
    assert asset["dataspace:source"].endswith("_SCL_20m.jp2)/$value")
    assert "token" not in asset["dataspace:source"]


def test_a_rerun_costs_one_search_and_no_download(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(connected.requests)
    ran = ingest(make_context(run_id="manual__again", run_type="manual"))
    new = connected.requests[before:]
    assert [one.service for one in new if one.service != "identity"] == ["catalogue"]
    assert ran.summary["delivered"] == 1
    assert ran.summary["bytes_transferred"] == 0


@pytest.mark.parametrize("damage", ["cut", "remove", "item"])
def test_a_damaged_file_heals(connected, ingest, damage):
    product = connected.add(lake_product())
    ran = ingest()
    scl, item = (ran.output / "bands" / name for name in ran.files)
    if damage == "cut":
        scl.write_bytes(scl.read_bytes()[:-1])
    elif damage == "remove":
        scl.unlink()
    else:
        item.write_text("{")
    ran = ingest(make_context(run_id="manual__again", run_type="manual"))
    assert ran.errors == []
    assert scl.read_bytes() == product.read(scl_of(product))
    assert json.loads(item.read_text())["assets"]


def test_a_further_band_costs_only_itself(connected, ingest):
    product = connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    ran = ingest(make_context(run_id="more"), bands=["SCL_20m", "B04", "*/MTD_TL.xml"])
    paths = [request.path for request in transfers(connected)[before:]]
    assert len(paths) == 3
    assert not any("SCL" in path for path in paths)
    item = json.loads((ran.output / "bands" / ran.files[-1]).read_text())
    assert len(item["assets"]) == 3
    assert len(ran.files) == 4
    assert product.name.removesuffix(".SAFE") == item["id"]


def test_overwrite_fetches_again(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    again = make_context(run_id="again")
    ingest(again, overwrite=True)
    assert len(transfers(connected)) == before + 1


def test_an_empty_day_is_green_and_says_so(connected, ingest, capsys):
    ran = ingest()
    assert ran.batches == []
    assert ran.errors == []
    assert ran.partitions == ["2024-08-01"]
    assert "Nothing to do" in capsys.readouterr().out
    assert len(connected.requests) == 1


def test_archive_delivers_out_of_the_zip(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest(transfer="archive")
    assert ran.errors == []
    assert len(transfers(connected)) == 1
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))
    assert ran.staged == []
    assert not (ran.output / "archive").exists()


def test_a_kept_archive_serves_further_bands(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest(transfer="archive", keep_archive=True)
    kept = ran.output / f"archive/S2MSI2A/2024/08/01/{product.name.removesuffix('.SAFE')}.zip"
    assert hashlib.md5(kept.read_bytes()).hexdigest() == product.md5  # noqa: S324
    before = len(transfers(connected))
    more = ingest(
        make_context(run_id="more"), transfer="archive", keep_archive=True, bands=["B04", "SCL_20m"]
    )
    assert more.errors == []
    assert len(transfers(connected)) == before
    assert len(more.files) == 3


@pytest.mark.parametrize("checksum", ["none", "N/A"])
def test_a_zip_without_catalogue_checksum_is_checked_from_inside(connected, ingest, checksum):
    product = connected.add(lake_product(checksum=checksum))
    ran = ingest(transfer="archive", keep_archive=True)
    assert ran.errors == []
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))


@pytest.mark.parametrize("checksum", ["full", "none"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_zip_that_cannot_be_read_as_it_passes_arrives(connected, ingest, checksum, keep):
    product = connected.add(lake_product(checksum=checksum))
    path = product.content.path
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    product._content = open_content(path)
    ran = ingest(transfer="archive", keep_archive=keep)
    assert ran.errors == []
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))
    assert len(transfers(connected)) == (1 if keep else 2)


def test_one_product_failing_leaves_the_others_delivered(connected, ingest):
    good = connected.add(lake_product())
    bad = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z", seed=7))
    connected.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    ran = ingest()
    assert [type(error) for error in ran.errors[:1]] == [AccessDeniedError]
    assert ran.summary["missing"] == [bad.name.removesuffix(".SAFE")]
    assert ran.published is None
    assert ran.partitions == []
    assert all(good.name.removesuffix(".SAFE") in name for name in ran.files)
    (row,) = (row for row in ran.summary["table"] if row["state"] == "missing")
    assert "403" in row["error"]


def test_complete_days_are_announced_beside_an_incomplete_one(connected, ingest):
    connected.add(lake_product())
    bad = connected.add(lake_product(sensed="2024-08-02T08:36:01.024Z", seed=7))
    connected.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    context = make_context(run_type="manual", run_id="manual")
    ran = ingest(context, first_day="2024-08-01", last_day="2024-08-02")
    assert ran.partitions == ["2024-08-01"]
    assert ran.published["missing"] == [bad.name.removesuffix(".SAFE")]


def test_a_wrong_password_is_tried_once_for_all_products(emulator, connect, ingest):
    emulator.add(lake_product())
    emulator.add(lake_product(sensed="2024-08-01T10:36:01.024Z"))
    connect({**emulator.connection(), "password": "wrong-password"})
    with pytest.raises(
        CredentialsError, match=r"wrong e-mail or password.*second factor"
    ) as caught:
        ingest()
    assert "wrong-password" not in str(caught.value)
    assert len([one for one in emulator.requests if one.service == "identity"]) == 1


def test_all_tasks_of_a_host_share_one_session(connected, ingest):
    for hour in (8, 9, 10):
        connected.add(lake_product(sensed=f"2024-08-01T{hour:02}:36:01.024Z"))
    ingest()
    ingest(overwrite=True)
    assert connected.grants == {"password": 1}
    assert not [one for one in connected.requests if one.path.endswith("/logout")]


@pytest.mark.parametrize(
    "variable", ["AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER"]
)
def test_a_task_with_a_pod_of_its_own_ends_its_session(connected, ingest, monkeypatch, variable):
    monkeypatch.delenv("COPERNICUS_STATE_DIR")
    monkeypatch.setenv(variable, "True")
    connected.add(lake_product())
    ingest()
    logouts = [one for one in connected.requests if one.path.endswith("/logout")]
    assert len(logouts) == connected.grants["password"] == 2


def test_without_a_place_to_share_it_every_session_is_ended(connected, ingest, state_dir):
    state_dir.write_text("in the way")
    connected.add(lake_product())
    ingest()
    logouts = [one for one in connected.requests if one.path.endswith("/logout")]
    assert len(logouts) == connected.grants["password"] == 2
    connected.faults.add(Fault(service="identity", status=500, match="/logout", times=None))
    assert ingest(overwrite=True).errors == []


def test_wrong_bytes_never_stand_under_a_final_name(connected, ingest):
    connected.add(lake_product())
    connected.faults.add(Fault(service="download", kind="flipped_bit", times=None, match="SCL_20m"))
    ran = ingest()
    assert isinstance(ran.errors[0], CorruptDownloadError)
    assert ran.files == []
    assert isinstance(ran.errors[-1], PermanentError)


def test_a_fault_that_passes_heals(connected, ingest):
    product = connected.add(lake_product())
    for kind in ("flipped_bit", "short_body", "reset"):
        connected.faults.add(Fault(service="download", kind=kind, times=1, match="SCL_20m"))
    connected.faults.add(Fault(service="download", status=429, times=2, retry_after=0))
    connected.faults.add(Fault(service="catalogue", status=503, times=2))
    connected.faults.add(Fault(service="identity", status=502, times=1))
    ran = ingest()
    assert ran.errors == [], ran.errors
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))


def test_an_outage_is_red_and_not_empty(connected, ingest):
    connected.faults.add(Fault(service="catalogue", status=503, times=None))
    with pytest.raises(ServiceUnavailableError, match="HTTP 503"):
        ingest()


def test_a_failed_search_leaves_nothing_of_the_last_one(connected, ingest):
    connected.add(lake_product())
    ran = ingest()
    connected.faults.add(Fault(service="catalogue", status=400, times=None))
    with pytest.raises(QueryError):
        ingest()
    output = {"output_uri": ran.output.as_uri()}
    publish = CopernicusPublishOperator(task_id="publish", search_id="search", **output)
    with pytest.raises(NotStagedError, match="the search has no result"):
        publish.execute(make_context())


def test_two_searches_of_one_run_keep_apart(connected, tmp_path):
    connected.add(lake_product())
    connected.add(lake_product(level="L1C"))
    output = {"output_uri": tmp_path.as_uri()}
    batches = {}
    for level, bands in (("S2MSI2A", ["SCL_20m"]), ("S2MSI1C", ["B01"])):
        context = make_context()
        context["ti"].task_id = level
        search = CopernicusSearchOperator(
            task_id=level, tiles=["T36TXL"], product_type=level, bands=bands, **output
        )
        (batches[level],) = search.execute(context)
    for level, bands in (("S2MSI2A", ["SCL_20m"]), ("S2MSI1C", ["B01"])):
        for kind in (CopernicusDownloadOperator, CopernicusExtractOperator):
            kind(task_id="t", batch=batches[level], bands=bands, **output).execute(make_context())
    delivered = {path.parts[-6] for path in tmp_path.glob("bands/*/*/*/*/*/*.jp2")}
    assert delivered == {"S2MSI2A", "S2MSI1C"}


def test_overwrite_replaces_a_kept_zip_and_keeps_other_files_listed(connected, ingest):
    product = connected.add(lake_product())
    archive = {"transfer": "archive", "keep_archive": True}
    ran = ingest(bands=["SCL_20m", "B05"], **archive)
    (kept,) = ran.output.glob("archive/**/*.zip")
    kept.write_bytes(bytes(kept.stat().st_size))
    ran = ingest(make_context(run_id="again"), overwrite=True, **archive)
    assert ran.errors == []
    assert hashlib.md5(kept.read_bytes()).hexdigest() == product.md5  # noqa: S324
    (item,) = ran.output.glob("bands/**/item.json")
    assert len(json.loads(item.read_text())["assets"]) == 2


def test_overwrite_in_a_run_that_is_cleared_fetches_again(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    ingest(overwrite=True)
    assert len(transfers(connected)) == before + 1


def test_more_bands_whose_download_failed_are_not_called_delivered(connected, ingest):
    connected.add(lake_product())
    ingest()
    connected.faults.add(Fault(service="download", status=403, times=None, match="B05"))
    ran = ingest(make_context(run_id="more"), bands=["SCL_20m", "B05"])
    kinds = [type(error) for error in ran.errors]
    assert kinds[:2] == [AccessDeniedError, NotStagedError]
    assert ran.summary["missing"]


@pytest.fixture
def staged(connected, tmp_path, monkeypatch):
    """What extracts three products, which are staged as one batch."""
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    for hour in (8, 9, 10):
        connected.add(lake_product(sensed=f"2024-08-01T{hour:02}:36:01.024Z", scale=0.003))
    output = {"output_uri": tmp_path.as_uri(), "bands": ["SCL_20m"]}
    search = CopernicusSearchOperator(task_id="search", tiles=["T36TXL"], **output)
    (batch,) = search.execute(make_context())
    CopernicusDownloadOperator(task_id="t", batch=batch, **output).execute(make_context())
    return CopernicusExtractOperator(task_id="t", batch=batch, **output)


@pytest.mark.parametrize(
    ("damage", "kind"), [("receipt", NotStagedError), ("folder", StorageRefusedError)]
)
def test_one_product_that_cannot_be_delivered_leaves_the_others_delivered(
    staged, tmp_path, caplog, damage, kind
):
    receipts = sorted(tmp_path.glob(".staging/**/receipt.json"))
    stems = [path.parent.name for path in receipts]
    if damage == "receipt":
        receipts[1].write_bytes(b"{")
    else:
        folder = tmp_path / "bands/S2MSI2A/2024/08/01"
        folder.mkdir(parents=True)
        (folder / stems[1]).touch()
    with pytest.raises(kind, match=stems[1]):
        staged.execute(make_context())
    lucky = [stems[0], stems[2]]
    assert sorted(path.parent.name for path in tmp_path.glob("bands/**/item.json")) == lucky
    (delivered,) = tmp_path.glob("runs/**/delivered/*.json")
    assert sorted(json.loads(delivered.read_text())) == lucky
    assert stems[1] in caplog.text
