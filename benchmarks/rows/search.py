"""A search of 9,000 rows in pages of 1000, by our catalogue and by eodag.

Each runs in a process of its own that has imported everything and has searched one day before; the
emulator needs the same time for the same pages of both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from benchmarks.support.service import ROOT, Service, serving
from benchmarks.support.table import median, rounds, row, seconds

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

ROWS: Final = 9000
_A_DAY: Final = 100
_TIMED: Final = """
import json, sys, time
{setting}
ask("2024-01-01", "2024-01-02")
before = resident()
began = time.perf_counter()
found = ask("2024-01-01", "2024-12-31")
print(json.dumps([time.perf_counter() - began, len(found), peak() - before]))
"""
_OURS: Final = """
from datetime import date
from benchmarks.support.own_client import client, peak_mb as peak, resident_mb as resident
from copernicus_dataspace.catalogue.query import Query
from copernicus_dataspace.models.time_range import Window

catalogue = client(json.loads(sys.argv[1])).catalogue

def ask(first, last):
    days = Window.of_days(date.fromisoformat(first), date.fromisoformat(last))
    return catalogue.search(Query(sensed=days, product_type="S2MSI2A"))
"""
_EODAG: Final = """
from benchmarks.support.own_client import peak_mb as peak, resident_mb as resident
from eodag import EODataAccessGateway, EODAGSettings

gateway = EODataAccessGateway(settings=EODAGSettings(cfg_file=sys.argv[2]))

def ask(start, end):
    return gateway.search_all(
        provider="cop_dataspace", collection="S2_MSI_L2A", start=start, end=end, limit=1000)
"""
_SETTINGS: Final = """
cop_dataspace:
  priority: 9
  search:
    api_endpoint: {catalogue_url}/Products
  auth:
    oidc_config_url: {identity_url}/.well-known/openid-configuration
    matching_url: {catalogue_url}
    credentials: {{username: user, password: password}}
"""


def listing() -> AbstractContextManager[Service]:
    """Run an emulator with the rows; they have no files."""
    recipes = [
        {"tile": "36TXL", "sensed": f"{_day(number)}T{_time(number)}Z", "content": False}
        for number in range(ROWS)
    ]
    return serving(recipes)


def _day(number: int) -> str:
    day = number // _A_DAY
    return f"2024-{1 + day // 28:02}-{1 + day % 28:02}"


def _time(number: int) -> str:
    minute = number % _A_DAY
    return f"{8 + minute // 60:02}:{minute % 60:02}:01"


def measure_search(service: Service, scratch: Path) -> None:
    """Search with both clients."""
    settings = scratch / "settings.yml"
    settings.write_text(_SETTINGS.format(**service.addresses))
    growths: list[float] = []

    def ours(_number: int) -> float:
        taken, growth = _ask(_OURS, service, settings)
        growths.append(growth)
        return taken

    def theirs(_number: int) -> float:
        return _ask(_EODAG, service, settings)[0]

    mine, eodag = rounds(ours, theirs, number=1)
    both = f"{median(eodag) / median(mine):.2f}: {seconds(eodag)} / {seconds(mine)}"
    row(f"search of {ROWS} rows: eodag / ours", both, ">= 2")
    row("  growth of our peak memory", f"{max(growths):.0f} MB", "< 200 MB")


def _ask(setting: str, service: Service, settings: Path) -> tuple[float, float]:
    """Return seconds and growth of peak memory in MB."""
    command = [
        *(sys.executable, "-c", _TIMED.replace("{setting}", setting)),
        *(json.dumps(service.addresses), str(settings)),
    ]
    environment = {
        **os.environ,
        "HOME": str(settings.parent),
        "EODAG_EXT_COLLECTIONS_CFG_URI": "",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: list[Any] = json.loads(done.stdout.splitlines()[-1])
    taken, rows, growth = answer
    if rows != ROWS:
        raise AssertionError(f"{rows} of {ROWS} rows were found")
    return float(taken), float(growth)
