"""Two runs that want the same product: it is fetched once, and neither loses a file."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from fsspec.implementations.local import LocalFileSystem

from airflow_copernicus.runs.context import run_layout
from copernicus_dataspace.errors import AccessDeniedError, DataSpaceError, ServiceUnavailableError
from copernicus_dataspace.ingest import run_records
from copernicus_dataspace.storage import leases
from copernicus_dataspace.storage.layout import lease_path
from copernicus_dataspace.storage.leases import Leases
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, transfers
from tests.support.runs.rivals import Rival, run_together

OTHER = "manual__2024-08-01"
WAYS = [{"transfer": "files"}, {"transfer": "archive", "keep_archive": True}]


@pytest.fixture(autouse=True)
def hurried_claims(monkeypatch):
    monkeypatch.setattr(leases, "SETTLE_S", 0.1)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


@pytest.fixture
def store(output):
    return Store(LocalFileSystem(), str(output))


@pytest.fixture
def rival(connected, output):
    """Return what makes a run that has searched, and is about to download."""

    def make(run_id="scheduled__2024-08-01", *bands, **changes):
        return Rival(output.as_uri(), run_id, bands or ("SCL_20m",), **changes)

    return make


@pytest.fixture
def slow(connected):
    """Transfers take half a second each, so that runs meet."""
    connected.faults.add(
        Fault("download", "trickle", match="(SCL_20m|B05)", times=None, bytes_per_s=100_000)
    )


def fetched(emulator):
    """What bodies were asked for, in order, but for those refused for want of a connection."""
    asked = [one for one in transfers(emulator) if one.status != 429]
    paths = [one.path for one in asked if one.path.endswith("$value")]
    return sorted(path for path in paths if "manifest.safe" not in path)


def names(output):
    """Names of the files that the items list, which all stand."""
    found = []
    for path in output.glob("bands/**/item.json"):
        assets = json.loads(path.read_text())["assets"].values()
        files = {asset["href"].removeprefix("./"): asset["file:size"] for asset in assets}
        assert {name: (path.parent / name).stat().st_size for name in files} == files
        found += files
    return sorted(found)


def staged(output):
    return [path.name for path in (output / ".staging").rglob("*") if path.is_file()]


def claim_of(store, run, product, minutes=0):
    """Let a run lease a product at so many minutes from now."""
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    listed = next(one for one in run_products(store, run) if one.id == product.id)
    other = Leases(store, run_layout(run.context), lambda: at)
    assert other.take(listed) is None
    return other, listed


def run_products(store, run):
    return run_records.RunRecords(store, run_layout(run.context), "search").all_products()


@pytest.mark.parametrize("way", WAYS, ids=["files", "archive"])
@pytest.mark.parametrize("dag_id", ["sentinel2_daily", "sentinel2_lake"])
@pytest.mark.usefixtures("slow")
def test_two_runs_at_once_fetch_a_product_once(connected, rival, output, way, dag_id):
    connected.faults.add(
        Fault("download", "trickle", match=r"Products\([^/]*\)/.value", bytes_per_s=1e6)
    )
    product = connected.add(lake_product())
    one, two = rival(**way), rival(OTHER, dag_id=dag_id, **way)
    run_together(one, two)
    assert len(fetched(connected)) == 1
    assert names(output) == [re.sub(".*/", "", path) for path in product.files if "SCL_20m" in path]
    assert staged(output) == []
    waits = one.waits + two.waits
    assert waits
    assert all(wait - datetime.now(UTC) < timedelta(seconds=30) for wait in waits)


@pytest.mark.usefixtures("slow")
def test_two_runs_at_once_with_other_bands_add_up(connected, rival, output):
    connected.add(lake_product())
    run_together(rival("a", "SCL_20m", "B05_20m"), rival("b", "SCL_20m", "B06_20m"))
    assert [name[-11:-4] for name in names(output)] == ["B05_20m", "B06_20m", "SCL_20m"]
    assert len(fetched(connected)) == 3
    assert staged(output) == []


@pytest.mark.usefixtures("slow")
def test_two_runs_that_share_a_batch_never_wait_for_each_other(
    connected, rival, output, monkeypatch
):
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    for minute in range(24):
        connected.add(lake_product(sensed=f"2024-08-01T08:{minute + 10}:01.024Z", scale=0.003))
    one, two, three = rival("a"), rival("b"), rival("c")
    create = Store.create

    def slowly(store, path, content):
        time.sleep(0.05)  # so that each gets some of them
        return create(store, path, content)

    monkeypatch.setattr(Store, "create", slowly)
    run_together(one, two, three)
    assert len(one.batches) == 1
    assert len(fetched(connected)) == len(set(fetched(connected))) == 24
    assert len(names(output)) == 24
    assert staged(output) == []


def test_a_task_that_waits_names_the_product_and_the_run(connected, rival, store, caplog, capsys):
    first, second = (
        connected.add(lake_product(sensed=f"2024-08-01T{hour}:36:01.024Z")) for hour in (10, 11)
    )
    one, two = rival(), rival(OTHER)
    claim_of(store, two, second)
    one.patiently(one.download, one.batches[0])
    with pytest.raises(AirflowRescheduleException) as caught:
        one.download(one.batches[1])
    assert timedelta(seconds=25) < caught.value.reschedule_date - datetime.now(UTC)
    said = caplog.text + capsys.readouterr().out
    stem = second.name.removesuffix(".SAFE")
    assert (
        f"1 of 1 products wait: {stem} is being downloaded by run sentinel2_daily {OTHER}; retry"
        in said
    )
    assert [first.id in path for path in fetched(connected)] == [True]


def test_others_of_the_batch_are_delivered_before_a_task_waits(
    connected, rival, store, output, monkeypatch
):
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    times = [f"2024-08-01T{hour}:36:01.024Z" for hour in (10, 11, 12)]
    products = [connected.add(lake_product(sensed=sensed)) for sensed in times]
    one, two = rival(), rival(OTHER)
    other, in_progress = claim_of(store, two, products[1])
    with pytest.raises(AirflowRescheduleException):
        one.download(*one.batches)
    assert len(names(output)) == 2
    assert staged(output) == [f"{in_progress.stem}.json"]
    other.release(in_progress)
    one.run()
    assert len(names(output)) == 3
    assert len(fetched(connected)) == 3
    assert staged(output) == []


def test_one_that_fails_is_told_before_one_that_waits(connected, rival, store, monkeypatch):
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    first, second = (
        connected.add(lake_product(sensed=f"2024-08-01T{hour}:36:01.024Z")) for hour in (10, 11)
    )
    connected.faults.add(Fault("download", status=403, times=None, match=first.id))
    one, two = rival(), rival(OTHER)
    claim_of(store, two, second)
    with pytest.raises(AccessDeniedError):
        one.download(*one.batches)


@pytest.mark.parametrize("way", WAYS, ids=["files", "archive"])
def test_what_a_dead_run_has_claimed_is_taken_over(connected, rival, store, output, way):
    product = connected.add(lake_product())
    dead, alive = rival(OTHER, **way), rival(**way)
    claim_of(store, dead, product, minutes=-6)
    alive.run()
    assert alive.waits == []
    assert len(names(output)) == 1
    dead.run()
    assert len(fetched(connected)) == 1
    assert staged(output) == []


def test_a_run_passes_its_own_claim(connected, rival, store, output):
    product = connected.add(lake_product())
    one = rival()
    claim_of(store, one, product)
    one.run()
    assert one.waits == []
    assert staged(output) == []


def test_a_download_that_fails_lets_others_have_the_product(connected, rival, output):
    connected.add(lake_product())
    fault = Fault("download", status=500, times=None)
    connected.faults.add(fault)
    one, two = rival(), rival(OTHER)
    with pytest.raises(ServiceUnavailableError):
        one.download(*one.batches)
    assert staged(output) == []
    connected.faults.clear()
    two.run()
    assert two.waits == []
    with pytest.raises(DataSpaceError, match="the download has not succeeded") as caught:
        rival("never fetched", "SCL_20m", "B05").extract(*one.batches)
    assert "NotStaged" in type(caught.value).__name__
    assert staged(output) == []


def test_what_is_staged_is_kept_for_its_run(connected, rival, output):
    connected.add(lake_product())
    one, two = rival(), rival(OTHER, "SCL_20m", "B05_20m")
    one.download(*one.batches)
    with pytest.raises(AirflowRescheduleException):
        two.download(*two.batches)
    one.extract(*one.batches)
    two.run()
    assert len(fetched(connected)) == len(names(output)) == 2


def test_an_extraction_waits_for_a_run_that_took_the_product_over(
    connected, rival, store, output, monkeypatch
):
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    first, _ = (
        connected.add(lake_product(sensed=f"2024-08-01T{hour}:36:01.024Z")) for hour in (10, 11)
    )
    one, two = rival(), rival(OTHER, "SCL_20m", "B05_20m")
    one.download(*one.batches)
    (listed,) = (each for each in run_products(store, one) if each.id == first.id)
    store.delete(lease_path(listed))
    other, _ = claim_of(store, two, first)
    with pytest.raises(AirflowRescheduleException):
        one.extract(*one.batches)
    assert len(names(output)) == 1
    other.release(listed)
    one.extract(*one.batches)
    assert len(names(output)) == 2
    assert staged(output) == []


def test_a_claim_outlives_a_transfer_that_takes_longer_than_its_lease(
    connected, rival, output, monkeypatch
):
    monkeypatch.setattr(leases, "WORKING", timedelta(seconds=1))
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.1)
    connected.faults.add(
        Fault("download", "trickle", match="SCL_20m", times=None, bytes_per_s=15_000)
    )
    connected.add(lake_product())
    run_together(rival(), rival(OTHER))
    assert len(fetched(connected)) == 1
    assert len(names(output)) == 1


def test_looks_at_what_others_fetch_leave_no_records(connected, rival, store, output):
    product = connected.add(lake_product())
    one, two = rival(), rival(OTHER)
    claim_of(store, two, product)
    for _ in range(3):
        with pytest.raises(AirflowRescheduleException):
            one.download(*one.batches)
    assert list(output.glob("runs/**/attempts/*")) == []
