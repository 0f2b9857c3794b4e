"""Why a connection cannot be read decides what becomes of the task."""

import json

import pytest
from airflow.sdk.exceptions import (
    AirflowRuntimeError,
    AirflowSecretsBackendAccessDenied,
    ErrorType,
)
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.errors import ConfigurationError, ServiceUnavailableError

SECRET = "correct-horse"


class PageRow:
    """The line to a task's supervisor, which has the same answer to everything."""

    def __init__(self, answer):
        self._answer = answer

    def send(self, _message):
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def in_task(monkeypatch):
    """Let this be a task, whose supervisor has this answer of the API server."""

    def begin(answer):
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", PageRow(answer), raising=False)
        backends = [ExecutionAPISecretsBackend()]
        monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: backends)

    return begin


@pytest.fixture
def backend(monkeypatch):
    """Let the secrets backends be these, each raising an error or having nothing."""

    def use(*errors):
        def made(error):
            class Vault:
                def get_connection(self, **_asked):
                    if error:
                        raise error

            return Vault()

        backends = [made(error) for error in errors]
        monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: backends)

    return use


def error_of(error_type):
    return ErrorResponse(error=error_type, detail={"message": SECRET})


@pytest.mark.parametrize(
    "error",
    [ConnectionError(SECRET), TimeoutError(SECRET), json.JSONDecodeError(SECRET, "", 0), None],
    ids=repr,
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_backend_that_is_away_is_tried_again_wherever_it_stands(backend, error, place):
    others = [None, None]
    others[place] = error
    backend(*others)
    passing = isinstance(error, OSError)
    with pytest.raises(ServiceUnavailableError if passing else ConfigurationError) as caught:
        CopernicusHook("mine").get_conn()
    assert "connection 'mine'" in str(caught.value)
    assert ("Vault does not respond" in str(caught.value)) is passing
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error_of(ErrorType.CONNECTION_NOT_FOUND), ConfigurationError, "does not exist"),
        (
            AirflowRuntimeError(error_of(ErrorType.API_SERVER_ERROR)),
            ServiceUnavailableError,
            "the API server does not respond",
        ),
        (BrokenPipeError(SECRET), ServiceUnavailableError, "the API server does not respond"),
        (error_of(ErrorType.PERMISSION_DENIED), ConfigurationError, "is denied"),
    ],
    ids=str,
)
def test_an_api_server_that_is_away_is_tried_again(in_task, answer, kind, words):
    in_task(answer)
    with pytest.raises(kind, match=words) as caught:
        CopernicusHook("mine").get_conn()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(SECRET), ServiceUnavailableError),
        (RuntimeError(SECRET), ServiceUnavailableError),
        (AirflowSecretsBackendAccessDenied(SECRET), ConfigurationError),
    ],
    ids=repr,
)
def test_whatever_airflow_raises_is_one_of_ours(monkeypatch, error, kind):
    def fail(_conn_id):
        raise error

    monkeypatch.setattr(CopernicusHook, "get_connection", staticmethod(fail))
    with pytest.raises(kind, match="connection 'mine'") as caught:
        CopernicusHook("mine").get_conn()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert CopernicusHook("mine").test_connection() == (False, str(caught.value))


@pytest.mark.parametrize(
    "text", ["{'login': 'x'}", '{"login": ', '["x"]', '{"host": ["x"]}', "a://b://c:d@e://f"]
)
def test_a_connection_of_the_environment_in_a_wrong_form_is_not_taken_for_none(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", text)
    with pytest.raises(ConfigurationError, match="'mine'") as caught:
        CopernicusHook("mine").get_conn()
    assert "does not exist" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"), [(OSError(), ServiceUnavailableError), (None, ConfigurationError)]
)
def test_the_connection_of_an_output_is_read_likewise(backend, monkeypatch, error, kind):
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "s3://store@bucket/place")
    backend(error)
    with pytest.raises(kind, match="connection 'store'"):
        open_store("s3://store@bucket/place")
