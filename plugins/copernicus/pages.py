"""Shows the reports that lie in the ingests' outputs to people who may see those DAGs.

Nobody else: an app of a plugin is open to anyone unless it asks for the user itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from botocore.exceptions import BotoCoreError
from fastapi import Depends, FastAPI, HTTPException, Path, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from copernicus.ingest_files import files_in, find
from copernicus.ingests import Ingest
from copernicus.project import INGESTS
from copernicus.runs import open_store
from dataspace import report_page, report_words
from dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import Request

    from dataspace.store import Store

_LATEST: Final = "latest"
_FILE: Final = re.compile(r"(latest|\d{4}-\d{2}-\d{2}T\d{6}Z)(?P<kind>\.html|\.json|)", re.ASCII)
_NOSNIFF: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
_OF_HTML: Final = {
    **_NOSNIFF,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""Whatever a stored page holds, it can run nothing and ask for nothing."""

app = FastAPI(
    title="Sentinel-2 archive",
    dependencies=[Depends(get_user)],
    openapi_url=None,
)
_MAY_SEE: Final = [Depends(requires_access_dag(method="GET"))]
DagId = Annotated[str, Path(description="The ingest, as requires_access_dag looks for it.")]


@app.exception_handler(AnyHTTPException)
def in_words(_: Request, error: AnyHTTPException) -> Response:
    """Answer with the reason alone: people read it in a browser."""
    headers = {**_NOSNIFF, **(error.headers or {})}
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers)


@app.get("/reports")
def list_reports(user: GetUserDep) -> Response:
    """Show one line for each ingest the user may see."""
    seen = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    names = [file.dag_id for file in files_in(INGESTS) if file.dag_id in seen]
    return _html(report_page.overview(_row(name) for name in names))


@app.get("/reports/{dag_id}", dependencies=_MAY_SEE)
def find_latest(dag_id: DagId) -> Response:
    """Lead to the latest report of an ingest, in whose folder its links hold."""
    return RedirectResponse(f"{_ingest(dag_id).dag_id}/{_LATEST}", headers=_NOSNIFF)


@app.get("/reports/{dag_id}/{name}", dependencies=_MAY_SEE)
def show_report(dag_id: DagId, name: str) -> Response:
    """Show one report: as a page, or as JSON where the name ends so."""
    asked = _FILE.fullmatch(name)
    if asked is None:
        message = f"{name!r} is no report; they are called latest or like 2026-11-23T030000Z."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    if asked["kind"] == ".json":
        return Response(_read(dag_id, name), media_type="application/json", headers=_NOSNIFF)
    return _html(_read(dag_id, f"{name.removesuffix('.html')}.html"))


def _html(content: str | bytes) -> Response:
    return HTMLResponse(content, headers=_OF_HTML)


def _row(dag_id: str) -> dict[str, Any]:
    try:
        report = json.loads(_read(dag_id, f"{_LATEST}.json"))
        return {"ingest": dag_id, **report_words.headline(report)}
    except HTTPException as reason:
        return {"ingest": dag_id, "why": reason.detail}
    except (ValueError, KeyError, TypeError):
        return {"ingest": dag_id, "why": f"its {_LATEST}.json is no report."}


def _read(dag_id: str, name: str) -> bytes:
    """Return a file of an ingest's reports.

    Raises:
        HTTPException: There is no such ingest or file, or its output cannot be read.
    """
    try:
        content = _open(_ingest(dag_id)).read(f"reports/{dag_id}/{name}")
    except (OSError, BotoCoreError) as error:
        message = (
            f"The output of {dag_id} cannot be read: {error}. Once its connection is corrected, "
            "restart the API server."
        )
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
    if content is None:
        message = f"{dag_id} has no report {name}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    return content


def _ingest(dag_id: str) -> Ingest:
    found = find(INGESTS, dag_id)
    if found is None:
        message = f"There is no ingest {dag_id!r}; an ingest is a file of include/ingests."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    try:
        return Ingest.read(found.path)
    except (ConfigurationError, OSError) as error:
        message = f"The file of {dag_id} cannot be used: {error}"
        raise HTTPException(status.HTTP_404_NOT_FOUND, message) from error


def _open(ingest: Ingest) -> Store:
    try:
        return open_store(ingest.defaults["output_uri"])
    except ConfigurationError as error:
        message = f"The output of {ingest.dag_id} cannot be read: {error}"
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
