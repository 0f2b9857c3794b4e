"""Turns unexpected errors while settings are read into a permanent error that names them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.os_errors import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_SHOWN: Final = 60
_PASSED_ON: Final = (DataSpaceError, AirflowException, AirflowRuntimeError, MemoryError)
"""Errors whose messages already say what to do."""


@contextlib.contextmanager
def reading(**settings: Any) -> Iterator[None]:
    """Replace unexpected errors inside the block by one that names these settings.

    It is permanent, because a retry would read the same settings. Transient errors of the disk, and
    errors of the library and of Airflow, pass unchanged.

    Raises:
        ConfigurationError: An unexpected error occurred, which is its cause.
    """
    try:
        yield
    except _PASSED_ON:
        raise
    except Exception as error:
        if isinstance(error, OSError) and may_pass(error):
            raise
        message = (
            f"{_shown(settings)} cannot be used: reading it raised {type(error).__name__}. "
            "Correct the value."
        )
        raise ConfigurationError(message) from error


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shortened(value)}" for name, value in settings.items())


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
