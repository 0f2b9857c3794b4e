"""Pages with the reports of the ingests, for users who may read those DAGs.

Apps of plugins are public unless they authenticate the user themselves. Files in an output are not
trusted: pages are rendered from the validated JSON of a report, and no other file is served.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_copernicus.links import RECONCILE_DAG_ID
from airflow_copernicus.runs.stored_reports import (
    LATEST,
    UnreadableOutputError,
    known_ingests,
    read_file,
)
from airflow_copernicus.ui.paused_dags import alarms, notes, unpaused_dags
from copernicus_dataspace.errors import DataSpaceError, ReportError
from copernicus_dataspace.reports import html_page
from copernicus_dataspace.reports.validation import read_object, read_report

if TYPE_CHECKING:
    from fastapi import Request

    from airflow_copernicus.runs.stored_reports import KnownIngests

_FILE: Final = re.compile(r"(latest|\d{4}-\d{2}-\d{2}T\d{6}Z)(?P<kind>\.html|\.json|)", re.ASCII)
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
_PAGE_HEADERS: Final = {
    **_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""Pages can run no scripts and load nothing; they keep their origin, so links send the login."""

app = FastAPI(
    title="Sentinel-2 archive",
    dependencies=[Depends(get_user)],
    openapi_url=None,
)
_READ_ACCESS: Final = [Depends(requires_access_dag(method="GET"))]
DagId = Annotated[str, Path(description="DAG id of the ingest; requires_access_dag reads it.")]


@app.exception_handler(AnyHTTPException)
def plain_text_error(_: Request, error: AnyHTTPException) -> Response:
    """Return the error as plain text, which is readable in a browser."""
    headers = {**_PAGE_HEADERS, **(error.headers or {})}
    return PlainTextResponse(_encoded(f"{error.detail}\n"), error.status_code, headers)


@app.get("/reports")
def list_reports(user: GetUserDep) -> Response:
    """Show one row for each ingest the user may read."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    known, unpaused = _known_ingests(), unpaused_dags()
    return _html(
        html_page.overview(
            known.rows(readable),
            alarms=[
                *alarms(unpaused),
                *(known.unreadable if RECONCILE_DAG_ID in readable else ()),
            ],
            notes=notes(unpaused),
        )
    )


@app.get("/reports/{dag_id}", dependencies=_READ_ACCESS)
def find_latest(dag_id: DagId) -> Response:
    """Redirect to the latest report of an ingest, where relative links work."""
    _output_of(dag_id)
    return RedirectResponse(f"{dag_id}/{LATEST}", headers=_HEADERS)


@app.get("/reports/{dag_id}/{name}", dependencies=_READ_ACCESS)
def show_report(dag_id: DagId, name: str) -> Response:
    """Show a report: as a page, or as JSON if the name ends with ``.json``."""
    match = _FILE.fullmatch(name)
    if match is None:
        message = f"{name!r} is not the name of a report, such as latest or 2026-11-23T030000Z."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    stem = name.removesuffix(match["kind"])
    try:
        content = _read(dag_id, _output_of(dag_id), f"{stem}.json")
        if match["kind"] != ".json":
            current = alarms(unpaused_dags()) if stem == LATEST else ()
            return _html(html_page.html(read_report(content), alarms=current))
        read_object(content)
    except ReportError as error:
        message = f"{stem}.json of {dag_id} cannot be shown: {error}"
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
    disposition = {"Content-Disposition": f'inline; filename="{stem}.json"'}
    return Response(
        content, media_type="application/json", headers={**_PAGE_HEADERS, **disposition}
    )


def _html(content: str) -> Response:
    return HTMLResponse(_encoded(content), headers=_PAGE_HEADERS)


def _encoded(text: str) -> bytes:
    """Encode as UTF-8; file names may contain surrogates."""
    return text.encode("utf-8", "backslashreplace")


def _read(dag_id: str, output_uri: str, name: str) -> bytes:
    """Return a file of an ingest's reports.

    Raises:
        HTTPException: The file does not exist, or the output cannot be read.
        ReportError: The file is empty or too large.
    """
    try:
        content = read_file(dag_id, output_uri, name)
    except UnreadableOutputError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
    if content is None:
        message = f"{dag_id} has no report {name}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    return content


def _output_of(dag_id: str) -> str:
    """Return the output of an ingest.

    Raises:
        HTTPException: It is unknown, its file is invalid, or an output cannot be read.
    """
    known = _known_ingests()
    if dag_id in known.outputs:
        return known.outputs[dag_id]
    if dag_id in known.broken:
        raise HTTPException(status.HTTP_404_NOT_FOUND, known.broken[dag_id])
    code = status.HTTP_502_BAD_GATEWAY if known.unreadable else status.HTTP_404_NOT_FOUND
    message = " ".join([f"There is no ingest {dag_id!r}.", *known.unreadable])
    raise HTTPException(code, message)


def _known_ingests() -> KnownIngests:
    try:
        return known_ingests()
    except DataSpaceError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
