"""Numeric limits in the connection's extra, such as the maximum number of concurrent transfers.

The scheduler imports this module at its start, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL: Final = "copernicus"
"""The Airflow pool; its slots are the account's concurrent transfers."""
DEFAULT_MAX_CONNECTIONS: Final = 4
"""Of a standard account, https://documentation.dataspace.copernicus.eu/Quotas.html."""
_MAX_SLOTS: Final = 1000
"""Upper bound, so that "inf" is a valid number of slots."""


def max_connections(extra: Mapping[str, Any]) -> int:
    """Return the maximum number of concurrent transfers of a connection.

    Raises:
        ConfigurationError: `max_connections` is not a number, or below 1.
    """
    return int(
        min(number(extra, "max_connections", DEFAULT_MAX_CONNECTIONS, minimum=1), _MAX_SLOTS)
    )


def check_max_connections(connections: int, maximum: int) -> None:
    """Check a number of concurrent transfers against the limit of the connection.

    Raises:
        ConfigurationError: It is above the limit; the message names both settings.
    """
    if connections > maximum:
        message = (
            f"max_connections is {maximum}, but {connections} concurrent transfers are configured; "
            "lower `connections` of the ingest (pool_slots of the task), or raise max_connections "
            "if the account allows more, and restart the scheduler."
        )
        raise ConfigurationError(message)


def number(extra: Mapping[str, Any], name: str, default: float, *, minimum: float) -> float:
    """Return a number of a connection's extra.

    Raises:
        ConfigurationError: It is not a number, or below the minimum.
    """
    value = extra.get(name)
    if value in (None, ""):
        return default
    try:
        given = float(value)
    except (TypeError, ValueError):
        given = minimum - 1
    if not given >= minimum:
        message = (
            f"{name} {value!r} in the extra cannot be used; write a number of at least {minimum:g}."
        )
        raise ConfigurationError(message)
    return given
