import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copernicus_dataspace.limits import shared_file
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace.limits.shared_limits import SharedSlots

INCLUDE = Path(shared_file.__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a" / "state"


def child(code, *arguments):
    start = f"import sys; sys.path.insert(0, {str(INCLUDE)!r})\nfrom pathlib import Path\n"
    start += "from copernicus_dataspace.limits.shared_file import SharedFile\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def plus_one(state):
    return {**state, "n": state.get("n", 0) + 1}


def same(state):
    return state


def file_of(folder):
    (path,) = folder.glob("*.json")
    return path


def test_a_value_is_kept_and_added_to(folder):
    assert SharedFile(folder, "me@x.org").exchange(same) == {}
    assert SharedFile(folder, "me@x.org").exchange(plus_one) == {"n": 1}
    assert SharedFile(folder, "me@x.org").exchange(plus_one) == {"n": 2}
    assert SharedFile(folder, "you@x.org").exchange(same) == {}


def test_texts_of_a_service_are_kept_whatever_they_hold(folder):
    refused = {"refused": "a half character \udcff", "seconds": float("inf")}
    SharedFile(folder, "k").exchange(lambda _: refused)
    assert SharedFile(folder, "k").exchange(same) == refused


def test_only_the_owner_can_read_and_the_account_is_not_named(folder):
    before = os.umask(0)
    try:
        SharedFile(folder, "me@x.org").exchange(lambda _: {"token": "secret"})
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert not any("me" in path.name or "x.org" in path.name for path in folder.iterdir())


def test_processes_lose_none_of_their_changes(folder):
    code = (
        "state = SharedFile(Path(sys.argv[1]), 'k')\n"
        "for _ in range(50): state.exchange(lambda s: {'n': s.get('n', 0) + 1})\n"
    )
    children = [child(code, folder) for _ in range(4)]
    assert [one.wait(60) for one in children] == [0] * 4
    assert SharedFile(folder, "k").exchange(same) == {"n": 200}


def held(folder):
    code = (
        "import time\n"
        "def hold(state):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
        "SharedFile(Path(sys.argv[1]), 'k').exchange(hold)\n"
    )
    holder = child(code, folder)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_lock_of_a_killed_process_is_free(folder, caplog):
    SharedFile(folder, "k").exchange(plus_one)
    holder = held(folder)
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    assert SharedFile(folder, "k").exchange(plus_one) == {"n": 2}
    assert not caplog.records


def test_a_lock_held_for_long_is_not_waited_for(folder, caplog):
    SharedFile(folder, "k").exchange(plus_one)
    holder = held(folder)
    try:
        state = SharedFile(folder, "k", lock_wait_s=0.2)
        began = time.monotonic()
        assert state.exchange(plus_one) == {"n": 1}
        assert state.exchange(plus_one) == {"n": 2}
        assert 0.2 <= time.monotonic() - began < 1.5
    finally:
        holder.kill()
        holder.wait(10)
    assert SharedFile(folder, "k").exchange(same) == {"n": 1}
    assert "lock has been held" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_file_that_is_not_ours_counts_as_empty(folder, content, caplog):
    SharedFile(folder, "k").exchange(plus_one)
    file_of(folder).write_bytes(content)
    assert SharedFile(folder, "k").exchange(same) == {}
    assert SharedFile(folder, "k").exchange(plus_one) == {"n": 1}
    assert not caplog.records


def opened_to_all(folder):
    folder.chmod(0o777)


def file_opened_to_all(folder):
    file_of(folder).chmod(0o666)


def link_as_folder(folder):
    folder.rename(folder.with_name("other"))
    folder.symlink_to(folder.with_name("other"))


def link_as_file(folder):
    path = file_of(folder)
    path.rename(folder / "other")
    path.symlink_to(folder / "other")


def link_as_lock(folder):
    (path,) = folder.glob("*.lock")
    path.unlink()
    path.symlink_to(folder / "other")


def pipe_as_file(folder):
    path = file_of(folder)
    path.unlink()
    os.mkfifo(path, 0o600)


def file_as_folder(folder):
    folder.rename(folder.with_name("other"))
    folder.touch()


def other_owner(folder):
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    os.chown(folder, 12345, -1)


@pytest.mark.parametrize(
    "spoil",
    [
        opened_to_all,
        file_opened_to_all,
        link_as_folder,
        link_as_file,
        link_as_lock,
        pipe_as_file,
        file_as_folder,
        other_owner,
    ],
)
def test_what_others_may_have_made_is_not_used(folder, spoil, caplog):
    SharedFile(folder, "k").exchange(lambda _: {"n": 41})
    spoil(folder)
    state = SharedFile(folder, "k")
    assert state.exchange(plus_one) == {"n": 1}
    assert state.exchange(plus_one) == {"n": 2}
    SharedFile(folder, "k").exchange(same)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_folder_that_cannot_be_written_does_no_harm(folder):
    """Root may write anywhere, so the state is used by a process of another user."""
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    code = (
        "import os\n"
        "folder = Path(sys.argv[1])\n"
        "if not os.geteuid():\n"
        "    os.chown(folder, 12345, -1)\n"
        "    os.chdir(folder)\n"
        "    os.setuid(12345)\n"
        "state = SharedFile(Path('.'), 'k')\n"
        "for _ in range(2): print(state.exchange(lambda s: {'n': s.get('n', 0) + 1}))\n"
    )
    out, _ = child(code, folder).communicate(timeout=30)
    assert out == "{'n': 1}\n{'n': 2}\n"
    assert not list(folder.iterdir())


def test_a_full_disk_does_no_harm_and_a_change_is_made_once(folder, monkeypatch):
    state = SharedFile(folder, "k")
    state.exchange(plus_one)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_file.os, "rename", full)
    assert state.exchange(plus_one) == {"n": 2}
    assert state.exchange(plus_one) == {"n": 3}
    monkeypatch.undo()
    assert SharedFile(folder, "k").exchange(same) == {"n": 1}


def test_a_failed_change_changes_nothing_and_frees_the_lock(folder):
    state = SharedFile(folder, "k")
    state.exchange(plus_one)
    with pytest.raises(ZeroDivisionError):
        state.exchange(lambda _: {"n": 1 // 0})
    assert SharedFile(folder, "k").exchange(plus_one) == {"n": 2}
    assert state.exchange(same) == {"n": 2}


def test_the_pace_is_shared_beside_other_facts(folder):
    state = SharedFile(folder, "k")
    state.exchange(lambda _: {"token": "t"})
    now = time.monotonic()
    shared = SharedSlots(state)
    assert shared.read() == (None, [])
    shared.write(2.0, now, [now - 1, now - 30])
    pause_s, ends = SharedSlots(SharedFile(folder, "k")).read()
    assert pause_s == 2.0
    assert ends == [pytest.approx(now - 1, abs=0.1)]
    shared.write(1.0, now - 5, [])
    assert shared.read()[0] == 2.0
    assert state.exchange(same)["token"] == "t"


def test_an_old_pause_is_forgotten(folder):
    shared = SharedSlots(SharedFile(folder, "k"))
    shared.write(2.0, time.monotonic() - 601, [time.monotonic()])
    assert shared.read() == (None, [])


@pytest.mark.parametrize(
    "slots",
    [7, [], {"pause_s": "2"}, {"pause_s": 10**400, "learnt_at": float("nan"), "ends": [{}]}],
)
def test_a_pace_of_another_form_counts_as_none(folder, slots):
    SharedFile(folder, "k").exchange(lambda _: {"pace": slots})
    assert SharedSlots(SharedFile(folder, "k")).read() == (None, [])
    assert json.loads(file_of(folder).read_text())
