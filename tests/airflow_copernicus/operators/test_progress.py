import logging
import sys

import pytest

from airflow_copernicus.operators import progress
from airflow_copernicus.operators.progress import progress_of

MB = 1_000_000


class State:
    def __init__(self):
        self.values = []

    def set(self, key, value):
        self.values.append((key, value))


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_tenth_tells_mb_speed_and_time_left(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress_of({}) as begin:
        told = begin("S2A_x", 100 * MB)
        for second in range(1, 101):
            clock[0] = second / 10
            told(MB)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10
    assert lines[4] == "S2A_x: 50% of 100.0 MB, 50.0 MB at 10.0 MB/s, 5 s left"


def test_a_slow_transfer_speaks_every_thirty_seconds(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress_of({}) as begin:
        told = begin("S2A_x", None)
        for second in range(1, 92):
            clock[0] = float(second)
            told(1000)
    assert len(caplog.records) == 3


def test_the_state_is_set_every_five_seconds(clock):
    state = State()
    with progress_of({"task_state_store": state}) as begin:
        told = begin("S2A_x", 100 * MB)
        for second in range(1, 21):
            clock[0] = float(second)
            told(MB)
    assert len(state.values) == 4
    key, value = state.values[-1]
    assert key == "progress"
    assert value["product"] == "S2A_x"
    assert value["moved"].startswith("20% of 100.0 MB")


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_of({}) as begin:
        begin("S2A_x", 10)(10)
        begin("S2A_y", 30)(30)
    assert "100%|" in (shown := capsys.readouterr().err)
    assert "40.0/40.0" in shown
