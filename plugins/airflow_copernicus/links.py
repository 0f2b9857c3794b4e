"""Links of tasks in the UI: Copernicus Browser, run summary, archive, required action.

Airflow stores a link when its task ends, and shows it from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.configuration import conf

from copernicus_dataspace.geometry.footprint import middle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.models.product import Product

_BROWSER_URL: Final = "https://browser.dataspace.copernicus.eu/"
_DATASETS: Final = {"S2MSI2A": "S2_L2A_CDAS", "S2MSI1C": "S2_L1C_CDAS"}
REPORTS_PATH: Final = "/copernicus/reports"
"""Path of the reports on Airflow's API server."""

RECONCILE_DAG_ID: Final = "sentinel2_reconcile"
APPROVAL_DAG_ID: Final = "sentinel2_approve_removals"
APPROVAL_TASK_ID: Final = "approve"

_ZOOM: Final = 9
"""Shows a whole tile of 110 km."""


class CopernicusBrowserLink(BaseOperatorLink):
    """Opens the Copernicus Browser: of a search at its area and day, of a batch at its product."""

    name = "Copernicus Browser"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL; called on the worker when the task has finished."""
        seen = getattr(operator, "seen", None) or (getattr(operator, "batch", None) or {}).get(
            "seen"
        )
        return browser_url(*seen) if seen else _BROWSER_URL


class RunSummaryLink(BaseOperatorLink):
    """Opens the task that publishes the run of a search, whose log has the run's summary."""

    name = "Run summary"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL; called on the worker when the task has finished."""
        tasks = operator.dag.tasks
        publish = [
            one.task_id for one in tasks if getattr(one, "search_id", "") == operator.task_id
        ]
        run = f"{_base_url()}/dags/{ti_key.dag_id}/runs/{quote(ti_key.run_id, safe='')}"
        return f"{run}/tasks/{publish[0]}" if publish else run


class ArchiveLink(BaseOperatorLink):
    """Opens the page of the ingest's archive."""

    name = "Archive"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL; called on the worker when the task has finished."""
        return report_url(ti_key.dag_id)


class ArchiveReportLink(BaseOperatorLink):
    """Opens the report of the task, or the list of all reports if it wrote none."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL; called on the worker when the task has finished."""
        key = BaseXCom.XCOM_RETURN_KEY
        settled = BaseXCom.get_value(ti_key=ti_key, key=key)  # type: ignore[arg-type]
        return report_url(settled["ingest"], settled["report_name"]) if settled else report_url()


def report_url(*names: str) -> str:
    """Return the URL of a report, by ingest and name; without arguments, of the list."""
    return "/".join((f"{_base_url()}{REPORTS_PATH}", *names))


def _base_url() -> str:
    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")


def approval_path(run_id: str) -> str:
    """Return the path, relative to the base URL, of a run's required action."""
    run = f"dags/{APPROVAL_DAG_ID}/runs/{quote(run_id, safe='')}"
    return f"{run}/tasks/{APPROVAL_TASK_ID}/required_actions"


def browser_arguments(product: Product) -> list[Any]:
    """Return the arguments of `browser_url`: product type, day, and the footprint's centre.

    A short list, because the XCom of a search contains one for each batch.
    """
    return [product.product_type, product.day, *_centre(product.footprint)]


def search_arguments(query: Query, found: Sequence[Product]) -> list[Any]:
    """Return the arguments of `browser_url` of a search: the area, on the first product's day."""
    unknown = [query.product_type, query.sensed.start.date().isoformat()]
    kind, day, *place = browser_arguments(found[0]) if found else unknown
    return [kind, day, *((query.area and _centre(query.area.geometry)) or place)]


def _centre(geometry: Any) -> list[float]:
    return [round(degrees, 2) for degrees in middle(geometry) or ()]


def browser_url(
    product_type: str, day: str, lon: float | None = None, lat: float | None = None
) -> str:
    """Return the URL for a product type, day (``YYYY-MM-DD``) and location in degrees."""
    place = {} if lon is None else {"zoom": _ZOOM, "lat": lat, "lng": lon}
    query = {
        **place,
        "themeId": "DEFAULT-THEME",
        "datasetId": _DATASETS.get(product_type, _DATASETS["S2MSI2A"]),
        "fromTime": f"{day}T00:00:00.000Z",
        "toTime": f"{day}T23:59:59.999Z",
    }
    return f"{_BROWSER_URL}?{urlencode(query)}"
