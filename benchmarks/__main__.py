"""Measures speed, memory and requests against the emulator, side by side with plain tools.

    make bench

Prints one row per figure: what, measured, goal. Ratios are taken within one run; nothing here is
a test, because another machine gives other numbers.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fsspec.implementations.local import LocalFileSystem

from dataspace.archive import open_archive
from dataspace.auth import Account
from dataspace.bands import select_files
from dataspace.client import DataSpaceClient
from dataspace.delivery import deliver, stage
from dataspace.endpoints import Endpoints
from dataspace.layout import RunLayout
from dataspace.query import Query
from dataspace.shelf import Shelf, Wanted
from dataspace.store import Store
from dataspace.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataspace.product import Product

ROOT: Final = Path(__file__).resolve().parents[1]
DAY: Final = "2024-08-01"
TILE: Final = "36TXL"
USER: Final = "user@example.org"
PASSWORD: Final = "rehearsal"  # noqa: S105 - of the emulator this script starts
ROUNDS: Final = 3
MB: Final = 1e6


def main() -> None:
    """Run every measurement."""
    with tempfile.TemporaryDirectory() as folder, _emulator() as urls:
        scratch = Path(folder)
        product = _search(urls)
        _row("figure", "measured", "goal")
        _one_file(urls, product, scratch)
        _archive(urls, product, scratch)
        _rerun(urls, product, scratch)
    _imports()


def _one_file(urls: dict[str, str], product: Product, scratch: Path) -> None:
    """Cost of one SCL out of a full-size product."""
    shelf = _shelf(product, scratch / "one", Wanted(("SCL_20m",)))
    with _client(urls) as client:
        client.tokens.token()
        requests, received = client.traffic.requests, client.traffic.bytes
        stage(shelf, client.downloads, _silent)
        requests, received = client.traffic.requests - requests, client.traffic.bytes - received
        manifest_bytes = len(client.downloads.manifest(product))
    (scl,) = deliver(shelf).chosen(("SCL_20m",))
    needed = scl.size_bytes + manifest_bytes
    _row("SCL_20m of one product: requests", str(requests), "<= 2")
    _row("  bytes / (SCL + manifest)", f"{received / needed:.3f}", "<= 1.1")
    _row("  whole zip / bytes", f"{(product.size_bytes or 0) / received:.0f}", "200 to 1000")


def _archive(urls: dict[str, str], product: Product, scratch: Path) -> None:
    """Throughput, memory and extraction of a whole zip."""
    ours, plain, growths = [], [], []
    for number in range(ROUNDS):
        plain.append(_curl(urls, product, scratch / "curl.zip"))
        seconds, growth = _child(urls, scratch / f"archive{number}")
        ours.append(seconds)
        growths.append(growth)
    ratio = statistics.median(plain) / statistics.median(ours)
    size = (product.size_bytes or 0) / MB
    rate = f"{size / statistics.median(ours):.0f} MB/s, {ratio:.2f} of curl | tee | md5sum"
    _row(f"archive of {size:.0f} MB", rate, ">= 0.9")
    _row("  growth of peak memory", f"{max(growths):.0f} MB", "< 100 MB")
    began = time.perf_counter()
    with open_archive(scratch / "curl.zip") as archive:
        (files,) = select_files(archive.files, ["SCL_20m"], "S2MSI2A").values()
        archive.save(files[0], scratch / "scl.jp2")
    _row("SCL_20m out of the stored zip", f"{time.perf_counter() - began:.3f} s", "< 0.5 s")


def _rerun(urls: dict[str, str], product: Product, scratch: Path) -> None:
    """Requests of a run over what is already there."""
    shelf = _shelf(product, scratch / "one", Wanted(("SCL_20m",)))
    with _client(urls) as client:
        found = client.catalogue.search(_query())
        searched = client.traffic.requests
        fetched = any(
            stage(Shelf(shelf.store, shelf.run, one, shelf.wanted), client.downloads, _silent)
            for one in found
        )
        total = client.traffic.requests
    seen = f"{searched} search, {total - searched} downloads"
    seen = "fetched again" if fetched else seen
    _row("rerun of a finished day", seen, "1 search, 0 downloads")


def _imports() -> None:
    """Cost of parsing the DAG file beside an empty one with the same airflow.sdk import."""
    empty = "from airflow.sdk import DAG, Asset, task, task_group"
    ours = "import sys; sys.path.insert(0, 'dags'); import sentinel2_daily"
    seconds = {code: statistics.median(_python(code) for _ in range(5)) for code in (empty, ours)}
    ratio = seconds[ours] / seconds[empty]
    _row("parsing the DAG file / an empty one", f"{ratio:.2f} ({seconds[ours]:.2f} s)", "<= 1.5")


def _python(code: str) -> float:
    """Return the seconds a code takes in a fresh interpreter, its start not counted."""
    timed = f"import time; t = time.perf_counter(); {code}\nprint(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", timed], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.strip().splitlines()[-1])


def _curl(urls: dict[str, str], product: Product, target: Path) -> float:
    """Return the seconds of curl writing the zip while md5sum reads along."""
    with _client(urls) as client:
        token, url = client.tokens.token(), client.downloads.archive_url(product)
    command = 'curl -sSf -H "Authorization: Bearer $TOKEN" "$URL" | tee "$TARGET" | md5sum'
    environment = {**os.environ, "TOKEN": token, "URL": url, "TARGET": str(target)}
    began = time.perf_counter()
    subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def _child(urls: dict[str, str], folder: Path) -> tuple[float, float]:
    """Return seconds and growth of peak memory in MB of our download, in a process of its own."""
    command = [sys.executable, __file__, "--download", json.dumps(urls), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, growth = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds, growth


def _download(urls: dict[str, str], folder: Path) -> None:
    """Fetch the zip once; print seconds and growth of peak memory in MB."""
    product = _search(urls)
    shelf = _shelf(product, folder, Wanted(("SCL_20m",), transfer="archive"))
    with _client(urls) as client:
        client.tokens.token()
        before = _resident_kib()
        began = time.perf_counter()
        stage(shelf, client.downloads, _silent)
        seconds = time.perf_counter() - began
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([seconds, growth]))


def _resident_kib() -> int:
    """Return the memory this process holds now."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@contextmanager
def _emulator() -> Iterator[dict[str, str]]:
    """Run the emulator as a program with one full-size product; give its addresses."""
    command = [
        *(sys.executable, "-m", "dataspace_emulator", "--day", DAY, "--products", "1"),
        *("--tile", TILE, "--scale", "1", "--cloudy", "0"),
    ]
    environment = {**os.environ, "EMULATOR_USER": USER, "EMULATOR_PASSWORD": PASSWORD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None  # noqa: S101
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _client(urls: dict[str, str]) -> DataSpaceClient:
    names = ("identity_url", "catalogue_url", "download_url")
    endpoints = Endpoints.resolve(**{name: urls[name] for name in names})
    return DataSpaceClient(endpoints, Account(USER, PASSWORD))


def _query() -> Query:
    day = date.fromisoformat(DAY)
    return Query(sensed=Window.of_days(day, day), tiles=(TILE,), product_type="S2MSI2A")


def _search(urls: dict[str, str]) -> Product:
    with _client(urls) as client:
        return client.catalogue.search(_query())[0]


def _shelf(product: Product, folder: Path, wanted: Wanted) -> Shelf:
    store = Store(LocalFileSystem(), str(folder))
    return Shelf(store, RunLayout("bench", datetime.now(UTC).isoformat()), product, wanted)


def _silent(_name: str, _total_bytes: int | None) -> Any:
    return lambda _size_bytes: None


def _row(figure: str, measured: str, goal: str) -> None:
    print(f"{figure:40} {measured:45} {goal}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--download"]:
        _download(json.loads(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
