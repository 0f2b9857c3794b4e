"""The one net under the reading of settings: what they cannot mean is permanent, and named."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.os_errors import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHOWN: Final = 60
_KNOWN: Final = (DataSpaceError, AirflowException, AirflowRuntimeError, MemoryError)
"""Say themselves what may be done about them."""


@contextlib.contextmanager
def reading(**settings: Any) -> Iterator[None]:
    """Name these settings in whatever nobody thought of that goes wrong while they are read.

    Trying again would find the same settings. A fault of a disk or share that may pass is none of
    theirs and is handed on, as are errors that say themselves what may be done about them.

    Raises:
        ConfigurationError: Anything else went wrong, which is its cause.
    """
    try:
        yield
    except _KNOWN:
        raise
    except Exception as error:
        if isinstance(error, OSError) and may_pass(error):
            raise
        message = (
            f"{_shown(settings)} cannot be used: reading it ended in {type(error).__name__}. "
            "Write it in another way."
        )
        raise ConfigurationError(message) from error


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shortened(value)}" for name, value in settings.items())


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
