"""What a clock that was ahead has noted is not believed without end, wherever it was noted."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.errors import QuotaReachedError
from copernicus_dataspace.ingest.quota import Quota, Usage, sweep_usage
from copernicus_dataspace.ingest.run_folders import old_runs, old_staging
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace.limits.shared_limits import SharedSlots, SharedTurns
from copernicus_dataspace.reconcile.removals.removal_record import RemovalRecord
from copernicus_dataspace.reconcile.report_files import ReportFiles
from copernicus_dataspace.service import ClientOptions, Service
from copernicus_dataspace.storage.leases import sweep_leases
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace.transfer_statistics import TransferStatistics
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

NOW = datetime.now(UTC)
FAR = NOW + timedelta(days=400)
NAME = "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T120000"


@pytest.fixture
def store(tmp_path):
    return Store(LocalFileSystem(), str(tmp_path / "out"))


@pytest.fixture
def host(tmp_path):
    return SharedFile(tmp_path / "state", "an account")


def note(store, day, account="a"):
    store.write(f"runs/.usage/{account}/{day}/13000000000000-0123456789ab", b"")


@pytest.mark.parametrize("day", [f"{FAR:%Y-%m-%d}", "2099-01-01", "9999-12-31", "9999-99-99"])
def test_a_note_of_a_day_to_come_stops_no_transfer_and_is_swept(store, day):
    note(store, day)
    Quota(Usage(store, "a"), 12e12, TransferStatistics()).check()
    assert Usage(store, "a").sweep() == 0
    assert store.sizes("runs/.usage") == {}


@pytest.mark.parametrize("days", [0, 1, -30])
def test_a_note_of_these_days_counts_though_a_clock_is_a_little_ahead(store, days):
    note(store, f"{NOW + timedelta(days=days):%Y-%m-%d}")
    with pytest.raises(QuotaReachedError):
        Quota(Usage(store, "a"), 12e12, TransferStatistics()).check()
    assert Usage(store, "a").sweep() == 13 * 10**12


@pytest.mark.parametrize("days", [2, 40, 360])
def test_a_note_that_is_ahead_of_a_clock_that_may_be_behind_is_not_swept(store, days):
    note(store, f"{NOW + timedelta(days=days):%Y-%m-%d}")
    assert Usage(store, "a").sweep() == 0
    assert len(store.sizes("runs/.usage")) == 1


def test_notes_of_accounts_that_are_no_longer_used_are_swept_too(store):
    for account, days in (("a", -40), ("b", -1), ("c", 400)):
        note(store, f"{NOW + timedelta(days=days):%Y-%m-%d}", account)
    sweep_usage(store)
    assert {path.partition("/")[0] for path in store.sizes("runs/.usage")} == {"b"}


def test_a_pause_learnt_in_the_future_is_not_known(host):
    host.exchange(lambda _: {"pace": {"pause_s": 9.0, "learnt_at": FAR.timestamp(), "ends": []}})
    assert SharedSlots(host).read() == (None, [])
    SharedSlots(host).write(1.0, time.monotonic(), [])
    assert SharedSlots(host).read()[0] == 1.0


@pytest.mark.parametrize("ahead_s", [1800, 36_000, 1e9])
def test_a_turn_in_the_future_is_not_waited_for(host, ahead_s):
    host.exchange(lambda _: {"next_turn": time.time() + ahead_s})
    assert SharedTurns(host, 0.5).take() == 0
    assert 0 < SharedTurns(host, 0.5).take() <= 0.5


def test_turns_of_many_that_wait_are_given_one_after_the_other(host):
    taken = [SharedTurns(host, 60).take() for _ in range(300)]
    assert taken[-1] > 60 * 298


def removals(**changes):
    record = {"done": [], "request": None, "rejected": [], "lost_at": None, **changes}
    return RemovalRecord.read(json.dumps(record).encode(), NOW)


def waiting(since):
    return {"removals": [], "since": since.isoformat(), "run_id": "asks"}


def test_removals_to_come_use_up_the_limits_for_a_month_and_no_longer():
    record = removals(done=[["x", FAR.isoformat()]], request=waiting(NOW), rejected=[])
    assert record.is_lost(NOW)
    assert record.request is not None
    kept = RemovalRecord.read(record.to_bytes(), NOW)
    assert kept.is_lost(NOW + timedelta(days=29))
    assert not kept.is_lost(NOW + timedelta(days=31))
    assert kept.done == ()


def test_a_loss_to_come_is_one_of_now():
    record = removals(lost_at=FAR.isoformat())
    assert record.lost_at == NOW


def test_removals_of_a_clock_that_is_a_little_ahead_are_known():
    at = NOW + timedelta(hours=3)
    record = removals(done=[["x", at.isoformat()]])
    assert record.done == (("x", at),)
    assert not record.is_lost(NOW)


def test_nobody_waits_for_an_answer_since_a_day_to_come():
    assert removals(request=waiting(FAR)).request.since == NOW


def test_reports_of_days_to_come_do_not_displace_those_of_today(store):
    files = ReportFiles(store, "daily")
    for number in range(400):
        store.write(f"reports/daily/2199-01-01T{number:06}Z.json", b"{}")
    store.write("reports/daily/2026-11-20T030000Z.json", b"{}")
    assert "2026-11-20T030000Z.json" not in files._old(NOW)
    assert len(files._old(NOW)) == 400


def test_reports_that_are_ahead_of_a_clock_that_may_be_behind_stay(store):
    files, name = ReportFiles(store, "daily"), f"{NOW + timedelta(days=40):%Y-%m-%dT%H%M%SZ}.json"
    for number in range(401):
        store.write(f"reports/daily/2024-01-01T{number:06}Z.json", b"{}")
    store.write(f"reports/daily/{name}", b"{}")
    assert files._old(NOW) == ["2024-01-01T000000Z.json"]


@pytest.mark.parametrize(
    ("path", "remove"),
    [
        (".staging/daily/run/p/x", lambda store, now: old_staging(store, now, ())),
        (".staging/.claims/p.json", sweep_leases),
        ("runs/daily/run/summary.json", lambda store, now: [*old_runs(store, "daily", now)]),
    ],
)
def test_a_file_dated_far_ahead_grows_old_from_now_on(store, tmp_path, path, remove):
    store.write(path, b"x")
    file = tmp_path / "out" / path
    os.utime(file, (FAR.timestamp(), FAR.timestamp()))
    remove(store, NOW)
    assert abs(file.stat().st_mtime - time.time()) < 60


def test_dates_of_other_files_stay_as_they_are(store, tmp_path):
    store.write("runs/daily/run/summary.json", b"x")
    file = tmp_path / "out/runs/daily/run/summary.json"
    for days in (-40, 0.9):
        then = time.time() + 86_400 * days
        os.utime(file, (then, then))
        store.heal_dates("runs")
        assert file.stat().st_mtime == pytest.approx(then, abs=1)
    store.heal_dates("nowhere")


@pytest.mark.parametrize(("ahead_s", "is_taken"), [(0, True), (2 * 86_400, False), (1e9, False)])
def test_a_session_that_lasts_longer_than_any_is_renewed(emulator, tmp_path, ahead_s, is_taken):
    def token():
        options = ClientOptions(state_dir=tmp_path / "state")
        with Service(
            endpoints_of(emulator), account_of(emulator), options=options, sleep=lambda _: None
        ) as client:
            return client.tokens.token()

    first = token()
    (file,) = (one for one in (tmp_path / "state").glob("*.json") if "session" in one.read_text())
    state = json.loads(file.read_text())
    for name in ("renew_at", "expires_at", "refresh_until"):
        state["session"][name] += ahead_s
    file.write_text(json.dumps(state))
    assert (token() == first) is is_taken
    again = json.loads(file.read_text())["session"]
    assert again["expires_at"] < time.time() + 86_400
