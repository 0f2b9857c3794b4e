"""What the tasks of one host share: one login, its renewals, and what was refused."""

import itertools
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.errors import (
    CredentialsError,
    RateLimitedError,
    ServiceUnavailableError,
    StoppedError,
)
from copernicus_dataspace.limits import shared_file
from copernicus_dataspace.limits.shared_limits import SharedTurns
from copernicus_dataspace.service import ClientOptions, Service
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from copernicus_dataspace_emulator.identity.tokens import GrantRefusedError, Tokens
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

INCLUDE = Path(shared_file.__file__).parents[2]
TASK = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.service import ClientOptions, Service
from copernicus_dataspace.http.endpoints import Endpoints
folder, identity, user, password, go = sys.argv[2:]
client = Service(
    Endpoints.resolve(identity_url=identity), Account(user, password),
    options=ClientOptions(state_dir=Path(folder)),
)
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.005)
with client:
    print(hash(client.tokens.token()), flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def task(emulator, folder):
    """Return what opens one more task of the host; each is a client of its own."""
    opened = []

    def make(at=None, on_new_token=lambda _: None, **account):
        where = at or emulator
        client = Service(
            endpoints_of(where),
            account_of(where, **account),
            options=ClientOptions(state_dir=folder, on_new_token=on_new_token),
            sleep=lambda _: None,
        )
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


def session_file(folder):
    found = [path for path in folder.glob("*.json") if "session" in json.loads(path.read_text())]
    (path,) = found
    return path


def logouts(emulator):
    return [one for one in emulator.requests if one.path.endswith("/logout")]


def test_fifty_processes_in_the_same_second_cause_one_login(emulator, folder, tmp_path):
    connection, go = emulator.connection(), tmp_path / "go"
    about = [INCLUDE, folder, emulator.identity_url, connection["login"], connection["password"]]
    command = [sys.executable, "-c", TASK, *map(str, [*about, go])]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    tasks = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(50)
    ]
    assert {one.stdout.readline() for one in tasks} == {"ready\n"}
    go.touch()
    answers = {one.communicate(timeout=60)[0] for one in tasks}
    assert [one.returncode for one in tasks] == [0] * 50
    assert len(answers) == 1
    assert emulator.grants == {"password": 1}
    assert not logouts(emulator)


def test_a_later_task_finds_the_session_and_its_secrets_are_announced(emulator, task):
    token = task().tokens.token()
    announced = []
    assert task(on_new_token=announced.append).tokens.token() == token
    assert announced[0] == token
    assert len(announced) == 2
    assert emulator.grants == {"password": 1}


def test_only_the_owner_can_read_it_and_it_holds_no_password(emulator, task, folder):
    before = os.umask(0)
    try:
        token = task().tokens.token()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    text = session_file(folder).read_text()
    assert token in text
    assert emulator.connection()["password"] not in text


def test_a_token_refused_by_the_service_is_replaced_once(emulator, task):
    tasks = [task() for _ in range(8)]
    refused = {one.tokens.token() for one in tasks}
    assert len(refused) == 1
    emulator.expire_tokens()
    renewed = {one.tokens.renew(*refused) for one in tasks}
    assert len(renewed) == 1
    assert renewed != refused
    assert emulator.grants == {"password": 1, "refresh_token": 1}


def test_an_old_token_is_renewed_by_one_task_for_all(folder, task):
    with Emulator(token_lifetime_s=2) as emulator:
        tasks = [task(at=emulator) for _ in range(4)]
        first = {one.tokens.token() for one in tasks}
        time.sleep(1.7)
        second = {one.tokens.token() for one in tasks}
        assert len(first) == len(second) == 1
        assert first != second
        assert emulator.grants == {"password": 1, "refresh_token": 1}


def test_a_session_that_ended_is_replaced_by_one_login(emulator, task):
    (refused,) = {task().tokens.token()}
    emulator.expire_tokens()
    emulator.end_sessions()
    assert len({task().tokens.renew(refused) for _ in range(3)}) == 1
    assert emulator.grants == {"password": 2}


@pytest.mark.parametrize(
    "change",
    [{"password": "another"}, {"totp_secret": "JBSWY3DPEHPK3PXP"}, {"client_id": "mine"}],
    ids=str,
)
def test_a_changed_account_does_not_use_what_is_stored(emulator, task, change):
    task().tokens.token()
    before = len(emulator.requests)
    user = emulator.users["user@example.org"]
    if "password" in change:
        emulator.users["user@example.org"] = type(user)(change["password"])
    other = task(**change)
    if "client_id" in change:
        with pytest.raises(CredentialsError, match="client_id 'mine' is not accepted"):
            other.tokens.token()
    else:
        other.tokens.token()
        assert emulator.grants["password"] == 2
    assert len(emulator.requests) == before + 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"session": 1}',
        '{"session": {"access": 1}}',
        '{"rest": {"until": "x", "why": 2}, "refusal": []}',
        '{"rest": {"until": 1e300, "why": "a wrong clock"}}',
    ],
)
def test_a_file_that_is_damaged_costs_a_login(emulator, task, folder, content):
    task().tokens.token()
    session_file(folder).write_text(content)
    assert task().tokens.token()
    assert emulator.grants == {"password": 2}


@pytest.mark.parametrize("field", ["renew_at", "expires_at", "refresh_until", "access"])
@pytest.mark.parametrize("value", [None, "x", float("nan"), [], -1, 10**400])
def test_a_field_that_is_damaged_costs_a_login_or_less(emulator, task, folder, field, value):
    task().tokens.token()
    path = session_file(folder)
    state = json.loads(path.read_text())
    state["session"][field] = value
    path.write_text(json.dumps(state))
    assert task().tokens.token()
    assert emulator.grants["password"] <= 2


def test_a_file_that_others_may_read_is_not_used(emulator, task, folder, caplog):
    task().tokens.token()
    session_file(folder).chmod(0o644)
    alone = task()
    assert alone.tokens.token()
    assert "other users have permissions" in caplog.text
    alone.close()
    assert len(logouts(emulator)) == 1


HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from copernicus_dataspace.limits.shared_file import SharedFile
def hold(state):
    print("held", flush=True)
    time.sleep(60)
SharedFile(Path(sys.argv[2]), sys.argv[3]).exchange(hold)
"""


@pytest.fixture
def holder(emulator, folder):
    """A process that holds the lock of the session, as one that logs in does."""
    login = emulator.connection()["login"]
    key = f"session {emulator.identity_url} {login} {account_of(emulator).fingerprint()}"
    command = [sys.executable, "-c", HOLDER, str(INCLUDE), str(folder), key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_task_waits_for_the_one_that_logs_in_and_survives_its_death(emulator, task, holder):
    found = []
    thread = threading.Thread(target=lambda: found.append(task().tokens.token()))
    thread.start()
    time.sleep(0.3)
    assert not emulator.requests
    holder.send_signal(signal.SIGKILL)
    thread.join(10)
    assert found
    assert emulator.grants == {"password": 1}


def test_a_stopped_task_does_not_wait_on(task, holder):
    waiting, errors = task(), []

    def ask():
        try:
            waiting.tokens.token()
        except StoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    waiting.stop()
    thread.join(5)
    assert len(errors) == 1


def test_without_the_store_each_task_logs_in_and_out_with_one_warning(
    emulator, task, folder, caplog
):
    folder.write_text("in the way")
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        with task() as alone:
            alone.tokens.token()
    assert emulator.grants == {"password": 2}
    assert len(logouts(emulator)) == 2
    assert len([one for one in caplog.records if "folder that only" in one.message]) == 1


def test_a_full_disk_costs_the_sharing_only(emulator, task, monkeypatch):
    def full(*_about, **_folders):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with task() as alone:
        token = alone.tokens.token()
        assert alone.tokens.token() == token
    assert len(logouts(emulator)) == 1


def test_a_wrong_password_is_tried_once_for_all_tasks(emulator, task):
    for words in (
        "Correct the login and password",
        "next attempt is in 60",
        "next attempt is in 60",
    ):
        with pytest.raises(CredentialsError, match=words):
            task(password="nonsense").tokens.token()
    assert len(emulator.requests) == 1
    assert task().tokens.token()


def test_a_token_that_lives_serves_while_its_renewal_fails(folder, task):
    with Emulator(token_lifetime_s=4) as emulator:
        first, second = task(at=emulator), task(at=emulator)
        token = first.tokens.token()
        emulator.faults.add(Fault(service="identity", status=503, times=None))
        time.sleep(3.3)
        assert first.tokens.token() == second.tokens.token() == token
        asked = len(emulator.requests)
        time.sleep(1)
        for one in (first, second):
            with pytest.raises(ServiceUnavailableError) as caught:
                one.tokens.token()
            assert 50 < caught.value.retry_after_s <= 60
        assert len(emulator.requests) == asked == 4


def test_a_service_that_refuses_every_token_does_not_get_many(emulator, task):
    tokens = [task().tokens.token()]
    for _ in range(5):
        tokens.append(task().tokens.renew(tokens[-1]))
    for _ in range(5):
        with pytest.raises(CredentialsError, match="refuses every token"):
            task().tokens.renew(tokens[-1])
    assert emulator.grants == {"password": 1, "refresh_token": 5}


@pytest.mark.parametrize("lifetime", [None, "soon", float("nan"), -1, 10**400])
def test_a_login_without_a_lifetime_is_one_login(emulator, task, monkeypatch, lifetime):
    grant = Tokens.by_password

    def odd(self, form, flaw):
        return grant(self, form, flaw) | {"expires_in": lifetime, "refresh_expires_in": lifetime}

    monkeypatch.setattr(Tokens, "by_password", odd)
    assert task().tokens.token() == task().tokens.token()
    assert emulator.grants["password"] == 1


def test_a_service_that_is_away_is_asked_by_one_task(emulator, task):
    emulator.faults.add(Fault(service="identity", status=503, times=None))
    for _ in range(3):
        with pytest.raises(ServiceUnavailableError):
            task().tokens.token()
    assert len(emulator.requests) == 3


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("User session limit exceeded", "maximum number of sessions"),
        ("Too many sessions", "Each ends within"),
    ],
)
def test_too_many_sessions_are_waited_for_and_tried_once(task, monkeypatch, description, words):
    asked = []

    def refuse(self, form, flaw):
        asked.append(form)
        raise GrantRefusedError(400, "invalid_grant", description)

    monkeypatch.setattr(Tokens, "by_password", refuse)
    for _ in range(2):
        with pytest.raises(RateLimitedError, match=words) as caught:
            task().tokens.token()
        assert 800 < caught.value.retry_after_s <= 900
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "description", "words"),
    [
        (400, "Account is not fully set up", "the account is incomplete"),
        (400, "Account disabled", "locked or disabled"),
        (400, "Account temporarily locked", "locked or disabled"),
        (400, "Something new", "complete the account"),
        (401, "Invalid user credentials", "wrong e-mail or password, or a second"),
        (403, "Forbidden", "refuses this account, or this machine, for now"),
    ],
)
def test_a_refusal_is_explained_and_tried_once(task, monkeypatch, status, description, words):
    asked = []

    def refuse(self, form, flaw):
        asked.append(form)
        raise GrantRefusedError(status, "invalid_grant", description)

    monkeypatch.setattr(Tokens, "by_password", refuse)
    for _ in range(2):
        with pytest.raises(CredentialsError, match=words) as caught:
            task().tokens.token()
        assert description in str(caught.value)
    assert len(asked) == 1


def test_requests_of_all_tasks_keep_their_distance(emulator, folder):
    product = emulator.add(make_product(content=False))
    query = Query(sensed=MISSION, product_ids=(product.id,))

    def ask():
        options = ClientOptions(request_spacing_s=0.15, state_dir=folder)
        with Service(endpoints_of(emulator), account_of(emulator), options=options) as one:
            one.catalogue.search(query)
            one.catalogue.search(query)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts = sorted(request.started for request in emulator.requests)
    assert len(starts) == 8
    assert starts[-1] - starts[0] >= 7 * 0.15 - 0.1
    assert min(b - a for a, b in itertools.pairwise(starts)) >= 0.05  # connecting takes some


def test_a_turn_far_off_is_a_wrong_clock(folder):
    host = shared_file.SharedFile(folder, "k")
    host.exchange(lambda _: {"next_turn": time.time() + 1e6})
    assert SharedTurns(host, 9.0).take() == 0.0
    assert 8.5 < SharedTurns(host, 9.0).take() <= 9.0


def test_turns_keep_their_distance_while_others_hold_the_lock(folder):
    spacing_s, begun = 0.3, []
    hosts = [shared_file.SharedFile(folder, "k") for _ in range(5)]

    def slow(state):
        time.sleep(0.5)
        return state

    def begin(host):
        wait_s = SharedTurns(host, spacing_s).take()
        begun.append(time.time() + wait_s)

    threads = [threading.Thread(target=hosts[0].exchange, args=(slow,))]
    threads += [threading.Thread(target=begin, args=(host,)) for host in hosts[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(b - a for a, b in itertools.pairwise(sorted(begun))) >= 0.6 * spacing_s
