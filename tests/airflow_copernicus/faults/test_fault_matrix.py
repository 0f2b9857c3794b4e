"""Every cell of the fault matrix: right bytes or a red task, and never anything between."""

import logging
import os
import re
import time
from pathlib import Path

import pytest

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
)
from copernicus_dataspace.errors import DataSpaceError, PermanentError, TransientError
from copernicus_dataspace.limits.retry import REPLACEABLE
from copernicus_dataspace_emulator import Emulator, User
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support.faults import fault_matrix as matrix
from tests.support.faults.fault_page import page
from tests.support.faults.fault_scene import Leap, Stranger, Watch, faults, granted, lower_limits

PASSWORD = "correct horse battery"
TOTP_SECRET = "JBSWY3DPEHPK3PXP"
WITHIN_S = 30.0
"""What a passing fault may cost, beside the wait the service asks for."""
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"
OTHER_WAYS = {"manifest": "manifest.safe", "HTTPS": "SCL_20m", "zip": r"Products\([^)]*\)/\$value"}


@pytest.fixture
def emulator(cell):
    """A Data Space whose account has a second factor, unless the search is to log in."""
    users = {"user@example.org": User(PASSWORD, None if in_search(cell) else TOTP_SECRET)}
    ranges = "honoured" if cell.fault.asks_for_parts else "ignored"
    with Emulator(users=users, ranges=ranges, stac_requests_per_s=None) as running:
        yield running


@pytest.fixture
def connected(emulator, cell, connect, monkeypatch, tmp_path):
    monkeypatch.setenv("COPERNICUS_STATE_DIR", str(tmp_path / "state"))
    extra = {} if in_search(cell) else {"totp_secret": TOTP_SECRET}
    if cell.target.transport:
        extra |= {**emulator.s3_keys, "transport": cell.target.transport}
    connect(emulator.connection(**extra))
    return emulator


def in_search(cell):
    """Tell whether the search itself logs in, which it does without a second factor only."""
    return cell.target is matrix.TOKEN


@pytest.fixture(autouse=True)
def hurried():
    """Leave the waits as they are; `leap` leaps over them."""


@pytest.fixture
def leap(monkeypatch):
    return Leap().install(monkeypatch)


@pytest.fixture
def stranger():
    with Stranger() as listening:
        yield listening


@pytest.fixture
def products(connected, cell, monkeypatch):
    """What is on offer, all of it in one batch."""
    monkeypatch.setattr("copernicus_dataspace.ingest.run_records.FEW_BATCHES", 1)
    facts = {"scale": 0.002, **cell.target.recipe}
    sensed = [f"2024-08-01T{8 + number:02}:36:01.024Z" for number in range(cell.target.products)]
    return [connected.add(lake_product(sensed=one, **facts)) for one in sensed]


@pytest.fixture
def secrets(emulator, monkeypatch):
    """What no log may hold, Airflow's mask or not; grows with each token granted."""
    monkeypatch.setattr("airflow_copernicus.hooks.copernicus.mask_secret", lambda _: None)
    found = granted(monkeypatch)
    found += [PASSWORD, TOTP_SECRET, emulator.s3_secret_key]
    return found


@pytest.fixture
def log(caplog, capsys):
    """Return what gives all that was logged, by Airflow and by everything else."""
    caplog.set_level(logging.DEBUG)
    written = []

    def text():
        written.append(capsys.readouterr().out)
        return caplog.text + "".join(written)

    return text


@pytest.fixture
def run(ingest, cell):
    """Return what runs the chain and gives the run, if its search went well, and its errors."""

    def attempt():
        try:
            ran = ingest(**cell.target.params)
        except DataSpaceError as error:
            return None, [error]
        return ran, ran.errors

    return attempt


def asked(emulator, service, match):
    """Return the requests to a place so far."""
    of_service = [one for one in list(emulator.requests) if one.service == service]
    return [one for one in of_service if re.search(match, f"{one.path}?{one.query}")]


def again(ran, params):
    """Do what Airflow does later: try the red tasks of a run again."""
    output = {"output_uri": ran.output.as_uri()}
    for batch in ran.batches:
        for kind in (CopernicusDownloadOperator, CopernicusExtractOperator):
            kind(task_id="t", batch=batch, bands=["SCL_20m"], **params, **output).execute(
                make_context()
            )
    CopernicusPublishOperator(task_id="t", search_id="search", **output).execute(make_context())


def marked(cell):
    return pytest.param(
        cell, id=str(cell), marks=() if str(cell) in matrix.SAMPLE else pytest.mark.long
    )


@pytest.mark.parametrize("cell", [marked(cell) for cell in matrix.TESTED])
def test_cell(cell, connected, products, secrets, log, leap, stranger, run, tmp_path, monkeypatch):  # noqa: PLR0913, PLR0917
    if cell.fault.is_slow:
        lower_limits(monkeypatch)
    for fault in faults(cell, connected, products, stranger.url):
        connected.faults.add(fault)
    params = cell.target.params
    with Watch(tmp_path / "output", products) as watch:
        ran, errors = run()
        check(cell, connected, errors, log())
        if not errors:
            assert max(leap.waits, default=0.0) >= cell.fault.wait_s - 10  # a date comes nearer
            assert leap.waited_s <= WITHIN_S + (1 + REPLACEABLE.rate_limited) * cell.fault.wait_s
            assert ran.partitions == ["2024-08-01"]
            assert ran.staged == []
        elif cell.right.heals_later:
            connected.faults.clear()
            with CopernicusHook().get_conn() as client:
                client.service.forget_failures()  # a minute has passed
            again(ran, params) if ran else run()
        assert watch.is_complete(**params) == (not errors or cell.right.heals_later)
    assert watch.wrong == set()
    assert not list(tmp_path.rglob("*.part"))
    assert not stranger.was_visited
    text = log()
    assert not [secret for secret in secrets if secret in text]
    assert not re.search(r"totp\W{1,5}\d{6}", text)


def check(cell, emulator, errors, text):
    """Compare what became of a run with what is right."""
    right, place = cell.right, (cell.target.service, cell.target.match)
    requests = asked(emulator, *place)
    if right.error is None:
        assert errors == []
        assert requests
    else:
        assert type(errors[0]) in {right.error, *right.error.__subclasses__()}
        assert isinstance(errors[0], TransientError) is right.heals_later
        assert isinstance(errors[0], PermanentError) is not right.heals_later
        assert len(requests) == right.asked if right.asked else len(requests) > 1
    if right.other_way:
        assert asked(emulator, "download", OTHER_WAYS[right.other_way])
        assert "WARNING  copernicus_dataspace." in text or not right.is_told
    if cell.fault.asks_for_parts:
        assert [one for one in requests if one.range]


def in_real_time():
    by_name = {fault.name: fault for fault in matrix.ROWS}
    names = (
        "429 without Retry-After",
        "429, Retry-After in seconds",
        "503",
        "reset before headers",
    )
    for name in names:
        yield pytest.param(matrix.Cell(by_name[name], matrix.FILE, matrix.ONCE), id=name)


@pytest.mark.parametrize("cell", list(in_real_time()))
def test_a_passing_fault_heals_within_seconds(cell, connected, products, run, tmp_path):
    for fault in faults(cell, connected, products, "", wait_s=1):
        connected.faults.add(fault)
    began = time.monotonic()
    with Watch(tmp_path / "output", products) as watch:
        assert run()[1] == []
    assert time.monotonic() - began < 20  # Airflow's own next try is minutes away
    assert watch.is_complete()
    assert watch.wrong == set()


def test_the_sample_meets_every_fault_and_every_place():
    sample = [cell for cell in matrix.TESTED if str(cell) in matrix.SAMPLE]
    for often in (matrix.ONCE, matrix.ALWAYS):
        assert {cell.fault.name for cell in sample if cell.often == often} == {
            fault.name for fault in matrix.ROWS
        }
        assert {cell.target for cell in sample if cell.often == often} == set(matrix.TARGETS)


def test_the_page_shows_the_matrix():
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "UPDATE_DOCS=1 make test writes it anew"
