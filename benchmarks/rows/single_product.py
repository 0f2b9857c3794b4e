"""Cost of one file of one full-size product, first and repeated; and of the DAG file."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.support.own_client import QUERY, client, fetch, jobs, search
from benchmarks.support.service import ROOT
from benchmarks.support.table import row
from copernicus_dataspace.download.file_list import list_products
from copernicus_dataspace.ingest.delivery import deliver
from copernicus_dataspace.ingest.product_job import DeliveryOptions

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.support.service import Service

_BANDS: Final = ("SCL_20m",)


def measure_single(service: Service, scratch: Path) -> None:
    """Count requests and bytes of one SCL, and the requests of a repeated run."""
    (product,) = search(service.addresses)
    (job,) = jobs([product], scratch / "one", DeliveryOptions(_BANDS))
    with client(service.addresses) as using:
        using.tokens.token()
        requests, received = using.statistics.requests, using.statistics.bytes
        fetch(using, [job])
        requests, received = using.statistics.requests - requests, using.statistics.bytes - received
        listed_from = using.statistics.bytes
        list_products([product], _BANDS, using.downloads, using.stac)
        listing_bytes = using.statistics.bytes - listed_from
    (scl,) = deliver(job).chosen(_BANDS)
    needed = scl.size_bytes + listing_bytes
    row("SCL_20m of one product: requests", str(requests), "<= 2")
    row("  bytes / (SCL + listing)", f"{received / needed:.3f}", "<= 1.1")
    row("  whole zip / bytes", f"{(product.size_bytes or 0) / received:.0f}", "200 to 1000")
    _rerun(service, scratch)


def _rerun(service: Service, scratch: Path) -> None:
    with client(service.addresses) as using:
        found = using.catalogue.search(QUERY)
        searched = using.statistics.requests
        fetched = fetch(using, jobs(found, scratch / "one", DeliveryOptions(_BANDS)))
        total = using.statistics.requests
    seen = f"{searched} search, {total - searched} others"
    row("rerun of a finished day", "fetched again" if fetched else seen, "1 search, 0 others")


def measure_parsing() -> None:
    """Compare parsing the DAG file with an empty one of the same airflow.sdk import."""
    empty = "from airflow.sdk import DAG, Asset, task, task_group"
    ours = "import sys; sys.path.insert(0, 'dags'); import sentinel2_daily"
    taken = {code: statistics.median(_python(code) for _ in range(5)) for code in (empty, ours)}
    ratio = taken[ours] / taken[empty]
    row("parsing the DAG file / an empty one", f"{ratio:.2f} ({taken[ours]:.2f} s)", "<= 1.5")


def _python(code: str) -> float:
    """Return the seconds that code takes in a fresh interpreter, without its start."""
    timed = f"import time; t = time.perf_counter(); {code}\nprint(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", timed], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.strip().splitlines()[-1])
