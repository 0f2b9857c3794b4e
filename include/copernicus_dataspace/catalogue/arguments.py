"""Converts the arguments of a search to a query."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from copernicus_dataspace.catalogue.query import MISSION, Query, of_mission
from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.models.time_range import Window, parse_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copernicus_dataspace.geometry.area import Area


def days_window(first_day: str | date | None, last_day: str | date | None) -> Window | None:
    """Return the window of two UTC sensing days, both included; one alone is a single day.

    Args:
        first_day: ``YYYY-MM-DD`` or a date; None or empty if not given.
        last_day: Likewise.

    Raises:
        QueryError: A day is malformed, or before the mission, or they are reversed.
    """
    given = {"first_day": first_day, "last_day": last_day}
    days = [_day(name, day) for name, day in given.items() if day]
    return of_mission(Window.of_days(days[0], days[-1])) if days else None


def _day(name: str, day: str | date) -> date:
    try:
        return parse_day(f"{day:%Y-%m-%d}" if isinstance(day, date) else str(day))
    except QueryError as error:
        message = f"{name} {error}"
        raise QueryError(message) from error


def build_query(
    *,
    window: Window | None,
    area: Area | None = None,
    tiles: Sequence[str] = (),
    product_type: str | None = None,
    max_cloud_cover: float | None = None,
    product_ids: Sequence[str] = (),
) -> Query:
    """Return the query for the arguments of a search.

    Args:
        window: Sensing time; may be None if product_ids are given.
        area: Area of interest; None for everywhere.
        tiles: MGRS tiles; with an area, both must hold.
        product_type: ``S2MSI2A``, ``S2MSI1C``, or None for both.
        max_cloud_cover: Percent, inclusive; None for no limit.
        product_ids: Ids or names: exactly these; the other filters are ignored.

    Raises:
        QueryError: Neither days nor products are given, or neither area, tiles nor products, or
            an argument is invalid.
    """
    if product_ids:
        return Query(sensed=MISSION, product_ids=tuple(product_ids))
    if window is None:
        message = "none of first_day, last_day and product_ids is given; give at least one."
        raise QueryError(message)
    if area is None and not tiles:
        message = (
            "neither area nor tiles is given, which would be the whole world; give one of them."
        )
        raise QueryError(message)
    return Query(
        sensed=window,
        product_type=product_type,
        area=area,
        tiles=tuple(tiles),
        max_cloud_cover=max_cloud_cover,
    )
