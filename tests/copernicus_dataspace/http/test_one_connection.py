"""A doubtful file in a zip is asked about without a second connection, which there may not be."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PROGRAM = """
import faulthandler, sys, tempfile
faulthandler.dump_traceback_later(15, exit=True)
from fsspec.implementations.local import LocalFileSystem
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.ingest.product_job import ProductJob, DeliveryOptions
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Emulator, make_product
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

count, kept = int(sys.argv[1]), sys.argv[2] == "kept"
wanted = DeliveryOptions(("SCL_20m",), "archive", keep_archive=kept)

with Emulator() as emulator, tempfile.TemporaryDirectory() as folder:
    for day in range(count):
        sensed = f"2024-08-0{day + 1}T08:36:01.024Z"
        emulator.add(make_product(sensed=sensed, scale=0.003, stac="wrong"))
    with Service(endpoints_of(emulator), account_of(emulator), connections=count) as client:
        found = client.catalogue.search(Query(sensed=MISSION, tiles=("36TXL",)))
        store = Store(LocalFileSystem(), folder)
        jobs = [ProductJob(store, RunLayout("dag", "run"), one, wanted) for one in found]
        staged = stage(jobs, client, lambda *_: lambda _: None)
        failed = [one.error for one in staged if one.error]
sys.exit(f"failed: {failed}" if failed else 0)
"""


@pytest.mark.parametrize(("count", "keep"), [(1, "dropped"), (4, "kept")])
def test_wrong_listings_do_not_block_zips(count, keep):
    """As many zips as connections are under way, and each meets a file that is not as listed."""
    command = [sys.executable, "-c", _PROGRAM, str(count), keep]
    ended = subprocess.run(
        command,
        cwd=_ROOT,
        env={"PYTHONPATH": ".:include"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
