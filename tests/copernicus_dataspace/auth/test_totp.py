import pyotp
import pytest

from copernicus_dataspace.auth import totp
from copernicus_dataspace.auth.totp import Codes
from copernicus_dataspace.errors import CredentialsError

SECRET = "JBSWY3DPEHPK3PXP"


class Time:
    """A clock that moves by what is waited for."""

    def __init__(self, now):
        self.now = now
        self.waits = []

    def time(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch):
    made = Time(1_700_000_010.0)  # 0 s into a step: 1_700_000_010 = 30 * 56_666_667
    monkeypatch.setattr(totp, "time", made)
    return made


def test_a_code_is_that_of_the_moment(time):
    assert Codes(SECRET, time.wait).next() == pyotp.TOTP(SECRET).at(1_700_000_010)
    assert time.waits == []


def test_the_next_code_is_waited_for(time):
    codes = Codes(f"{SECRET[:4]} {SECRET[4:]}", time.wait)
    first = codes.next()
    time.now += 12.5
    assert codes.next() == pyotp.TOTP(SECRET).at(1_700_000_040) != first
    assert time.waits == [17.5]
    time.now += 30
    assert codes.next() == pyotp.TOTP(SECRET).at(1_700_000_070)
    assert time.waits == [17.5]


def test_a_code_that_another_process_has_sent_is_not_sent_again(time):
    codes = Codes(SECRET, time.wait)
    codes.last_step = 56_666_667
    assert codes.next() == pyotp.TOTP(SECRET).at(1_700_000_040)
    assert codes.last_step == 56_666_668


def test_a_wait_that_ends_early_does_not_lead_back(time):
    codes = Codes(SECRET, lambda seconds: time.wait(seconds - 0.001))
    found = [codes.next() for _ in range(3)]
    assert found == [pyotp.TOTP(SECRET).at(1_700_000_010 + 30 * step) for step in range(3)]


def test_a_step_of_a_clock_that_was_wrong_holds_nobody_up(time):
    codes = Codes(SECRET, time.wait)
    codes.last_step = 99_999_999
    assert codes.next() == pyotp.TOTP(SECRET).at(1_700_000_010)
    assert time.waits == []


def test_a_secret_that_is_none_is_named(time):
    with pytest.raises(CredentialsError, match="not valid base32"):
        Codes("not base 32 !", time.wait).next()
