"""A reconcile of a correct archive, compared with a plain client and a plain directory walk.

Ours are the two operators of `sentinel2_reconcile`, in a process of its own that has imported
everything. The plain way requests the same pages sequentially, and reads the size of every
file with `os.scandir`: it compares nothing and writes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.support.own_client import client
from benchmarks.support.service import ROOT, Service, serving
from benchmarks.support.table import row
from copernicus_dataspace.catalogue.query import Query
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.time_range import Window, utc_now
from copernicus_dataspace.stac.delivered_files import DeliveredFile, Delivery
from copernicus_dataspace.stac.item import item_of
from copernicus_dataspace.storage.layout import bands_dir

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from copernicus_dataspace.models.product import Product

FIRST: Final = date(2024, 1, 1)
MONTH: Final = (30, 100)
YEAR: Final = (365, 55)
"""Days, and products per day: 3,000 and 20,075 products."""
_INGEST: Final = "sentinel2_daily"
_TIMED: Final = """
import json, logging, os, resource, sys, time
from pathlib import Path
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from benchmarks.support.own_client import peak_mb, resident_mb
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.ingest_registry import register
from copernicus_dataspace.reports import html_page
from copernicus_dataspace.stac import static_catalog

job = json.loads(sys.argv[1])
run_id, ingest = f"run{job['run']}", Ingest.read(Path(job["file"]))
known = {"dag_id": ingest.dag_id, "output_uri": ingest.defaults["output_uri"]}
register(open_store(known["output_uri"]), ingest, None)
end = datetime.fromisoformat(job["last"]).replace(tzinfo=UTC) + timedelta(days=1)
run = SimpleNamespace(
    dag_id="sentinel2_reconcile", run_id=run_id, run_type="scheduled", conf={},
    logical_date=end, run_after=end,
    data_interval_start=end - timedelta(days=1), data_interval_end=end)
context = {"dag_run": run, "ti": SimpleNamespace(task_id="audit", map_index=-1, try_number=1)}
before = resident_mb()
began = time.perf_counter()
audit = CopernicusAuditOperator(task_id="audit", ingest=known, **job["asked"])
repairs = audit.execute(context)
settled = CopernicusSettleOperator(task_id="settle", ingest=known).execute(context)
seconds = time.perf_counter() - began
report = json.loads(open(settled["report"].removeprefix("file://")[:-5] + ".json").read())
assert repairs == [] and settled["missing"] == [], report["counts"]
facts = [seconds, peak_mb() - before, report["counts"]]
print("\\n" + json.dumps(facts))
"""
_PLAIN: Final = """
import json, os, sys, time
import requests

url, filter_text, folder = sys.argv[1:]
began = time.perf_counter()
skip, rows = 0, 0
while True:
    params = {"$filter": filter_text, "$orderby": "ContentDate/Start asc", "$top": "1000",
              "$skip": str(skip), "$expand": "Attributes"}
    page = requests.get(f"{url}/Products", params=params, timeout=120).json()
    rows += len(page["value"])
    skip += 1000
    if not page.get("@odata.nextLink"):
        break

def walk(place):
    total = 0
    for one in os.scandir(place):
        total += walk(one.path) if one.is_dir() else one.stat().st_size
    return total

walk(folder)
print(json.dumps([time.perf_counter() - began, rows]))
"""


def month() -> AbstractContextManager[Service]:
    """Run a service that lists a month of many products."""
    return _listing(*MONTH)


def year() -> AbstractContextManager[Service]:
    """Run a service that lists a year of many products."""
    return _listing(*YEAR)


def measure_month(service: Service, scratch: Path) -> None:
    """A nightly reconcile of thirty days, compared with a plain client and walk."""
    held = _Archive(service, scratch, *MONTH)
    goal = "6 requests, 20 s, 300 MB"
    held.reconcile("30 days x 100, no index yet", goal)
    took_s = held.reconcile("30 days x 100", goal)
    plain_s = held.plain()
    row("  a plain client and walk", f"{plain_s:.1f} s, ratio {took_s / plain_s:.2f}")


def measure_year(service: Service, scratch: Path) -> None:
    """A reconcile of a year, and a week later."""
    goal = "25 requests, 120 s"
    held = _Archive(service, scratch, *YEAR)
    held.reconcile("365 days, 20,075 items, no index yet", goal)
    held.reconcile("365 days, 20,075 items", goal, first_day=f"{FIRST}", last_day=f"{held.last}")
    held.let_a_week_pass()
    held.reconcile("365 days, 20,075 items, a week later", goal)


class _Archive:
    """A correct archive, and its emulator."""

    def __init__(self, service: Service, scratch: Path, days: int, _: int) -> None:
        self.last = FIRST + timedelta(days=days - 1)
        self._service = service
        self._scratch = scratch
        self._output = scratch / "output"
        self._ingest = scratch / f"{_INGEST}.yaml"
        self._runs = 0
        for first in range(0, days, 30):
            for product in _listed(service, FIRST + timedelta(days=first), min(30, days - first)):
                _hold(product, self._output)
        settings = {"tiles": ["T36TXL"], "output_uri": self._output.as_uri(), "scrub_days": 0}
        self._ingest.write_text(json.dumps({**settings, "start_day": f"{FIRST}"}))

    def reconcile(self, what: str, goal: str, **asked: str) -> float:
        """Reconcile, print the measurements, and return the seconds."""
        self._runs += 1
        job = {"file": str(self._ingest), "last": f"{self.last}", "run": self._runs, "asked": asked}
        self._service.statuses()
        seconds, memory_mb, counts = _run(_TIMED, [json.dumps(job)], self._service, self._scratch)
        requests = self._service.statuses().get("catalogue 200", 0)
        figures = f"{seconds:.1f} s, {requests} requests, {memory_mb:.0f} MB more than idle"
        row(f"reconcile {what}", f"{figures}, {counts}", goal)
        return float(seconds)

    def plain(self) -> float:
        """Request the same pages, visit every file, and return the seconds."""
        window = Window.of_days(FIRST, self.last)
        query = Query(sensed=window, product_type="S2MSI2A", tiles=("36TXL",))
        (text,) = query.filters(window)
        url = self._service.addresses["catalogue_url"]
        arguments = [url, text, str(self._output / "bands")]
        seconds, _ = _run(_PLAIN, arguments, self._service, self._scratch)
        return float(seconds)

    def let_a_week_pass(self) -> None:
        """Make the last whole inspection of the archive older."""
        (path,) = self._output.glob("reports/*/chronicle.json")
        history = json.loads(path.read_text())
        history["survey"]["at"] = f"{self.last - timedelta(days=8)}T00:00:00+00:00"
        path.write_text(json.dumps(history))


def _listed(service: Service, first: date, days: int) -> list[Product]:
    window = Window.of_days(first, first + timedelta(days=days - 1))
    query = Query(sensed=window, product_type="S2MSI2A", tiles=("36TXL",))
    with client(service.addresses) as asking:
        return asking.catalogue.search(query)


def _hold(product: Product, output: Path) -> None:
    folder = output / bands_dir(product)
    folder.mkdir(parents=True)
    name = f"T36TXL_{product.sensed:%Y%m%dT%H%M%S}_SCL_20m.jp2"
    path = f"GRANULE/IMG_DATA/R20m/{name}"
    file = DeliveredFile(path, name, 2000, Checksum("MD5", "1" * 32), "https://x/y")
    delivery = Delivery(
        {"SCL_20m": (path,)}, {path: file}, _INGEST, "r", "s", (_INGEST,), utc_now()
    )
    (folder / name).write_bytes(b"x" * 2000)
    (folder / "item.json").write_bytes(item_of(delivery, product, utc_now()))


def _run(program: str, arguments: list[str], service: Service, scratch: Path) -> Any:
    connection = {
        "conn_type": "copernicus",
        "login": "user@example.org",
        "password": "correct horse",
        "extra": {n: url for n, url in service.addresses.items() if n.endswith("_url")},
    }
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}:{ROOT}",
        "AIRFLOW_HOME": str(scratch / "airflow"),
        "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(connection),
        "COPERNICUS_STATE_DIR": str(scratch / "state"),
        "SENTINEL2_OUTPUT_ROOTS": scratch.as_uri(),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def _listing(days: int, a_day: int) -> AbstractContextManager[Service]:
    recipes = [
        {
            "tile": "36TXL",
            "sensed": f"{FIRST + timedelta(days=day)}T08:{n // 60:02}:{n % 60:02}.024Z",
            "content": False,
            "seed": day * 1000 + n,
        }
        for day in range(days)
        for n in range(a_day)
    ]
    return serving(recipes)
