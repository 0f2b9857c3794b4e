"""The rehearsal of `make live`: its table is empty between equals and shows what was changed."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dataspace.endpoints import Endpoints
from dataspace_emulator import Emulator, Fault
from tests.live.ledger import Ledger
from tests.live.probes import PROBES
from tests.live.visit import Visit, fill

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROJECT = Path(__file__).parents[2]


def visit_of(emulator):
    facts = emulator.connection()
    return Visit(Endpoints.resolve(**facts["extra"]), facts["login"], facts["password"], NOW)


@pytest.fixture
def other():
    with Emulator(now="2026-11-20T12:00:00Z") as running:
        fill(running, NOW)
        yield running


@pytest.fixture
def compared(emulator, other):
    """Ask both sides everything; return the ledger and the visit to the other side."""
    fill(emulator, NOW)

    def compare():
        ledger, ours, theirs = Ledger(), visit_of(emulator), visit_of(other)
        for probe in PROBES:
            ledger.emulator[probe.name] = probe.observe(ours)
            ledger.service[probe.name] = probe.observe(theirs)
        return ledger, theirs

    return compare


def test_equals_do_not_differ(compared, other):
    ledger, visit = compared()
    assert ledger.differences() == []
    assert ledger.table() == [f"No differences in the answers to {len(PROBES)} requests."]
    for probe in PROBES:
        seen = ledger.service[probe.name]["the client sees"]
        assert not probe.accepted or seen in probe.accepted, probe.name
    assert visit.sent == len(other.requests) <= 25


def test_every_kind_of_difference_is_in_the_table(compared, other):
    name = "INSPIRE.xml"
    for fault in (
        Fault("download", "range_206", match=name, times=None),
        Fault("catalogue", status=429, retry_after=7, match=r"\$top=1001"),
        Fault("catalogue", "redirect", match="/$value", location="https://elsewhere.example/"),
        Fault("identity", status=503, match="/token", skip=2),
        Fault("download", "html", match="no-such-file"),
    ):
        other.faults.add(fault)
    ledger, _ = compared()
    found = {(one.request, one.fact): (one.emulator, one.service) for one in ledger.differences()}
    expected = {
        ("file, Range", "status"): ("200", "206"),
        ("file, Range", "Content-Range"): ("-", "as asked for"),
        ("file, Range", "body"): ("the whole file", "the part asked for"),
        ("search, $top=1001", "status"): ("422", "429"),
        ("search, $top=1001", "Retry-After"): ("-", "7"),
        ("search, $top=1001", "the client sees"): ("QueryError", "RateLimitedError"),
        ("bytes asked of the catalogue", "Location"): (
            "{download_url}/Products(<id>)/$value",
            "https://elsewhere.example/",
        ),
        ("token, refresh token broken", "status"): ("400", "503"),
        ("file, unknown name", "body"): ("JSON object", "HTML page"),
    }
    assert expected.items() <= found.items()
    line = "| file, Range | body | the whole file | the part asked for |"
    assert line in ledger.table()


def test_a_range_that_is_refused_is_in_the_table(compared, other):
    other.faults.add(Fault("download", "range_501", times=None))
    ledger, _ = compared()
    found = {(one.fact, one.emulator, one.service) for one in ledger.differences()}
    assert ("status", "200", "501") in found
    assert {one.request for one in ledger.differences()} == {"file, Range"}


def test_other_tests_cannot_leave_this_machine():
    with pytest.raises(RuntimeError, match="only this machine may be reached"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)


def live(emulator, report, *arguments, **changes):
    facts = emulator.connection()
    account = {"COPERNICUS_USERNAME": facts["login"], "COPERNICUS_PASSWORD": facts["password"]}
    urls = {f"COPERNICUS_{name.upper()}": url for name, url in facts["extra"].items()}
    command = ["-m", "pytest", "-m", "live", "-p", "no:cacheprovider", "tests/live", *arguments]
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env={**os.environ, **account, **urls, "COPERNICUS_LIVE_REPORT": str(report), **changes},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_passes_against_the_emulator_itself(other, tmp_path):
    other.now = None
    fill(other, datetime.now(UTC))
    done = live(other, tmp_path / "report.md")
    assert done.returncode == 0, done.stdout
    assert "No differences" in done.stdout
    assert "No differences" in (tmp_path / "report.md").read_text()
    assert len(other.requests) <= 31
    assert other.grants["password"] == 2


def test_a_refused_account_is_tried_once_and_nothing_secret_is_shown(other, tmp_path):
    done = live(other, tmp_path / "report.md", COPERNICUS_PASSWORD="hush hush")
    shown = done.stdout + done.stderr + (tmp_path / "report.md").read_text()
    assert done.returncode == 1, done.stdout
    assert "Invalid user credentials" in shown
    assert sum(one.path.endswith("/token") for one in other.requests) == 2
    secrets = ("hush hush", "hush+hush", "hush%20hush", "user@example.org", "user%40example.org")
    assert not [secret for secret in secrets if secret in shown]


def test_a_service_that_is_down_is_not_shown_the_password_for_nothing(tmp_path):
    with Emulator() as emulator:
        pass
    done = live(emulator, tmp_path / "report.md", "-k", "logs_in or refreshed", "-l")
    assert done.returncode == 1, done.stdout
    assert "no answer (ConnectionError)" in done.stdout
    assert "correct horse" not in done.stdout
    assert "correct+horse" not in done.stdout
