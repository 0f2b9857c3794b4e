"""Numbers of the connection's extra: how many transfers the account may have at once, and others.

Read by the scheduler at its start, so nothing heavy is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL: Final = "copernicus"
"""The Airflow pool whose slots are the transfers at once of the account."""
ORDINARY: Final = 4
"""Of an ordinary account, https://documentation.dataspace.copernicus.eu/Quotas.html."""
_MOST: Final = 1000
"""Keeps "inf" a number of slots."""


def most_connections(extra: Mapping[str, Any]) -> int:
    """Return the transfers at once that a connection's extra allows.

    Raises:
        ConfigurationError: `max_connections` is no number, or below 1.
    """
    return int(min(number(extra, "max_connections", ORDINARY, least=1), _MOST))


def refuse_more(connections: int, most: int, conn_id: str) -> None:
    """Refuse more transfers at once than the account may have.

    Raises:
        ConfigurationError: Names both numbers, and where they are set.
    """
    if connections > most:
        message = (
            f"connection {conn_id!r} allows {most} transfers at once (max_connections), "
            f"{connections} were asked for; lower `connections` of the ingest (pool_slots of the "
            "task), or raise max_connections if the account has more, and restart the scheduler."
        )
        raise ConfigurationError(message)


def number(extra: Mapping[str, Any], name: str, default: float, *, least: float) -> float:
    """Return a number of a connection's extra.

    Raises:
        ConfigurationError: It is no number, or too small.
    """
    value = extra.get(name)
    if value in (None, ""):
        return default
    try:
        given = float(value)
    except (TypeError, ValueError):
        given = least - 1
    if not given >= least:
        message = f"{name} {value!r} in the extra cannot be used; write {least:g} or more."
        raise ConfigurationError(message)
    return given
