"""Every cell of the matrix of an output's faults, and what a bucket may lack."""

import errno
import os
from datetime import UTC, datetime

import pytest
from airflow.sdk import RetryAction
from moto.server import ThreadedMotoServer

from copernicus_dataspace.errors import (
    NoConditionalWriteError,
    PermanentError,
    StorageFullError,
    StorageRefusedError,
    StorageUnavailableError,
    TransientError,
)
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.storage import leases
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.leases import Leases
from tests.airflow_copernicus.conftest import lake_product, transfers
from tests.support.faults import storage_matrix as matrix
from tests.support.faults.faulty_s3 import CONNECTION_ID, FaultyBucket, FaultyS3, S3Fault
from tests.support.faults.storage_scene import STEPS, Disk, Run, number_of

pytest.importorskip("airflow.providers.amazon", reason="needs the provider of Amazon")

SENSED = datetime(2024, 8, 1, 8, 36, 1, tzinfo=UTC)
LACKING = [row for row in matrix.ROWS if row.s3.get("header") == "If-None-Match"]


@pytest.fixture(scope="module")
def moto_url():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def faulty(moto_url):
    with FaultyS3(moto_url) as running:
        yield running


@pytest.fixture
def s3(faulty):
    """The same for all, as Airflow keeps what it has opened by a connection."""
    yield faulty
    faulty.faults.clear()


@pytest.fixture
def bucket(s3, connect, monkeypatch):
    made = FaultyBucket(s3, f"output-{os.urandom(4).hex()}")
    connect(made.connection, CONNECTION_ID)
    roots = f"{os.environ['SENTINEL2_OUTPUT_ROOTS']},s3://{CONNECTION_ID}@{made.name}"
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", roots)
    monkeypatch.setattr(leases, "SETTLE_S", 0.1)
    return made


@pytest.fixture
def disk(monkeypatch, tmp_path):
    return Disk(monkeypatch, tmp_path / "output")


@pytest.fixture
def product(connected):
    return connected.add(lake_product(scale=0.003))


@pytest.fixture
def of_bucket(bucket, tmp_path):
    """A run into the bucket, what lets it fail and work, and what stands in it."""
    return Run(bucket.uri, tmp_path), bucket.s3.faults.append, bucket.s3.faults.clear, bucket.paths


@pytest.fixture
def of_disk(disk, tmp_path):
    """The same of a disk."""
    output = tmp_path / "output"

    def paths():
        return [str(one.relative_to(output)) for one in output.rglob("*") if one.is_file()]

    return Run(output.as_uri(), tmp_path), disk.fails, disk.works, paths


def marked(cell):
    return pytest.param(
        cell, id=str(cell), marks=() if str(cell) in matrix.SAMPLE else pytest.mark.long
    )


def of_kind(*, is_disk):
    return [marked(cell) for cell in matrix.TESTED if bool(cell.fault.errno) is is_disk]


@pytest.mark.parametrize("cell", of_kind(is_disk=True))
def test_cell_of_a_disk(of_disk, product, cell):
    run, fails, works, paths = of_disk
    run.up_to(cell.step)
    fails(number_of(cell.fault.errno), *cell.fault.calls)
    check(run, cell, os.strerror(number_of(cell.fault.errno)), "/output")
    works()
    ends_well(run, paths)


@pytest.mark.parametrize("cell", of_kind(is_disk=False))
def test_cell_of_a_bucket(of_bucket, bucket, product, cell):
    run, fails, works, paths = of_bucket
    run.up_to(cell.step)
    fails(cell.fault.make())
    check(run, cell, cell.fault.s3.get("code", ""), f"s3://{bucket.name}/sentinel2")
    works()
    ends_well(run, paths)


def check(run, cell, said, address):
    """Compare what becomes of the task with what is right."""
    right = cell.right
    if right.error is None:
        getattr(run, cell.step)()
        return
    error, decision = run.failure(cell.step)
    assert type(error) is right.error
    assert isinstance(error, TransientError) is right.heals_later
    assert isinstance(error, PermanentError) is not right.heals_later
    assert (decision.action is RetryAction.FAIL) is not right.heals_later
    assert address in str(error)
    assert said in str(error) or "HTTP" in str(error)  # an answer to HEAD has no words


def ends_well(run, paths):
    """Do all once more, as Airflow does later, or as a person does who clears the run."""
    run.whole()
    assert len([path for path in paths() if path.endswith("_SCL_20m.jp2")]) == 1
    assert [path for path in paths() if path.startswith(".staging/") or "/probe/" in path] == []


def test_the_sample_meets_every_task_and_every_fault():
    sample = [cell for cell in matrix.TESTED if str(cell) in matrix.SAMPLE]
    assert {cell.step for cell in sample} == {*STEPS}
    assert {cell.right.text for cell in sample} == {cell.right.text for cell in matrix.TESTED}


@pytest.mark.parametrize("fault", LACKING, ids=lambda one: one.name)
def test_a_bucket_that_cannot_keep_runs_apart_is_refused_in_words(
    of_bucket, product, connected, fault
):
    run, fails, *_ = of_bucket
    fails(fault.make())
    error, decision = run.failure("search")
    assert isinstance(error.__cause__, NoConditionalWriteError)
    assert decision.action is RetryAction.FAIL
    assert "set one_run_at_a_time if no other run writes" in str(error)
    assert transfers(connected) == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(one, id=one.name, marks=pytest.mark.long if number else ())
        for number, one in enumerate(LACKING)
    ],
)
def test_for_one_run_at_a_time_such_a_bucket_will_do(bucket, product, tmp_path, fault):
    bucket.s3.faults.append(fault.make())
    run = Run(bucket.uri, tmp_path, one_run_at_a_time=True)
    ends_well(run, bucket.paths)
    ends_well(run, bucket.paths)


def test_a_bucket_that_no_run_may_list_is_refused(of_bucket, product, connected):
    run, fails, *_ = of_bucket
    fails(S3Fault(403, "AccessDenied", ("GET",), match="list-type"))
    error, _ = run.failure("search")
    assert isinstance(error.__cause__, StorageRefusedError)
    assert "AccessDenied" in str(error)
    assert transfers(connected) == []


def test_a_bucket_that_no_run_may_read_is_refused(of_bucket, product, connected):
    run, fails, *_ = of_bucket
    fails(S3Fault(403, "AccessDenied", ("GET", "HEAD"), match="/probe/"))
    error, _ = run.failure("search")
    assert isinstance(error.__cause__, StorageRefusedError)
    assert "AccessDenied" in str(error)
    assert transfers(connected) == []


def test_a_bucket_that_ignores_ranges_is_refused(of_bucket, product, connected):
    run, fails, *_ = of_bucket
    fails(S3Fault(methods=("GET",), header="Range"))
    error, _ = run.failure("search")
    assert isinstance(error.__cause__, StorageRefusedError)
    assert "cannot be read in parts" in str(error)
    assert transfers(connected) == []


def test_a_bucket_that_knows_no_parts_takes_large_files_whole(bucket):
    bucket.s3.faults.append(S3Fault(501, "NotImplemented", ("POST",), match=r"\?uploads"))
    store, size_bytes = bucket.store(), 101 << 20
    with store.incoming("large") as local, local.open("wb") as file:
        file.truncate(size_bytes)
    assert store.size("large") == size_bytes


@pytest.mark.parametrize(
    ("size_bytes", "fault", "tries"),
    [
        (10, S3Fault(501, "NotImplemented", ("PUT",)), ["PUT"]),
        (101 << 20, S3Fault(400, "InvalidArgument", ("POST",), match=r"\?uploads"), ["POST"]),
    ],
    ids=["small", "other reason"],
)
def test_nothing_else_is_sent_again_as_a_whole(bucket, size_bytes, fault, tries):
    bucket.s3.faults.append(fault)
    bucket.s3.requests.clear()
    with (
        pytest.raises(StorageRefusedError),
        bucket.store().incoming("file") as local,
        local.open("wb") as file,
    ):
        file.truncate(size_bytes)
    assert [method for method, _ in bucket.s3.requests] == tries


def test_of_two_runs_a_bucket_that_ignores_the_condition_gives_one_the_product(bucket, product):
    bucket.s3.faults.append(S3Fault(methods=("PUT",), header="If-None-Match"))
    wanted = Product(id="x", name=product.name, sensed=SENSED, product_type="S2MSI2A")
    one, two = (Leases(bucket.store(), RunLayout("daily", run_id)) for run_id in ("one", "two"))
    assert one.take(wanted) is None
    assert two.take(wanted) == "daily one"
    one.release(wanted)
    assert bucket.paths() == []


def test_a_fault_that_passes_within_seconds_is_none(of_bucket, bucket, product):
    run, fails, _, paths = of_bucket
    fails(S3Fault(503, "SlowDown", ("PUT",), times=2))
    ends_well(run, paths)
    assert bucket.s3.faults == []


def test_keys_that_nobody_gave_are_named(bucket, connect, monkeypatch, tmp_path):
    connect({**bucket.connection, "login": "", "password": ""}, "keyless")
    uri = bucket.uri.replace(CONNECTION_ID, "keyless")
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", uri)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    bucket.s3.faults.append(S3Fault(403, "AccessDenied"))
    error, _ = Run(uri, tmp_path).failure("search")
    assert isinstance(error.__cause__, StorageRefusedError)
    assert bucket.name in str(error)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ESTALE, StorageUnavailableError),
        (errno.ENOSPC, StorageFullError),
    ],
)
def test_a_disk_that_fails_once_is_good_at_the_next_try(disk, product, tmp_path, number, kind):
    run = Run((tmp_path / "output").as_uri(), tmp_path)
    for step in STEPS:
        disk.fails(number, "replace")
        assert type(run.failure(step)[0]) is kind
        disk.works()
        getattr(run, step)()
