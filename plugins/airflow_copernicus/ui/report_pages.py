"""Shows the reports that lie in the ingests' outputs to people who may see those DAGs.

Nobody else: an app of a plugin is open to anyone unless it asks for the user itself. Who may write
to an output is not trusted with the UI: pages are drawn here from the reports' JSON, once it is
checked, and what others have put beside it is shown to nobody.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.config.ingest_files import files_in, find
from airflow_copernicus.config.ingests import Ingest
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.ui.dag_switches import alarms, notes, switched_on
from copernicus_dataspace.errors import DataSpaceError, ReportError
from copernicus_dataspace.reports import html_page, wording
from copernicus_dataspace.reports.reader import MOST_BYTES, read_json, read_report
from copernicus_dataspace.storage.layout import reports_dir

if TYPE_CHECKING:
    from fastapi import Request

    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_LATEST: Final = "latest"
_FILE: Final = re.compile(r"(latest|\d{4}-\d{2}-\d{2}T\d{6}Z)(?P<kind>\.html|\.json|)", re.ASCII)
_NOSNIFF: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
_SHOWN: Final = {
    **_NOSNIFF,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""Whatever is shown, it can run nothing and ask for nothing; it has an origin of its own, so that
the login goes with its links."""

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
    headers = {**_SHOWN, **(error.headers or {})}
    return PlainTextResponse(_encoded(f"{error.detail}\n"), error.status_code, headers)


@app.get("/reports")
def list_reports(user: GetUserDep) -> Response:
    """Show one line for each ingest the user may see."""
    seen = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    try:
        names = [file.dag_id for file in files_in(INGESTS) if file.dag_id in seen]
    except DataSpaceError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
    on = switched_on()
    rows = (_row(name) for name in names)
    return _html(html_page.overview(rows, alarms=alarms(on), notes=notes(on)))


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
    stem = name.removesuffix(asked["kind"])
    try:
        content = _read(dag_id, f"{stem}.json")
        if asked["kind"] != ".json":
            now = alarms(switched_on()) if stem == _LATEST else ()  # others are of their time
            return _html(html_page.html(read_report(content), alarms=now))
        read_json(content)
    except ReportError as error:
        message = f"{stem}.json of {dag_id} cannot be shown: {error}"
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
    named = {"Content-Disposition": f'inline; filename="{stem}.json"'}
    return Response(content, media_type="application/json", headers={**_SHOWN, **named})


def _html(content: str) -> Response:
    return HTMLResponse(_encoded(content), headers=_SHOWN)


def _encoded(text: str) -> bytes:
    """Return a text as UTF-8; names of files may hold what has none."""
    return text.encode("utf-8", "backslashreplace")


def _row(dag_id: str) -> dict[str, Any]:
    try:
        report = read_report(_read(dag_id, f"{_LATEST}.json"))
    except HTTPException as reason:
        return {"ingest": dag_id, "why": reason.detail}
    except ReportError as error:
        return {"ingest": dag_id, "why": f"its {_LATEST}.json cannot be shown: {error}"}
    return {"ingest": dag_id, **wording.headline(report)}


def _read(dag_id: str, name: str) -> bytes:
    """Return a file of an ingest's reports.

    Raises:
        HTTPException: There is no such ingest or file, or its output cannot be read.
        ReportError: The file is too large.
    """
    ingest = _ingest(dag_id)
    try:
        content = _content(_open(ingest), f"{reports_dir(dag_id)}/{name}")
    except (HTTPException, ReportError):
        raise
    except Exception as error:  # every storage has errors of its own
        logger.warning("The output of %s cannot be read.", dag_id, exc_info=True)
        message = (
            f"The output of {dag_id} cannot be read: {error}. Once its connection is corrected, "
            "restart the API server."
        )
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
    if content is None:
        message = f"{dag_id} has no report {name}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    return content


def _content(store: Store, path: str) -> bytes | None:
    """Return what a file holds, None where there is none; a pipe has no size and is not read."""
    size = store.size(path)
    if size is not None and not 0 < size <= MOST_BYTES:
        message = f"it has {size:,} bytes; 1 to {MOST_BYTES:,} are read."
        raise ReportError(message)
    return None if size is None else store.read(path)


def _ingest(dag_id: str) -> Ingest:
    try:
        found = find(INGESTS, dag_id)
    except DataSpaceError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
    if found is None:
        message = f"There is no ingest {dag_id!r}; an ingest is a file of include/ingests."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    try:
        return Ingest.read(found.path)
    except DataSpaceError as error:
        message = f"The file of {dag_id} cannot be used: {error}"
        raise HTTPException(status.HTTP_404_NOT_FOUND, message) from error


def _open(ingest: Ingest) -> Store:
    try:
        return open_store(ingest.defaults["output_uri"])
    except DataSpaceError as error:
        message = f"The output of {ingest.dag_id} cannot be read: {error}"
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
