"""The menu entry and app of the report pages; every Airflow process imports this at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf

from airflow_copernicus.links import REPORTS_PATH

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class ReportPages:
    """The app of `ui.report_pages`, imported at the first request.

    The import takes seconds, and only the API server needs it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        from airflow_copernicus.ui.report_pages import app  # noqa: PLC0415

        await app(scope, receive, send)


def reports_view() -> dict[str, str]:
    """Return the menu entry; with a path, because pages allow only their own origin as frame."""
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
