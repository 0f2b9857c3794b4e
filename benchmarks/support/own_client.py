"""Our own client, in this process or as a program.

The program reads its job as one line of JSON, and writes the seconds and the growth of its peak
memory in MB; interpreter and imports are in neither.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio.io  # noqa: F401 - what the first delivery imports
from fsspec.implementations.local import LocalFileSystem

from benchmarks.support.service import PASSWORD, ROOT, USER
from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.geometry import antimeridian  # noqa: F401 - as above
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.json_records import read_json
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_URLS = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")
QUERY = Query(sensed=MISSION, product_type="S2MSI2A")


def client(addresses: Mapping[str, str], connections: int = 4) -> Service:
    """Return a client by HTTPS; nothing is sent yet."""
    endpoints = Endpoints.resolve(**{name: addresses[name] for name in _URLS})
    account = Account(USER, PASSWORD)
    return Service(endpoints, account, connections=connections, transport="https")


def search(addresses: Mapping[str, str]) -> list[Product]:
    """Return all products, without an account."""
    with client(addresses) as asking:
        return asking.catalogue.search(QUERY)


def jobs(products: Sequence[Product], folder: Path, wanted: DeliveryOptions) -> list[ProductJob]:
    """Return the jobs of products below a folder."""
    store, run = Store(LocalFileSystem(), str(folder)), RunLayout("bench", "run")
    return [ProductJob(store, run, product, wanted) for product in products]


def fetch(using: Service, places: Sequence[ProductJob]) -> int:
    """Stage products; return how many needed a download.

    Raises:
        Exception: The first failure of any of them.
    """
    done = [*stage(places, using, _silent)]
    for staged in done:
        if staged.error:
            raise staged.error
    return sum(staged.is_new for staged in done)


def delivered(
    addresses: Mapping[str, str], products: Sequence[Product], folder: Path, wanted: DeliveryOptions
) -> float:
    """Return the seconds of login, file lists, transfers, delivery and logout.

    Raises:
        Exception: The first failure of a product.
    """
    places = jobs(products, folder, wanted)
    by_id = {job.product.id: job for job in places}
    began = time.perf_counter()
    with client(addresses) as using:
        for staged in stage(places, using, _silent):
            if staged.error:
                raise staged.error
            deliver(by_id[staged.product.id])
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Job:
    """Job of the program.

    Attributes:
        addresses: Of the service.
        folder: Output root.
        bands: Band names and patterns.
        transfer: ``files`` or ``archive``.
        keep_archive: Whether zips are kept.
        products: File with the products as JSON; None to search for them.
    """

    addresses: Mapping[str, str]
    folder: str
    bands: Sequence[str] = ("SCL_20m",)
    transfer: str = "files"
    keep_archive: bool = False
    products: str | None = None

    @property
    def wanted(self) -> DeliveryOptions:
        """What of each product."""
        return DeliveryOptions(tuple(self.bands), self.transfer, self.keep_archive)

    def found(self) -> list[Product]:
        """Return the products."""
        if self.products is None:
            return search(self.addresses)
        return read_json(Path(self.products).read_bytes(), list[Product])


@dataclass(frozen=True, slots=True)
class Outcome:
    """Measurements of a run of the program.

    Attributes:
        outside_s: From its start to its end.
        inside_s: Of `delivered`.
        growth_mb: Of its peak memory meanwhile.
    """

    outside_s: float
    inside_s: float
    growth_mb: float


def run(job: Job) -> Outcome:
    """Run the program."""
    command = [sys.executable, "-m", "benchmarks.support.own_client"]
    text = json.dumps(asdict(job))
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    outside_s = time.perf_counter() - began
    return Outcome(outside_s, *json.loads(done.stdout.splitlines()[-1]))


def resident_mb() -> float:
    """Return the current memory of this process."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def peak_mb() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _silent(_name: str, _total_bytes: int | None) -> Any:
    return lambda _size_bytes: None


def main() -> None:
    """Do one job."""
    job = Job(**json.loads(sys.stdin.read()))
    products = job.found()
    before = resident_mb()
    inside_s = delivered(job.addresses, products, Path(job.folder), job.wanted)
    print(json.dumps([inside_s, peak_mb() - before]))


if __name__ == "__main__":
    main()
