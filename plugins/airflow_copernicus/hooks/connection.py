"""Reads a Connection, and knows why one cannot be had: not there, not allowed, or no answer.

Airflow asks one secrets backend after the other and passes over those that fail. Where none has a
connection it says the same, whether a backend is away or there is no such connection. So then they
are asked once more here, and what they raise decides.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSecretsBackendAccessDenied,
    ErrorType,
)

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection

_MALFORMED: Final = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a connection raises that is stored in a wrong form."""


def read_connection(get: Callable[[str], Connection], conn_id: str) -> Connection:
    """Return a connection.

    Args:
        get: Airflow's own way to it, `BaseHook.get_connection`.
        conn_id: Its id.

    Raises:
        ConfigurationError: There is none of this id, it may not be read, or not in its form.
        ServiceUnavailableError: What keeps the connections does not answer.
    """
    try:
        return get(conn_id)
    except AirflowNotFoundException as error:
        raise _missing(conn_id) from error
    except Exception as error:  # noqa: BLE001 - of whatever kind
        raise _failed(conn_id, "its keeper", error) from None  # its text may hold a secret


def extra_of(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra.

    Raises:
        ConfigurationError: It is no JSON object. Airflow takes that for an empty one, so that the
            addresses in it would count for nothing.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        message = (
            f"the extra of connection {connection.conn_id!r} is no JSON object; correct it, with "
            "quotes round names and texts."
        )
        raise ConfigurationError(message)
    return dict(connection.extra_dejson)  # whose secrets are masked from now on


def _missing(conn_id: str) -> DataSpaceError:
    """Return why no backend gave a connection."""
    from airflow.sdk.execution_time.supervisor import (  # noqa: PLC0415 - slow to import
        ensure_secrets_backend_loaded,
    )

    for backend in ensure_secrets_backend_loaded():
        try:
            found = backend.get_connection(conn_id=conn_id)
            if found:
                found.get_uri()  # as Airflow does, which takes it for none where that fails
                return ServiceUnavailableError(f"connection {conn_id!r} is there now; try again.")
        except Exception as error:  # noqa: BLE001 - of whatever kind
            return _failed(conn_id, type(backend).__name__, error)
    try:
        _ask_api_server(conn_id)
    except Exception as error:  # noqa: BLE001
        return _failed(conn_id, "the API server", error)
    return ConfigurationError(
        f"connection {conn_id!r} does not exist; add it under Admin > Connections, or, outside of "
        f"a task, as JSON in AIRFLOW_CONN_{conn_id.upper()}."
    )


def _ask_api_server(conn_id: str) -> None:
    """Ask as a task does, because Airflow's own backend keeps to itself what went wrong.

    Raises:
        AirflowRuntimeError: It did not answer.
    """
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415
    from airflow.sdk.execution_time.comms import GetConnection  # noqa: PLC0415

    line = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if line is not None:
        line.send(GetConnection(conn_id=conn_id))


def _failed(conn_id: str, keeper: str, error: Exception) -> DataSpaceError:
    """Return what an error means for a connection."""
    why = type(error).__name__
    if isinstance(error, AirflowRuntimeError):
        why = error.error.error.value
        is_denied = error.error.error is ErrorType.PERMISSION_DENIED
    else:
        is_denied = isinstance(error, AirflowSecretsBackendAccessDenied)
    if is_denied:
        return ConfigurationError(
            f"connection {conn_id!r} may not be read here ({why}); ask whoever keeps this Airflow."
        )
    is_malformed = isinstance(error, _MALFORMED) and not isinstance(error, OSError)
    if is_malformed or type(error) is AirflowException:  # as Connection.from_uri raises it
        return ConfigurationError(
            f"connection {conn_id!r} is kept by {keeper} in a form that Airflow cannot read "
            f"({why}); write it as JSON or as a URI."
        )
    return ServiceUnavailableError(
        f"connection {conn_id!r} could not be read: {keeper} does not answer ({why}); try again."
    )
