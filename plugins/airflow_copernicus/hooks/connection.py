"""Reads an Airflow Connection and distinguishes missing, forbidden and unavailable ones.

Airflow tries its secrets backends in order and ignores errors. It raises the same exception if a
backend is unavailable and if the connection does not exist. This module then queries the backends
again and classifies their errors.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSecretsBackendAccessDenied,
    ErrorType,
)

from airflow_copernicus.provider_info import EXTRA_FIELDS
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection

_MALFORMED: Final = (ValueError, TypeError, KeyError, AttributeError)
"""Errors raised by a connection that is stored in an invalid format."""


def read_connection(get: Callable[[str], Connection], conn_id: str) -> Connection:
    """Return a connection.

    Args:
        get: `BaseHook.get_connection`.
        conn_id: Id of the connection.

    Raises:
        ConfigurationError: It does not exist, access is denied, or its format is invalid.
        ServiceUnavailableError: The secrets backend or API server does not respond.
    """
    try:
        return get(conn_id)
    except AirflowNotFoundException as error:
        raise _not_found(conn_id) from error
    except Exception as error:  # noqa: BLE001 - a backend may raise anything
        raise _read_error(
            conn_id, "the secrets backend", error
        ) from None  # its text may hold a secret


def extra_of(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra.

    Raises:
        ConfigurationError: It is not a JSON object. Airflow would treat it as empty, and its URLs
            would be ignored.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        message = (
            f"the extra of connection {connection.conn_id!r} is not a JSON object; correct it: "
            "names and strings need double quotes."
        )
        raise ConfigurationError(message)
    return dict(connection.extra_dejson)  # this property also masks the secrets in logs


def with_labels(message: str) -> str:
    """Return a message in which the connection's fields have the labels of the form."""
    names = "|".join(EXTRA_FIELDS)
    return re.sub(
        rf"(?<!['\w])({names})(?!['\w])",
        lambda found: f"{EXTRA_FIELDS[found[0]]['label']} ({found[0]})",
        message,
    )


def _not_found(conn_id: str) -> DataSpaceError:
    """Return the reason why no backend returned a connection."""
    from airflow.sdk.execution_time.supervisor import (  # noqa: PLC0415 - slow to import
        ensure_secrets_backend_loaded,
    )

    for backend in ensure_secrets_backend_loaded():
        try:
            found = backend.get_connection(conn_id=conn_id)
            if found:
                found.get_uri()  # as Airflow does, which ignores a connection if this fails
                return ServiceUnavailableError(
                    f"connection {conn_id!r} could not be read at first but exists; try again."
                )
        except Exception as error:  # noqa: BLE001 - a backend may raise anything
            return _read_error(conn_id, type(backend).__name__, error)
    try:
        _query_api_server(conn_id)
    except Exception as error:  # noqa: BLE001
        return _read_error(conn_id, "the API server", error)
    return ConfigurationError(
        f"connection {conn_id!r} does not exist; add it under Admin > Connections, or as JSON in "
        f"the environment variable AIRFLOW_CONN_{conn_id.upper()}."
    )


def _query_api_server(conn_id: str) -> None:
    """Request a connection as a task does; Airflow's own backend hides the error.

    Raises:
        AirflowRuntimeError: The request failed.
    """
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415
    from airflow.sdk.execution_time.comms import GetConnection  # noqa: PLC0415

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is not None:
        supervisor.send(GetConnection(conn_id=conn_id))


def _read_error(conn_id: str, source: str, error: Exception) -> DataSpaceError:
    """Return the error of the library for an error of a backend."""
    reason = type(error).__name__
    if isinstance(error, AirflowRuntimeError):
        reason = error.error.error.value
        is_denied = error.error.error is ErrorType.PERMISSION_DENIED
    else:
        is_denied = isinstance(error, AirflowSecretsBackendAccessDenied)
    if is_denied:
        return ConfigurationError(
            f"access to connection {conn_id!r} is denied ({reason}); ask the administrator of this "
            "Airflow."
        )
    is_malformed = isinstance(error, _MALFORMED) and not isinstance(error, OSError)
    if is_malformed or type(error) is AirflowException:  # as Connection.from_uri raises it
        return ConfigurationError(
            f"connection {conn_id!r} has an invalid format in {source} ({reason}); write it as "
            "JSON or as a URI."
        )
    return ServiceUnavailableError(
        f"connection {conn_id!r} could not be read: {source} does not respond ({reason}); try "
        "again."
    )
