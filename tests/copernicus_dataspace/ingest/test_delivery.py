"""Death at any step, then a rerun: all is right in the end, and nothing was wrong between."""

import hashlib
from dataclasses import replace

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.errors import CorruptDownloadError, NotStagedError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob, Receipt
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout, bands_dir
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Fault, make_product
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

BANDS = ("SCL_20m", "B02_60m", "*/MTD_TL.xml")
STEPS = ("write", "create", "move", "delete", "read", "size", "sizes", "open")


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


class MortalStore(Store):
    """Dies before its nth operation."""

    def __init__(self, root, lives):
        super().__init__(LocalFileSystem(), root)
        self.lives = lives

    def step(self):
        self.lives -= 1
        if self.lives < 0:
            raise Killed


def _mortal(name):
    def operation(self, *args, **kwargs):
        self.step()
        return getattr(Store, name)(self, *args, **kwargs)

    return operation


for _name in STEPS:
    setattr(MortalStore, _name, _mortal(_name))


@pytest.fixture
def offered(emulator):
    return emulator.add(make_product(tile="36TXL", sensed="2024-08-01T08:36:01.024Z", scale=0.01))


@pytest.fixture
def product(client, offered):
    (found,) = client.catalogue.search(Query(sensed=MISSION, product_ids=(offered.id,)))
    return found


def _at_once(_seconds):
    pass


def fetch(job, service):
    (staged,) = stage([job], service, lambda *_: lambda _: None)
    if staged.error:
        raise staged.error


@pytest.fixture
def run_once(emulator, product, tmp_path):
    def run(wanted, lives=10_000, run_id="r"):
        store = MortalStore(str(tmp_path / "out"), lives)
        job = ProductJob(store, RunLayout("dag", run_id), product, wanted)
        with Service(endpoints_of(emulator), account_of(emulator), sleep=_at_once) as fresh:
            fetch(job, fresh)
        deliver(job)
        return store

    return run


def standing(tmp_path, product):
    folder = tmp_path / "out" / bands_dir(product)
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("transfer", ["files", "archive"])
def test_death_before_any_step_is_survived(run_once, offered, product, tmp_path, transfer):
    wanted = DeliveryOptions(BANDS, transfer, keep_archive=transfer == "archive")
    true = {path.rpartition("/")[2]: offered.read(path) for path in offered.files}
    deaths = 0
    for lives in range(200):
        try:
            run_once(wanted, lives)
        except Killed:
            deaths += 1
        found = standing(tmp_path, product)
        found.pop("item.json", None)
        assert all(content == true[name] for name, content in found.items())
        if deaths <= lives:
            break
    assert deaths > 10
    assert len(found) == 3
    assert not [p for p in (tmp_path / "out" / ".staging").rglob("*") if p.is_file()]


def test_what_was_staged_before_a_death_is_not_fetched_again(emulator, run_once, product):
    for lives in range(200):
        try:
            run_once(DeliveryOptions(BANDS), lives)
        except Killed:
            continue
        break
    paths = [request.path for request in emulator.requests if request.service == "download"]
    fetched = [path for path in paths if "manifest.safe" not in path]
    assert len(fetched) == len(set(fetched))


def test_a_manifest_that_arrived_damaged_is_fetched_again(
    emulator, run_once, offered, tmp_path, product
):
    manifest = offered.read("manifest.safe").decode()
    (path,) = (path for path in offered.files if path.endswith("_SCL_20m.jp2"))
    digest = hashlib.sha3_256(offered.read(path)).hexdigest()
    at = manifest.lower().index(digest) + 0.5
    emulator.faults.add(
        Fault(service="download", kind="flipped_bit", match="manifest.safe", at=at / len(manifest))
    )
    run_once(DeliveryOptions(("SCL_20m", "*/MTD_TL.xml")))
    manifests = [one for one in emulator.requests if "manifest.safe" in one.path]
    assert len(manifests) == 2
    assert standing(tmp_path, product)[path.rpartition("/")[2]] == offered.read(path)


def test_nothing_staged_is_nothing_delivered(product, tmp_path):
    store = Store(LocalFileSystem(), str(tmp_path))
    with pytest.raises(NotStagedError, match="nothing to deliver"):
        deliver(ProductJob(store, RunLayout("dag", "run"), product, DeliveryOptions(BANDS)))


def test_every_wrong_file_is_named(emulator, run_once):
    for band in ("SCL_20m", "B02_60m"):
        emulator.faults.add(Fault(service="download", kind="zeros", match=band, times=None))
    with pytest.raises(CorruptDownloadError, match=r"2 of 3 files are corrupt.*SCL_20m.*B02_60m"):
        run_once(DeliveryOptions(BANDS))


def test_two_runs_add_up(run_once, product, tmp_path):
    run_once(DeliveryOptions(("SCL_20m",)), run_id="one")
    run_once(DeliveryOptions(("B02_60m", "SCL_20m")), run_id="two")
    assert len(standing(tmp_path, product)) == 3


def test_a_receipt_survives_its_file():
    receipt = Receipt("id", {"SCL_20m": ("a/b",)}, ())
    assert Receipt.read(receipt.to_bytes()) == receipt


@pytest.fixture
def staged(client, product, tmp_path):
    """The job of the product, whose files are staged and not delivered."""
    store = Store(LocalFileSystem(), str(tmp_path / "out"))
    job = ProductJob(store, RunLayout("dag", "run"), product, DeliveryOptions(BANDS))
    fetch(job, client)
    return job


def test_a_receipt_of_another_product_of_the_name_is_not_taken(staged):
    twin = replace(staged, product=replace(staged.product, id="another"))
    assert staged.receipt().product_id == staged.product.id
    assert twin.receipt() is None
    with pytest.raises(NotStagedError):
        deliver(twin)
    assert len(deliver(staged).files) == 3


@pytest.mark.parametrize("size_bytes", [0, 10**6])
def test_a_staged_file_that_is_not_the_receipts_is_not_placed(
    staged, client, offered, product, tmp_path, size_bytes
):
    (scl,) = (tmp_path / "out" / ".staging").rglob("*_SCL_20m.jp2")
    scl.write_bytes(bytes(size_bytes))
    with pytest.raises(NotStagedError):
        deliver(staged)
    assert scl.name not in standing(tmp_path, product)
    fetch(staged, client)
    deliver(staged)
    (path,) = (path for path in offered.files if path.endswith(scl.name))
    assert standing(tmp_path, product)[scl.name] == offered.read(path)
