"""Whom to believe about a product's files: STAC until something is doubtful, then its manifest."""

import contextlib
import hashlib
import logging
import threading
from collections import Counter
from dataclasses import replace

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.download.file_list import list_products
from copernicus_dataspace.errors import BandError
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.limits.transfer_slots import TransferSlots
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout, bands_dir
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Fault, make_product
from copernicus_dataspace_emulator.stac import assets
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

BANDS = ("SCL_20m", "B09_60m")


@pytest.fixture
def offer(emulator):
    def run(day=1, **facts):
        return emulator.add(
            make_product(sensed=f"2024-08-{day:02}T08:36:01Z", scale=0.003, **facts)
        )

    return run


class Ran:
    """What one run made of all products of the emulator, by product id."""

    def __init__(self, folder):
        self.folder, self.outcomes, self.jobs = folder, {}, {}

    def is_right(self, offered, count=2):
        """All files stand, and the item promises the digests of the true bytes."""
        assert self.outcomes[offered.id].is_new
        job = self.jobs[offered.id]
        files = deliver(job).files
        folder = self.folder / bands_dir(job.product)
        return len(files) == count and all(
            (folder / file.name).read_bytes() == offered.read(path)
            and file.checksum.value == offered.files[path].digest
            and file.size_bytes == offered.files[path].size
            for path, file in files.items()
        )


@pytest.fixture
def run(emulator, tmp_path):
    def run_all(bands=BANDS, transfer="files", endpoints=None, connections=4):
        ran = Ran(tmp_path)
        store = Store(LocalFileSystem(), str(tmp_path))
        with Service(
            endpoints or endpoints_of(emulator),
            account_of(emulator),
            connections=connections,
            sleep=lambda _: None,
        ) as client:
            for product in client.catalogue.search(Query(sensed=MISSION)):
                job = ProductJob(
                    store, RunLayout("dag", "run"), product, DeliveryOptions(bands, transfer)
                )
                ran.jobs[product.id] = job
            jobs = list(ran.jobs.values())
            for staged in stage(jobs, client, lambda *_: lambda _: None):
                ran.outcomes[staged.product.id] = staged
        return ran

    return run_all


def asked(emulator, service="download"):
    """How often each thing was asked for, by the last part of its path."""
    paths = (
        one.path.removesuffix("/$value") for one in emulator.requests if one.service == service
    )
    return Counter(path.rpartition("/")[2] for path in paths)


def manifests(emulator):
    return asked(emulator)["Nodes(manifest.safe)"]


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_many_products_take_one_question_and_one_request_a_file(emulator, offer, run):
    offered = [offer(day) for day in range(1, 7)]
    ran = run()
    assert all(ran.is_right(one) for one in offered)
    assert asked(emulator, "stac") == {"search": 1}
    assert set(asked(emulator).values()) == {1}
    assert sum(asked(emulator).values()) == 2 * len(offered)


def test_each_product_type_takes_one_question(emulator, client, offer):
    for facts in ({}, {"day": 2}, {"level": "L1C"}):
        offer(**facts)
    found = client.catalogue.search(Query(sensed=MISSION))
    listings = list_products(found, ("B09",), client.downloads, client.stac)
    assert all(listings[product.id].select(("B09",)) for product in found)
    assert asked(emulator, "stac") == {"search": 2}
    assert not asked(emulator)


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 404}, {"kind": "html"}, {"kind": "reset"}, {"kind": "redirect"}],
    ids=str,
)
def test_stac_away_is_one_warning_and_no_harm(emulator, offer, run, caplog, fault):
    emulator.faults.add(Fault(service="stac", times=None, **fault))
    offered = [offer(day) for day in (1, 2)]
    ran = run()
    assert all(ran.is_right(one) for one in offered)
    assert manifests(emulator) == 2
    told = [text for text in warnings(caplog) if "manifests are used instead" in text]
    assert len(told) == 1
    assert all("STAC" in text for text in warnings(caplog))


def test_stac_switched_off_is_no_warning(emulator, offer, run, caplog):
    offered = offer()
    ran = run(endpoints=replace(endpoints_of(emulator), stac_url=None))
    assert ran.is_right(offered)
    assert (manifests(emulator), warnings(caplog)) == (1, [])


def test_a_wrong_digest_is_decided_by_the_manifest_asked_once(emulator, offer, run):
    offered = offer(stac="wrong")
    assert run().is_right(offered)
    assert len(asked(emulator)) == 3
    assert set(asked(emulator).values()) == {1}


@pytest.fixture
def no_nesting(monkeypatch):
    """An error in place of the endless wait of a thread that holds a slot and wants another."""
    held, slot = threading.local(), TransferSlots.slot

    @contextlib.contextmanager
    def guarded(self, *tries):
        assert not getattr(held, "slot", False), "a thread that holds a slot waits for another"
        with slot(self, *tries) as taken:
            held.slot = True
            try:
                yield taken
            finally:
                held.slot = False

    monkeypatch.setattr(TransferSlots, "slot", guarded)


@pytest.mark.parametrize("connections", [1, 2])
def test_a_wrong_digest_of_a_member_is_decided_while_the_zip_arrives(
    emulator, offer, run, no_nesting, connections
):
    offered = [offer(day, stac="wrong") for day in (1, 2)]
    """By the manifest inside the zip, which need not be asked for."""
    ran = run(transfer="archive", connections=connections)
    assert all(ran.is_right(one) for one in offered)
    assert sum(asked(emulator).values()) == len(offered)


@pytest.mark.parametrize("off_bytes", [17, -1, 10**18])
def test_a_wrong_size_is_told_and_accepted(offer, run, caplog, monkeypatch, off_bytes):
    monkeypatch.setattr(assets, "OFF_BY", off_bytes)
    offered = offer(stac="wrong_size")
    assert run().is_right(offered)
    sizes = [text for text in warnings(caplog) if "the listed size is wrong" in text]
    assert len(sizes) == (0 if off_bytes > 10**12 else len(BANDS))


@pytest.mark.parametrize("what", ["absent", "late", "other_id"])
def test_what_stac_does_not_know_is_asked_of_the_manifest(emulator, offer, run, what, caplog):
    offered = [offer(1, stac=what), offer(2)]
    ran = run()
    assert all(ran.is_right(one) for one in offered)
    assert (manifests(emulator), warnings(caplog)) == (1, [])


@pytest.mark.parametrize(
    ("bands", "count"),
    [
        (("*/MTD_TL.xml", "SCL_20m"), 2),
        (("SCL_60m", "*_SCL_?0m.jp2"), 2),
        (("*QI_DATA/MSK_CLDPRB_*",), 2),
    ],
)
def test_patterns_are_asked_of_the_manifest(emulator, offer, run, bands, count):
    offered = offer()
    assert run(bands).is_right(offered, count)
    assert manifests(emulator) == 1
    assert not asked(emulator, "stac")


@pytest.mark.parametrize("bands", [("CLDPRB",), ("CLDPRB_60m", "SNWPRB_20m"), ("B02", "SCL")])
def test_masks_and_bare_bands_need_no_manifest(emulator, offer, run, bands):
    offered = offer()
    assert run(bands).is_right(offered, len(bands))
    assert sum(asked(emulator).values()) == len(bands)
    assert not manifests(emulator)


@pytest.mark.parametrize("stac", ["listed", "absent"])
def test_two_names_of_one_file_mean_one_file(client, offer, stac):
    offer(stac=stac)
    found = client.catalogue.search(Query(sensed=MISSION))
    bands = ("SCL", "SCL_20m")
    (listing,) = list_products(found, bands, client.downloads, client.stac).values()
    assert [len(files) for files in listing.select(bands).values()] == [1, 1]


@pytest.mark.parametrize("stac", ["listed", "absent"])
def test_what_no_product_holds_is_said_by_the_manifest(emulator, client, offer, stac):
    offer(stac=stac)
    (product,) = client.catalogue.search(Query(sensed=MISSION))
    (listing,) = list_products([product], ("*.tif",), client.downloads, client.stac).values()
    with pytest.raises(BandError, match="has no file for"):
        listing.select(("*.tif",))
    assert manifests(emulator) == 1


def test_a_product_with_an_older_name_is_asked_for_its_manifest(emulator, client, offer):
    offer()
    (product,) = client.catalogue.search(Query(sensed=MISSION))
    older = replace(product, name="S2A_OPER_PRD_MSIL2A_PDMC_20160101T000000_R001")
    path = f"Products({product.id})/Nodes({older.stem}.SAFE)/Nodes(manifest.safe)"
    (listing,) = list_products([older], BANDS, client.downloads, client.stac).values()
    with pytest.raises(Exception, match="HTTP 404"):
        listing.select(BANDS)
    assert not asked(emulator, "stac")
    assert path in emulator.requests[-1].path


def test_a_manifest_with_a_damaged_digest_heals_by_a_fresh_one(emulator, offer, run):
    offered = offer(stac="absent")
    manifest = offered.read("manifest.safe").decode().lower()
    (path,) = (path for path in offered.files if path.endswith("_SCL_20m.jp2"))
    at = manifest.index(hashlib.sha3_256(offered.read(path)).hexdigest()) + 0.5
    flip = {"kind": "flipped_bit", "match": "manifest.safe", "at": at / len(manifest)}
    emulator.faults.add(Fault(service="download", **flip))
    assert run().is_right(offered)
    assert manifests(emulator) == 2
    assert sum(asked(emulator).values()) == 4


def test_without_a_second_opinion_a_doubtful_file_is_refused(emulator, offer, run, caplog):
    offered = offer(stac="wrong")
    emulator.faults.add(Fault(service="download", match="manifest.safe", status=403, times=None))
    error = run().outcomes[offered.id]
    assert "2 of 2 files are corrupt" in str(error)
    assert len([text for text in warnings(caplog) if "the manifest is not available" in text]) == 1
    assert manifests(emulator) == 1


def test_one_product_failing_leaves_the_others_alone(emulator, offer, run):
    bad, good = offer(1), offer(2)
    emulator.faults.add(Fault(service="download", match=bad.id, status=404, times=None))
    ran = run()
    assert ran.is_right(good)
    assert "404" in str(ran.outcomes[bad.id])
