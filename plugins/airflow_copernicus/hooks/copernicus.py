"""The Copernicus hook: creates a client from an Airflow Connection, and queries from arguments."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_copernicus.config.environment import area_folders, state_dir, trusted_hosts
from airflow_copernicus.config.params import lines
from airflow_copernicus.config.setting_errors import reading, reading_params
from airflow_copernicus.hooks.connection import extra_of, read_connection, with_labels
from airflow_copernicus.hooks.connection_limits import (
    check_max_connections,
    max_connections,
    number,
)
from airflow_copernicus.provider_info import CONNECTION_TYPE, EXTRA_FIELDS
from copernicus_dataspace.account_check import check
from copernicus_dataspace.catalogue import arguments
from copernicus_dataspace.catalogue.versions import ALL
from copernicus_dataspace.client import Client
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.service import ClientOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from airflow.sdk import Connection

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.catalogue.search import Products
    from copernicus_dataspace.geometry.area import Area
    from copernicus_dataspace.models.time_range import Window

_QUOTA_GB: Final = 12_000.0
"""Of a standard account in any 30 days, https://documentation.dataspace.copernicus.eu/Quotas.html."""
_MAX_QUOTA_GB: Final = 1e9
_MAX_SPACING_S: Final = 3600.0
"""Upper bounds, so that "inf" is a valid number."""
_URLS = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")
_TEXTS = ("totp_secret", "client_id", "s3_access_key", "s3_secret_key", "transport")


class CopernicusHook(BaseHook):
    """Connects to the Data Space with an Airflow Connection of type ``copernicus``.

    The login is the account's e-mail address. The connection's extra may contain `identity_url`,
    `catalogue_url`, `download_url`, `stac_url`, `s3_endpoint_url`, `s3_access_key`,
    `s3_secret_key`, `transport`, `client_id`, `totp_secret`, `max_connections`,
    `request_spacing_s` and `quota_gb`. If any URL is set, services without a URL are disabled. Only
    the service's own hosts over https, localhost, and the hosts of the option `trusted_hosts` of
    the installation are allowed.
    """

    conn_name_attr = "copernicus_conn_id"
    default_conn_name = "copernicus_default"
    conn_type = CONNECTION_TYPE
    hook_name = "Copernicus Data Space"

    def __init__(self, copernicus_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.copernicus_conn_id = copernicus_conn_id

    def get_conn(self, connections: int = 1) -> Client:
        """Return a new client, to be closed by the caller; it sends no request yet.

        Args:
            connections: Concurrent transfers; at most the connection's `max_connections`.

        Raises:
            ConfigurationError: The connection does not exist, is incomplete or invalid, or allows
                fewer connections.
            ServiceUnavailableError: The secrets backend or API server does not respond.
        """
        return self._client(connections, state_dir=state_dir())

    def _client(self, connections: int = 1, **options: Any) -> Client:
        connection = read_connection(self.get_connection, self.copernicus_conn_id)
        with reading(copernicus_conn_id=self.copernicus_conn_id):
            extra = extra_of(connection)
            try:
                check_max_connections(connections, max_connections(extra))
                username, password = _login(connection)
                return Client(
                    username,
                    password,
                    **_addresses(extra),
                    **_texts(extra),
                    connections=connections,
                    options=_options(extra, **options),
                )
            except ConfigurationError as error:
                message = f"connection {self.copernicus_conn_id!r}: {with_labels(str(error))}"
                raise ConfigurationError(message) from error.__cause__

    def search(self, query: Query) -> Products:
        """Return the products that match a query, of all processing baselines.

        See `Catalogue.search`, and `catalogue.versions.choose` for the latest of each acquisition.

        Raises:
            DataSpaceError: The catalogue rejected the query or is unavailable.
        """
        with self.get_conn() as client:
            return client.service.catalogue.search(query).of_versions(ALL)

    def search_frame(  # noqa: PLR0913
        self,
        *,
        area: Any = None,
        tiles: Sequence[str] = (),
        product_type: str | None = "S2MSI2A",
        max_cloud_cover: float | None = None,
        first_day: str | None = None,
        last_day: str | None = None,
        product_ids: Sequence[str] = (),
        geometry: bool = False,
    ) -> pd.DataFrame:
        """Return the metadata of matching products, one row each, oldest sensing first.

        All versions are included: a reprocessed acquisition has one row for each baseline.

        Args:
            area: Name of a file in `areas_folder`, GeoJSON, WKT, ``west,south,east,north``, or a
                `pathlib.Path` to a file elsewhere. A string is never used as a path.
            tiles: MGRS tiles; with an area, products must match both.
            product_type: ``S2MSI2A``, ``S2MSI1C``, or None for both.
            max_cloud_cover: Percent, inclusive; None for no limit.
            first_day: First UTC sensing day, ``YYYY-MM-DD``.
            last_day: Last UTC sensing day, inclusive; a single date covers that day.
            product_ids: Ids or names of products; all other filters are then ignored.
            geometry: Whether to return a GeoDataFrame with the footprints.

        Raises:
            DataSpaceError: An argument is invalid, or the catalogue is unavailable.
        """
        query = build_query(
            window=days_window(first_day, last_day),
            area=area,
            tiles=tiles,
            product_type=product_type,
            max_cloud_cover=max_cloud_cover,
            product_ids=product_ids,
            folders=area_folders(),
        )
        return self.search(query).to_dataframe(geometry=geometry)

    def test_connection(self) -> tuple[bool, str]:
        """Check every configured service; return the overall result and a message.

        Uses a new login, so that a changed password takes effect, and logs out again. On success,
        the tasks of this host forget an earlier failed login.
        """
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        try:
            with self._client(is_interactive=True) as client:
                findings = check(client.service, yesterday)
            if findings[0].is_good:
                with self.get_conn() as client:
                    client.service.forget_failures()
        except DataSpaceError as error:
            return False, str(error)
        findings.sort(key=lambda finding: finding.is_good)
        message = " ".join(finding.words for finding in findings)
        return all(finding.is_good for finding in findings), message


def build_query(  # noqa: PLR0913
    *,
    window: Window | None,
    area: Any,
    tiles: Sequence[str] | None,
    product_type: str | None,
    max_cloud_cover: float | None,
    product_ids: Sequence[str] | None,
    folders: Iterable[Path] = (),
) -> Query:
    """Return the query for the arguments of a search; area files are looked up in the folders.

    Raises:
        QueryError: Neither area, tiles nor products are given, or the days are missing.
        AreaError: The area is invalid.
        ConfigurationError: Another argument is invalid.
        TransientError: The area's file cannot be read at present.
    """
    with reading_params(product_ids=product_ids):
        chosen = lines(product_ids)
    with reading_params(tiles=tiles):
        squares = lines(tiles)
    with reading_params(area=area):
        place = None if chosen else _area(area, folders)
    with reading_params(
        area=area,
        tiles=tiles,
        product_type=product_type,
        max_cloud_cover=max_cloud_cover,
        product_ids=product_ids,
    ):
        return arguments.build_query(
            window=window,
            area=place,
            tiles=squares,
            product_type=product_type,
            max_cloud_cover=max_cloud_cover,
            product_ids=chosen,
        )


def _area(given: Any, folders: Iterable[Path]) -> Area | None:
    """Parse the argument `area`; None if it is empty."""
    from copernicus_dataspace.geometry.area import Area  # noqa: PLC0415 - shapely is slow to import

    given = given.strip() if isinstance(given, str) else given
    return Area.parse(given, folders=folders) if given else None


def days_window(first_day: str | None, last_day: str | None) -> Window | None:
    """Return the window of days, both inclusive; a single date covers that day.

    Raises:
        QueryError: A day is malformed or outside the mission, or the days are in reverse order.
    """
    with reading_params(first_day=first_day, last_day=last_day):
        return arguments.days_window(first_day, last_day)


def _addresses(extra: Mapping[str, Any]) -> dict[str, Any]:
    _check_extra_keys(extra)
    urls = {name: extra.get(name) for name in _URLS}
    _check_trusted_hosts(Endpoints.resolve(**urls))
    return urls


def _check_extra_keys(extra: Mapping[str, Any]) -> None:
    """Reject keys similar to a known one: a misspelled URL would select the real service."""
    for name in extra.keys() - EXTRA_FIELDS.keys():
        near = difflib.get_close_matches(name, EXTRA_FIELDS, n=1, cutoff=0.8)
        if near:
            message = f"the connection's extra has {name!r}; did you mean {near[0]!r}?"
            raise ConfigurationError(message)


def _check_trusted_hosts(endpoints: Endpoints) -> None:
    """Reject hosts that the installation does not trust, before any request."""
    try:
        untrusted = endpoints.untrusted(trusted_hosts())
    except ConfigurationError as error:
        message = f"trusted_hosts in the section [copernicus] of airflow.cfg: {error}"
        raise ConfigurationError(message) from error
    if untrusted:
        hosts = ", ".join(f"{name} has the host {host}" for name, host in untrusted.items())
        message = (
            f"{hosts}, which is not trusted; nothing was sent. Credentials are sent only over "
            "https to the service's own hosts, to localhost, and to trusted hosts. Correct the "
            "URL, or ask the administrator of this Airflow to add the host to trusted_hosts in the "
            "section [copernicus] of airflow.cfg, for all components."
        )
        raise ConfigurationError(message)


def _login(connection: Connection) -> tuple[str, str]:
    if not connection.login or not connection.password:
        missing = "Account password" if connection.login else "Account e-mail (login)"
        message = f"it has no {missing}; enter it under Admin > Connections."
        raise ConfigurationError(message)
    return connection.login, connection.password


def _texts(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the string arguments of a client that are set."""
    texts = {name: str(extra[name]) for name in _TEXTS if extra.get(name)}
    if "s3_secret_key" in texts:
        mask_secret(texts["s3_secret_key"])
    return texts


def _options(extra: Mapping[str, Any], **others: Any) -> ClientOptions:
    return ClientOptions(
        request_spacing_s=min(_MAX_SPACING_S, number(extra, "request_spacing_s", 0.0, minimum=0)),
        quota_bytes=1e9 * min(_MAX_QUOTA_GB, number(extra, "quota_gb", _QUOTA_GB, minimum=0.0)),
        on_new_token=mask_secret,
        **others,
    )
