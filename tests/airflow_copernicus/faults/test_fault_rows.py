"""Every odd row: the other products arrive, and it is right, or named, but never lost."""

import pytest

from tests.airflow_copernicus.conftest import lake_product
from tests.airflow_copernicus.reconcile.test_reconcile import Ingests, held, stem
from tests.support.faults.fault_rows import FILES, ROWS, ZIP
from tests.support.faults.fault_scene import Watch

KEPT = {"transfer": "archive", "keep_archive": True}


@pytest.fixture
def products(connected, row):
    """The product of the odd row, and another one of its day."""
    if row.now:
        connected.now = row.now
    odd = connected.add(lake_product(scale=0.002, **row.recipe))
    if row.rewritten:
        connected.rewrite(odd.id, row.rewritten())
    if row.twin:
        connected.add(lake_product(scale=0.002, **{**row.recipe, **row.twin}))
    return [odd, connected.add(lake_product(scale=0.002, platform="B"))]


def cells():
    for row in ROWS:
        for transfer in (FILES, ZIP):
            is_told_by_other = transfer == ZIP and row.zip is row.files
            marks = pytest.mark.long if is_told_by_other else ()
            yield pytest.param(row, transfer, id=f"{row.name} - {transfer}", marks=marks)


@pytest.mark.parametrize(("row", "transfer"), list(cells()))
def test_row(row, transfer, connected, products, ingest, tmp_path):
    right, (odd, other) = row.right(transfer), products
    params = {**row.params, **(KEPT if transfer == ZIP else {})}
    with Watch(tmp_path / "output", products) as watch:
        ran = ingest(**params)
    assert watch.wrong == set()
    assert held(ran.output) == sorted(map(stem, products if right.arrives else [other]))
    assert len(ran.summary["missing"]) == (right.is_named or right.error is not None)
    assert ran.summary["offline"] == ([stem(odd)] if right.is_offline else [])
    assert ran.partitions == (["2024-08-01"] if right.arrives else [])
    if right.arrives or right.is_offline:
        assert ran.errors == []
    elif right.error:
        assert isinstance(ran.errors[0], right.error)
        assert stem(odd) in str(ran.errors[0])
    else:
        (unusable,) = ran.summary["unusable"]
        assert ran.summary["missing"] == [unusable["label"]]
        assert unusable["label"] in str(ran.errors[-1])
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_the_night_after_finds_what_the_run_has_said(row, connected, products, ingest, tmp_path):
    ingests = Ingests.below(tmp_path, ingest)
    ingests.write(**row.params)
    ingest(**row.params)
    moved = sum(one.bytes_sent for one in connected.requests if one.service == "download")
    settled = ingests.reconcile()
    right, counts = row.files, settled["report"]["counts"]
    assert counts.get("present") == (2 if right.arrives else 1)
    assert len(settled["missing"]) == right.is_named
    assert counts.get("offline", 0) == right.is_offline
    assert settled["repairs"] == []
    again = sum(one.bytes_sent for one in connected.requests if one.service == "download")
    assert again == moved


def test_every_row_has_a_name_of_its_own():
    assert len({row.name for row in ROWS}) == len(ROWS)
