"""Scheduled, backfilled, repairing and other runs of two ingests want the same at the same time."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pystac
import pytest

from copernicus_dataspace_emulator import Emulator, Fault
from tests.support.airflow.registered import registered
from tests.support.airflow.workshop import RECONCILE, workshop

pytestmark = pytest.mark.long

ONE, OTHER = "lake", "shore"
TILES = {ONE: ["T36TXL", "T36TWL"], OTHER: ["T36TWL", "T36TYL"]}
SHARED = "36TWL"
TRANSFERS = 8
"""More than tasks at once, so that runs do meet, not only wait for slots of the pool."""
EACH_TAKES_S = 3.0


@pytest.fixture
def days():
    """The last two; the newer one is what is scheduled once an ingest is switched on."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in (2, 1)]


@pytest.fixture
def rivals(tmp_path, days):
    """An Airflow of two ingests that share a tile, none of them switched on."""
    facts = {"publication_delay": "0 hours", "start_day": str(days[0]), "connections": 1}
    ingests = {name: {**facts, "tiles": tiles} for name, tiles in TILES.items()}
    with Emulator(now=None, max_connections=TRANSFERS) as emulator:
        connection = emulator.connection(max_connections=TRANSFERS)
        with workshop(tmp_path, emulator, ingests, connection=connection) as rehearsal:
            yield rehearsal


def stem(product):
    return product.name.removesuffix(".SAFE")


def scl(product):
    (path,) = (path for path in product.files if path.endswith("_SCL_20m.jp2"))
    return product.read(path)


def fetched(emulator, products):
    """Return how often each product's file was sent as a whole, by product."""
    sizes = {stem(one): len(scl(one)) for one in products}
    sent = Counter()
    for one in emulator.requests:
        if one.service == "download" and one.status == 200 and "SCL_20m" in one.path:
            (name,) = re.findall(r"Nodes\((S2[^)]*)\.SAFE\)", one.path)
            sent[name] += one.bytes_sent == sizes[name]
    return sent


def begin(rehearsal, first, last):
    """Let all begin at once that may want a day's products."""
    for dag in (RECONCILE, ONE):
        rehearsal.airflow.unpause(dag)  # which schedules the newest day
    for dag in (ONE, OTHER):
        body = {
            "dag_id": dag,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{first}T00:00:00Z",
            "max_active_runs": 1,
            "dag_run_conf": {},
        }
        rehearsal.airflow.create("backfills", body)
        rehearsal.trigger(dag, first_day=first, last_day=last)


def ended(rehearsal):
    """Wait until no run is under way; return the states of all there were, by DAG and run."""
    found = {}

    def at_rest():
        found.clear()
        for dag in (ONE, OTHER, RECONCILE):
            runs = rehearsal.runs(dag, limit=100)
            found.update({(dag, run["dag_run_id"]): run["state"] for run in runs})
        is_scheduled = {dag for dag, run in found if run.startswith("scheduled__")}
        return len(is_scheduled) == 3 and set(found.values()) <= {"success", "failed"}

    rehearsal.airflow.wait(at_rest, 900, lambda: f"still: {found}")
    return found


def test_what_many_runs_want_at_once_is_fetched_once(rivals, days, tmp_path):
    first, last = str(days[0]), str(days[-1])
    old = rivals.add(days[0], tile=SHARED, hour=9)
    rivals.airflow.unpause(OTHER)
    run = rivals.trigger(OTHER, first_day=first, last_day=last)
    assert rivals.finished(run, OTHER) == "success"
    tiles = ("36TXL", SHARED, "36TYL")
    products = [rivals.add(day, tile=tile) for day in days for tile in tiles]
    products.append(rivals.add(days[0], tile=SHARED, hour=9, baseline="05.12"))
    slow = Fault("download", kind="stall", seconds=EACH_TAKES_S, times=None, match="SCL_20m")
    rivals.emulator.faults.add(slow)

    registered(tmp_path / "dags" / "ingests" / f"{ONE}.yaml")  # as by an earlier run
    begin(rivals, first, last)
    states = ended(rivals)
    assert set(states.values()) == {"success"}
    kinds = Counter(run.split("__")[0] for dag, run in states if dag == ONE)
    assert kinds.pop("repair") > 1
    assert kinds == {"scheduled": 1, "backfill": 1, "manual": 1}
    logs = [path.read_text() for path in rivals.airflow.home.glob("logs/**/*.log")]
    assert any("products wait: " in text for text in logs), "no two ever wanted the same"
    assert_right(rivals, old, products)


def assert_right(rehearsal, old, products):
    """See that each product stands once, is linked once and was fetched once; nothing is left."""
    found = [*(rehearsal.output / "bands").rglob("*.jp2")]
    right = {stem(one): scl(one) for one in products}
    assert {path.parent.name: path.read_bytes() for path in found} == right
    assert len(found) == len(right)
    root = pystac.Catalog.from_file(str(rehearsal.output / "catalog.json"))
    assert sorted(item.id for item in root.get_items(recursive=True)) == sorted(right)
    assert fetched(rehearsal.emulator, [old, *products]) == dict.fromkeys([stem(old), *right], 1)
    staging = rehearsal.output / ".staging"
    assert [path for path in staging.rglob("*") if path.is_file()] == []
