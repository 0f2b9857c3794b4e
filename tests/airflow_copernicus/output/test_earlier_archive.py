"""An archive that the version before 0.9.0 has written goes on under this one."""

import zipfile
from pathlib import Path

import pystac
import pytest

from tests.airflow_copernicus.conftest import lake_product, transfers
from tests.airflow_copernicus.reconcile.test_reconcile import INGEST, Ingests

ARCHIVE = Path(__file__).parents[2] / "data" / "archive-before-0.9.0.zip"
DAYS = {"first_day": "2024-07-20", "last_day": "2024-08-01"}


@pytest.fixture
def ingests(tmp_path, ingest, connected):
    """The archive, its ingest, and a service that still offers its two products."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path / "output")
    connected.add(lake_product())
    connected.add(lake_product(sensed="2024-07-20T08:36:01.024Z", baseline="05.00"))
    return Ingests.below(tmp_path, ingest)


def files(output):
    """Return the content of all delivered files, by path."""
    return {path: path.read_bytes() for path in (output / "bands").rglob("*.*")}


def test_nothing_of_it_is_fetched_again(ingests, ingest, connected):
    before = files(ingests.output)
    assert len(before) == 4
    ran = ingest(**DAYS)
    assert (ran.errors, ran.summary["delivered"]) == ([], 2)
    assert transfers(connected) == []
    assert {path: before[path] for path in before if path.suffix == ".jp2"}.items() <= files(
        ingests.output
    ).items()


def test_it_is_maintained(ingests, connected):
    before = files(ingests.output)
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"present": 2}
    assert files(ingests.output) == before
    assert transfers(connected) == []
    assert len([*(ingests.output / "reports" / INGEST).glob("20*.json")]) == 2


def test_its_catalogue_goes_on(ingests, ingest, connected):
    connected.add(lake_product(sensed="2024-07-31T08:36:01.024Z"))
    ingest(**DAYS)
    root = pystac.Catalog.from_file(str(ingests.output / "catalog.json"))
    assert len([*root.get_items(recursive=True)]) == 3
    assert ingests.reconcile()["report"]["counts"] == {"present": 3}
