"""What is ready of a batch is delivered at the end of each try, whatever its batch-mates do."""

import json

import pytest
from airflow.sdk.execution_time.timeout import TimeoutPosix

from copernicus_dataspace import service
from copernicus_dataspace.errors import (
    AccessDeniedError,
    DataSpaceError,
    ProductUnavailableError,
    RateLimitedError,
    ServiceUnavailableError,
    StorageRefusedError,
    TransientError,
)
from copernicus_dataspace.ingest import run_records
from copernicus_dataspace.limits.backoff import Timing
from copernicus_dataspace.storage import leases
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, transfers
from tests.support.runs.rivals import Rival

EIGHT = range(8)
FAULTS = {
    500: ServiceUnavailableError,
    404: ProductUnavailableError,
    429: RateLimitedError,
    403: AccessDeniedError,
}
WAYS = [{}, {"overwrite": True}, {"transfer": "archive", "keep_archive": True}]


@pytest.fixture(autouse=True)
def one_batch(monkeypatch):
    monkeypatch.setattr(run_records, "FEW_BATCHES", 1)
    monkeypatch.setattr(leases, "SETTLE_S", 0.1)
    hasty = Timing(probe_s=0.01, lateness_s=0.08, longest_wait_s=1, negligible_s=0.002)
    limits = service.ServiceLimits(first_wait_s=0.01, slots=hasty)
    monkeypatch.setattr(service, "SERVICE_LIMITS", limits)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


@pytest.fixture
def eight(connected):
    """Eight products of a day; of the fourth nothing is to be had."""
    made = [
        connected.add(lake_product(sensed=f"2024-08-01T{8 + n:02}:36:01.024Z", scale=0.003))
        for n in EIGHT
    ]
    return made, made[3]


@pytest.fixture
def rival(connected, eight, output):
    def make(run_id="a run", **wanted):
        return Rival(output.as_uri(), run_id, **wanted)

    return make


def stem(product):
    return product.name.removesuffix(".SAFE")


def standing(output):
    found = {}
    for path in output.glob("bands/**/item.json"):
        item = json.loads(path.read_text())
        files = {path.parent / asset["href"]: asset for asset in item["assets"].values()}
        assert all(one.stat().st_size == asset["file:size"] for one, asset in files.items())
        found[item["id"]] = item["properties"]["dataspace:run_id"]
    return found


def in_progress(output):
    return [path.stem for path in output.glob(".staging/.claims/*.json")]


def check_seven(output, eight, run_id="a run"):
    made, bad = eight
    assert standing(output) == {stem(one): run_id for one in made if one is not bad}
    assert in_progress(output) == []


@pytest.mark.parametrize("way", WAYS, ids=["files", "overwrite", "archive"])
@pytest.mark.parametrize("status", FAULTS)
def test_seven_of_eight_stand_after_the_first_try(connected, eight, rival, output, status, way):
    _, bad = eight
    fault = Fault("download", status=status, times=None, match=bad.id, retry_after=0)
    connected.faults.add(fault)
    one = rival(**way)
    with pytest.raises(FAULTS[status]):
        one.download(*one.batches)
    check_seven(output, eight)
    before = len(transfers(connected))
    with pytest.raises(FAULTS[status]):
        one.download(*one.batches)
    assert all(bad.id in request.path for request in transfers(connected)[before:])
    check_seven(output, eight)
    with pytest.raises(DataSpaceError, match="the download has not succeeded"):
        one.extract(*one.batches)
    (delivered,) = output.glob("runs/**/delivered/*.json")
    assert len(json.loads(delivered.read_text())) == 7
    check_seven(output, eight)


@pytest.mark.parametrize("way", WAYS[:2], ids=["files", "overwrite"])
def test_the_last_one_follows_when_it_is_to_be_had(connected, eight, rival, output, way):
    made, bad = eight
    connected.faults.add(Fault("download", status=500, times=None, match=bad.id))
    one = rival(**way)
    with pytest.raises(ServiceUnavailableError):
        one.download(*one.batches)
    connected.faults.clear()
    one.run()
    assert standing(output) == {stem(each): "a run" for each in made}
    asked = [request.path for request in transfers(connected) if request.status == 200]
    assert all(sum(each.id in path for path in asked) == 1 for each in made)
    assert not [path for path in (output / ".staging").rglob("*") if path.is_file()]


def test_another_run_is_not_kept_waiting(connected, eight, rival, output):
    _, bad = eight
    connected.faults.add(Fault("download", status=500, times=None, match=bad.id))
    one, two = rival(), rival("another")
    with pytest.raises(ServiceUnavailableError):
        one.download(*one.batches)
    before = len(transfers(connected))
    connected.faults.clear()
    two.run()
    assert two.waits == []
    assert all(bad.id in request.path for request in transfers(connected)[before:])


def test_runs_that_overwrite_do_not_take_turns(connected, eight, rival, output):
    _, bad = eight
    one, two = (rival(run_id, overwrite=True) for run_id in ("one", "two"))
    connected.faults.add(Fault("download", status=500, times=None, match=bad.id))
    for _ in range(3):
        for run in (one, two):
            with pytest.raises(ServiceUnavailableError):
                run.download(*run.batches)
    good = [one for one in transfers(connected) if bad.id not in one.path]
    assert len(good) == 2 * 7
    connected.faults.clear()
    one.run()
    two.run()
    assert len(standing(output)) == 8


def test_what_keeps_one_product_away_keeps_no_other_back(connected, eight, rival, output):
    _, bad = eight
    one = rival()
    place = output / ".staging/sentinel2_daily/a run" / stem(bad)
    place.parent.mkdir(parents=True)
    place.touch()
    with pytest.raises(StorageRefusedError, match="Not a directory"):
        one.download(*one.batches)
    check_seven(output, eight)


def test_a_task_that_is_timed_out_delivers_what_is_ready(connected, eight, rival, output):
    _, bad = eight
    connected.faults.add(Fault("download", "trickle", times=None, match=bad.id, bytes_per_s=200))
    one = rival()
    with pytest.raises(BaseException, match="too long") as caught, TimeoutPosix(8, "too long"):
        one.download(*one.batches)
    assert type(caught.value).__name__ == "AirflowTaskTimeout"
    check_seven(output, eight)


def test_what_cannot_be_put_in_place_is_named_and_the_others_stand(connected, eight, rival, output):
    made, bad = eight
    connected.faults.add(Fault("download", status=500, times=None, match=bad.id))
    one, blocked = rival(), made[5]
    folder = output / "bands/S2MSI2A/2024/08/01"
    folder.mkdir(parents=True)
    (folder / stem(blocked)).touch()
    with pytest.raises(TransientError, match=r"2 of 8 products failed: .*StorageRefusedError: "):
        one.download(*one.batches)
    assert len(standing(output)) == 6
    assert in_progress(output) == []
