import pytest

from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CredentialsError,
    ProductUnavailableError,
    RateLimitedError,
    ServiceUnavailableError,
)
from copernicus_dataspace.limits.retry import Retries


def failing(errors):
    left = list(errors)

    def attempt():
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.mark.parametrize("kind", [ServiceUnavailableError, CorruptDownloadError, RateLimitedError])
def test_what_may_pass_is_tried_again(kind, sleeps):
    assert Retries(sleeps.append).call(failing([kind("x"), kind("x")])) == "done"
    assert len(sleeps) == 2
    assert all(0.5 <= wait_s <= 60 for wait_s in sleeps)
    assert sleeps[1] > 1


@pytest.mark.parametrize("kind", [CredentialsError, ProductUnavailableError])
def test_what_does_not_pass_within_seconds_is_tried_once(kind, sleeps):
    with pytest.raises(kind):
        Retries(sleeps.append).call(failing([kind("x")] * 9))
    assert sleeps == []


@pytest.mark.parametrize(
    ("kind", "tries"),
    [(ServiceUnavailableError, 5), (CorruptDownloadError, 3), (RateLimitedError, 10)],
)
def test_patience_ends_with_the_last_error(kind, tries, sleeps):
    errors = [kind(str(n)) for n in range(99)]
    with pytest.raises(kind, match=f"^{tries - 1}$"):
        Retries(sleeps.append).call(failing(errors))
    assert len(sleeps) == tries - 1
    assert sum(sleeps) < 600


def test_further_attempts_are_told(sleeps):
    told = []
    again = Retries(sleeps.append, on_retry=lambda: told.append(len(sleeps)))
    again.call(failing([ServiceUnavailableError("x"), RateLimitedError("x")]))
    again.call(failing([]))
    with pytest.raises(CredentialsError):
        again.call(failing([CredentialsError("x")]))
    assert told == [0, 1]


def test_retry_after_is_honoured(sleeps):
    Retries(sleeps.append).call(failing([RateLimitedError("x", 7.0)]))
    assert sleeps == [7.0]


def test_a_long_retry_after_is_handed_to_the_caller(sleeps):
    with pytest.raises(RateLimitedError) as caught:
        Retries(sleeps.append).call(failing([RateLimitedError("x", 3600.0)]))
    assert caught.value.retry_after_s == 3600.0
    assert sleeps == []


def test_each_kind_of_error_has_its_own_patience(sleeps):
    away, wrong = ServiceUnavailableError("x"), CorruptDownloadError("y")
    mixed = [away, away, wrong, wrong]
    assert Retries(sleeps.append).call(failing(mixed)) == "done"
    assert len(sleeps) == 4
    with pytest.raises(CorruptDownloadError, match="y"):
        Retries(sleeps.append).call(failing([*mixed, wrong, away]))
    assert len(sleeps) == 8
