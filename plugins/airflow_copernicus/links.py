"""Leads from a task to its product in the Copernicus Browser, to its report, or to a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.configuration import conf

from copernicus_dataspace.geometry.footprint import middle

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from copernicus_dataspace.models.product import Product

_BROWSER_URL: Final = "https://browser.dataspace.copernicus.eu/"
_DATASETS: Final = {"S2MSI2A": "S2_L2A_CDAS", "S2MSI1C": "S2_L1C_CDAS"}
REPORTS_PATH: Final = "/copernicus/reports"
"""Where Airflow's own server shows the reports."""

RECONCILE_DAG_ID: Final = "sentinel2_reconcile"
APPROVAL_DAG_ID: Final = "sentinel2_approve_removals"
APPROVAL_TASK_ID: Final = "approve"

_ZOOM: Final = 9
"""Shows a tile of 110 km at once."""


class CopernicusBrowserLink(BaseOperatorLink):
    """Opens the Copernicus Browser at the place and day of the task's (first) product."""

    name = "Copernicus Browser"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address; runs on the worker once the task has ended."""
        batch: Any = getattr(operator, "batch", None)
        return browser_url(*batch["seen"]) if batch and batch.get("seen") else _BROWSER_URL


class ArchiveReportLink(BaseOperatorLink):
    """Opens the report that the task has made, or the list of all where it has made none."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address; runs on the worker once the task has ended."""
        key = BaseXCom.XCOM_RETURN_KEY
        settled = BaseXCom.get_value(ti_key=ti_key, key=key)  # type: ignore[arg-type]
        return report_url(settled["ingest"], settled["report_name"]) if settled else report_url()


def report_url(*names: str) -> str:
    """Return the address of a report, by ingest and name, or of the list of all."""
    base = conf.get("api", "base_url", fallback="") or ""
    return "/".join((f"{base.rstrip('/')}{REPORTS_PATH}", *names))


def approval_path(run_id: str) -> str:
    """Return the path below the UI's address where a run's question is answered."""
    run = f"dags/{APPROVAL_DAG_ID}/runs/{quote(run_id, safe='')}"
    return f"{run}/tasks/{APPROVAL_TASK_ID}/required_actions"


def seen(product: Product) -> list[Any]:
    """Return the few facts `browser_url` needs: type, day, and the middle of the footprint.

    A list, because every reference of a search holds one.
    """
    place = middle(product.footprint) or ()
    day = product.sensed.date().isoformat()
    return [product.product_type, day, *(round(degrees, 2) for degrees in place)]


def browser_url(
    product_type: str, day: str, lon: float | None = None, lat: float | None = None
) -> str:
    """Return the address of a product type, day (``YYYY-MM-DD``) and place in degrees."""
    place = {} if lon is None else {"zoom": _ZOOM, "lat": lat, "lng": lon}
    query = {
        **place,
        "themeId": "DEFAULT-THEME",
        "datasetId": _DATASETS.get(product_type, _DATASETS["S2MSI2A"]),
        "fromTime": f"{day}T00:00:00.000Z",
        "toTime": f"{day}T23:59:59.999Z",
    }
    return f"{_BROWSER_URL}?{urlencode(query)}"
