import logging

import pytest

from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CredentialsError,
    LoginLimitedError,
    ProductUnavailableError,
    RateLimitedError,
    ServiceUnavailableError,
    TokenRefusedError,
)
from copernicus_dataspace.limits.retry import BRIEF, PATIENT, RetryPolicy
from copernicus_dataspace.transfer_statistics import TransferStatistics


def failing(errors):
    left = list(errors)

    def attempt():
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.mark.parametrize("kind", [ServiceUnavailableError, CorruptDownloadError, RateLimitedError])
def test_what_may_pass_is_tried_again(kind, sleeps):
    assert RetryPolicy(wait=sleeps.append).call(failing([kind("x"), kind("x")])) == "done"
    assert len(sleeps) == 2
    assert all(0.5 <= wait_s <= 60 for wait_s in sleeps)
    assert sleeps[1] > 1


@pytest.mark.parametrize("kind", [CredentialsError, ProductUnavailableError])
def test_what_does_not_pass_within_seconds_is_tried_once(kind, sleeps):
    with pytest.raises(kind):
        RetryPolicy(wait=sleeps.append).call(failing([kind("x")] * 9))
    assert sleeps == []


@pytest.mark.parametrize(
    ("kind", "tries"),
    [(ServiceUnavailableError, 5), (CorruptDownloadError, 3), (RateLimitedError, 10)],
)
def test_patience_ends_with_the_last_error(kind, tries, sleeps):
    errors = [kind(str(n)) for n in range(99)]
    with pytest.raises(kind, match=f"^{tries - 1}$"):
        RetryPolicy(wait=sleeps.append).call(failing(errors))
    assert len(sleeps) == tries - 1
    assert sum(sleeps) < 600


def test_retries_are_counted(sleeps):
    statistics = TransferStatistics()
    policy = RetryPolicy(wait=sleeps.append, statistics=statistics)
    policy.call(failing([ServiceUnavailableError("x"), RateLimitedError("x")]))
    policy.call(failing([]))
    for error in (CredentialsError("x"), LoginLimitedError("x"), RateLimitedError("x", 61.0)):
        with pytest.raises(type(error)):
            policy.call(failing([error]))
    assert statistics.retries == len(sleeps) == 2


def test_retry_after_is_honoured(sleeps):
    RetryPolicy(wait=sleeps.append).call(failing([RateLimitedError("x", 7.0)]))
    assert sleeps == [7.0]


def test_a_long_retry_after_is_handed_to_the_caller(sleeps):
    with pytest.raises(RateLimitedError) as caught:
        RetryPolicy(wait=sleeps.append).call(failing([RateLimitedError("x", 3600.0)]))
    assert caught.value.retry_after_s == 3600.0
    assert sleeps == []


def test_each_kind_of_error_has_its_own_patience(sleeps):
    away, wrong = ServiceUnavailableError("x"), CorruptDownloadError("y")
    mixed = [away, away, wrong, wrong]
    assert RetryPolicy(wait=sleeps.append).call(failing(mixed)) == "done"
    assert len(sleeps) == 4
    with pytest.raises(CorruptDownloadError, match="y"):
        RetryPolicy(wait=sleeps.append).call(failing([*mixed, wrong, away]))
    assert len(sleeps) == 8


@pytest.mark.parametrize(("limits", "within_s"), [(PATIENT, 1800), (BRIEF, 120)])
def test_nothing_is_repeated_after_the_deadline(limits, within_s):
    now = [50.0]
    attempts = RetryPolicy(limits, clock=lambda: now[0]).attempts()
    error = ServiceUnavailableError("x")
    attempts.again(error)
    now[0] += within_s - 10
    attempts.again(RateLimitedError("x", 9.0))
    with pytest.raises(RateLimitedError):  # it would be repeated too late
        attempts.again(RateLimitedError("x", 11.0))
    now[0] += 11
    with pytest.raises(ServiceUnavailableError):
        attempts.again(error)
    attempts.progressed()
    attempts.again(error)


def test_a_token_refused_after_received_bytes_is_renewed_again():
    attempts, refused = RetryPolicy().attempts(), TokenRefusedError("x")
    attempts.again(refused)
    with pytest.raises(TokenRefusedError):
        attempts.again(refused)
    attempts.progressed()
    attempts.again(refused)
    with pytest.raises(TokenRefusedError):
        attempts.again(refused)


def test_a_warning_names_the_wait_and_a_wait_for_a_slot_is_none(sleeps, caplog):
    caplog.set_level(logging.INFO)
    RetryPolicy(wait=sleeps.append).call(failing([RateLimitedError("Busy.", 4.2)]))
    RetryPolicy().attempts().again(RateLimitedError("Busy."))
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("WARNING", "Busy. Retrying in 4.2 s."),
        ("INFO", "Busy. Retrying."),
    ]


def test_waits_never_pass_the_deadline():
    now = [0.0]

    def wait(seconds):
        now[0] += seconds

    policy = RetryPolicy(BRIEF, wait=wait, clock=lambda: now[0])
    kinds = [ServiceUnavailableError, RateLimitedError] * 2
    with pytest.raises(ServiceUnavailableError):
        policy.call(failing([kind("x", 45.0) for kind in kinds]))
    assert now[0] == 90
