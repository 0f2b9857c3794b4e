"""Turns errors while settings are read into permanent errors that name the settings."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

from airflow_copernicus.config.params import PARAMS
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, PermanentError
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


@contextlib.contextmanager
def reading_params(**params: Any) -> Iterator[None]:
    """As `reading`, but messages begin with the titles that the params have in the trigger form.

    These are the params that the message mentions; if it mentions none, the first that is set.

    Raises:
        PermanentError: A param cannot be used; of the same class as the original error.
    """
    try:
        with reading(**params):
            yield
    except PermanentError as error:
        message = _titled(str(error), params)
        raise type(error)(message).of_answer(error) from error.__cause__


def _titled(message: str, params: Mapping[str, Any]) -> str:
    given = [name for name, value in params.items() if value] or [*params]
    names = [name for name in params if re.search(rf"\b{name}\b", message)] or given[:1]
    titles = ", ".join(f"{PARAMS[name]['title']} ({name})" for name in names)
    if len(names) == 1:
        message = re.sub(rf"^{names[0]}(?::| is)? ", "", message)
    return f"{titles}: {message}"


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shortened(value)}" for name, value in settings.items())


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
