from datetime import timedelta

import pytest
from airflow.sdk import DAG, BaseOperator, RetryAction, RetryPolicy
from airflow.serialization.serialized_objects import DagSerialization

from airflow_copernicus.retry_policy import LONGEST_WAIT, CopernicusRetryPolicy
from copernicus_dataspace import errors
from copernicus_dataspace.errors import (
    DataSpaceError,
    PermanentError,
    RateLimitedError,
    TransientError,
)

POLICY = CopernicusRetryPolicy()


def below(cls):
    return [cls, *(error for child in cls.__subclasses__() for error in below(child))]


def raised(cls):
    if cls is errors.CorruptProductError:
        return cls("Refused: account.\nMore.", members=())
    return cls("Refused: account.\nMore.")


def judge(error):
    return POLICY.evaluate(exception=error, try_number=1, max_tries=3)


@pytest.mark.parametrize("cls", below(PermanentError))
def test_permanent_error_fails_at_once_with_its_first_line(cls):
    decision = judge(raised(cls))
    assert (decision.action, decision.reason) == (RetryAction.FAIL, "Refused: account.")


@pytest.mark.parametrize("cls", [*below(TransientError), DataSpaceError, KeyError, OSError])
def test_every_other_error_is_left_to_the_task(cls):
    decision = judge(raised(cls))
    assert (decision.action, decision.retry_delay) == (RetryAction.DEFAULT, None)


@pytest.mark.parametrize(
    ("asked_s", "wait"),
    [
        (7.5, timedelta(seconds=7.5)),
        (3600.0, LONGEST_WAIT),
        (86400.0, LONGEST_WAIT),
        (1e300, LONGEST_WAIT),
    ],
)
def test_rate_limit_waits_as_told_up_to_the_longest_wait(asked_s, wait):
    decision = judge(RateLimitedError("429.\nMore.", retry_after_s=asked_s))
    assert decision.action is RetryAction.RETRY
    assert (decision.retry_delay, decision.reason) == (wait, "429.")


@pytest.mark.parametrize(
    ("try_number", "asked_min", "wait_min"),
    [(1, 1, None), (1, 2, None), (1, 3, 3), (4, 10, None), (4, 17, 17), (9, 30, None), (9, 31, 31)],
)
def test_a_wait_shorter_than_the_tasks_own_is_left_to_the_task(try_number, asked_min, wait_min):
    """Else a few short ones in a row would use up the retries within minutes."""
    task = Probe(
        task_id="probe",
        retry_delay=timedelta(minutes=2),
        retry_exponential_backoff=2,
        max_retry_delay=timedelta(minutes=30),
    )
    error = RateLimitedError("429.", retry_after_s=60.0 * asked_min)
    decision = POLICY.evaluate(error, try_number, max_tries=4, context={"task": task})
    if wait_min is None:
        assert (decision.action, decision.retry_delay) == (RetryAction.DEFAULT, None)
    else:
        wait = timedelta(minutes=wait_min)
        assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, wait)


def test_error_without_words_is_named_by_its_class():
    assert judge(errors.CredentialsError()).reason == "CredentialsError"


class Probe(BaseOperator):
    """The way an operator gives its tasks this policy: as a default in the signature.

    Set inside `__init__` it would be lost for mapped tasks, which are given None first.
    """

    def __init__(self, *, what="", retry_policy: RetryPolicy | None = POLICY, **kwargs):
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.what = what


def test_default_of_an_operator_reaches_plain_and_mapped_tasks_and_storage():
    with DAG("probe", schedule=None) as dag:
        plain = Probe(task_id="plain")
        mapped = Probe.partial(task_id="mapped").expand(what=["a", "b"])
    assert plain.retry_policy is POLICY
    assert mapped.retry_policy is POLICY
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert [stored.get_task(name).has_retry_policy for name in ("plain", "mapped")] == [True, True]
