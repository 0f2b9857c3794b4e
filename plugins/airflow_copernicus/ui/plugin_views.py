"""What this project adds to Airflow's UI; every Airflow process reads it at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf

from airflow_copernicus.links import REPORTS_PATH

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class ReportPages:
    """The pages of `ui.report_pages`, imported when the first of them is asked for.

    They need much of Airflow's server, which takes seconds, and all but the API server do without.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from airflow_copernicus.ui.report_pages import app  # noqa: PLC0415

        await app(scope, receive, send)


def reports_view() -> dict[str, str]:
    """Return the entry of the menu: a path, because only its own server may frame a page."""
    base = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return {
        "name": "Sentinel-2 archive",
        "href": f"{base}{REPORTS_PATH}",
        "url_route": "sentinel2-archive",
        "destination": "nav",
        "category": "browse",
    }


FASTAPI_APP: Final[dict[str, Any]] = {
    "app": ReportPages(),
    "url_prefix": REPORTS_PATH.rpartition("/")[0],
    "name": "Sentinel-2 archive",
}
