"""The rehearsal of `make live`: its table is empty between equals and shows what was changed."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from copernicus_dataspace_emulator import Emulator, Fault
from copernicus_dataspace_emulator.identity.accounts import User
from tests.live.ledger import Ledger
from tests.live.probes import PROBES
from tests.live.stand_in import fill, visit_to

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOGIN, PASSWORD = "user@example.org", "correct horse"
TOTP_SECRET = "JBSWY3DPEHPK3PXP"
PROJECT = Path(__file__).parents[2]


def stand_in(now="2026-11-20T12:00:00Z", **facts):
    """A Data Space whose account has a second factor."""
    return Emulator(now=now, users={LOGIN: User(PASSWORD, TOTP_SECRET)}, **facts)


@pytest.fixture
def other():
    with stand_in(stac_requests_per_s=None) as running:
        fill(running, NOW)
        yield running


@pytest.fixture
def emulator():
    with Emulator(now="2026-11-20T12:00:00Z", stac_requests_per_s=None) as running:
        fill(running, NOW)
        yield running


@pytest.fixture
def compared(emulator, other):
    """Ask both sides everything; return the ledger and the visit to the other side."""

    def compare():
        ledger, ours, theirs = Ledger(), visit_to(emulator, NOW), visit_to(other, NOW)
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
    assert visit.sent == len(other.requests) <= len(PROBES) + 3


def test_every_probe_has_a_name_of_its_own():
    assert len({probe.name for probe in PROBES}) == len(PROBES)


@pytest.fixture(scope="module")
def one():
    with stand_in(stac_requests_per_s=None, single_use_codes=False) as running:
        fill(running, NOW)
        yield running


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_each_probe_tells_what_the_service_answers_otherwise(probe, one):
    """Its own request, the last it sends, is answered in a way no service answers."""
    one.requests.clear()
    ledger = Ledger({probe.name: probe.observe(visit_to(one, NOW))})
    *before, last = [request.service for request in one.requests]
    one.faults.add(Fault(last, status=418, times=None, skip=before.count(last)))
    ledger.service[probe.name] = probe.observe(visit_to(one, NOW))
    one.faults.clear()
    (status,) = (one for one in ledger.differences() if one.fact == "status")
    assert (status.request, status.service) == (probe.name, "418")


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


def live(emulator, report, *arguments, with_keys=True, **changes):
    keys = emulator.s3_keys if with_keys else {}
    facts = emulator.connection(totp_secret=TOTP_SECRET, **keys)
    account = {"COPERNICUS_USERNAME": facts["login"], "COPERNICUS_PASSWORD": facts["password"]}
    urls = {f"COPERNICUS_{name.upper()}": url for name, url in facts["extra"].items()}
    known = {name: value for name, value in os.environ.items() if name != "REQUIRE_ALL"}
    command = ["-m", "pytest", "-m", "live", "-p", "no:cacheprovider", "tests/live", *arguments]
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env={**known, **account, **urls, "COPERNICUS_LIVE_REPORT": str(report), **changes},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_passes_against_the_emulator_itself(tmp_path):
    """With a second factor, S3 keys, and no faster than STAC lets anybody be."""
    with stand_in(now=None) as other:
        fill(other, datetime.now(UTC))
        done = live(other, tmp_path / "report.md")
        requests, logins = len(other.requests), other.grants["password"]
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
    assert f"No differences in the answers to {len(PROBES)} requests." in done.stdout
    assert "No differences" in (tmp_path / "report.md").read_text()
    assert requests <= len(PROBES) + 10
    assert logins == 2


def test_without_keys_the_object_store_is_left_out(tmp_path):
    with stand_in(now=None) as other:
        fill(other, datetime.now(UTC))
        done = live(other, tmp_path / "report.md", "-k", "object or bucket", with_keys=False)
        assert not [one for one in other.requests if one.service == "s3"]
    assert done.returncode == 0, done.stdout
    assert "not set: COPERNICUS_S3_ACCESS_KEY and COPERNICUS_S3_SECRET_KEY" in done.stdout


def test_a_refused_account_is_tried_once_and_nothing_secret_is_shown(other, tmp_path):
    done = live(other, tmp_path / "report.md", COPERNICUS_PASSWORD="hush hush")
    shown = done.stdout + done.stderr + (tmp_path / "report.md").read_text()
    assert done.returncode == 1, done.stdout
    assert "Invalid user credentials" in shown
    assert sum(one.path.endswith("/token") for one in other.requests) == 2
    secrets = (
        *("hush hush", "hush+hush", "hush%20hush", "user@example.org", "user%40example.org"),
        *(TOTP_SECRET, other.s3_access_key, other.s3_secret_key),
    )
    assert not [secret for secret in secrets if secret in shown]


def test_a_service_that_is_down_is_not_shown_the_password_for_nothing(tmp_path):
    with Emulator() as emulator:
        pass
    done = live(emulator, tmp_path / "report.md", "-k", "logs_in or refreshed", "-l")
    assert done.returncode == 1, done.stdout
    assert "no answer (ConnectionError)" in done.stdout
    assert "correct horse" not in done.stdout
    assert "correct+horse" not in done.stdout
