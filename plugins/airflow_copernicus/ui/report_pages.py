"""Pages with the reports of the ingests, for users who may read those DAGs.

Apps of plugins are public unless they authenticate the user themselves. Files in an output are not
trusted: pages are rendered from the validated JSON of a report, and no other file is served.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Response, status
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_copernicus.config.environment import ingests_folder
from airflow_copernicus.config.ingest_files import files_in
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.outputs import find_ingests
from airflow_copernicus.ui.paused_dags import alarms, notes, unpaused_dags
from copernicus_dataspace.errors import DataSpaceError, ReportError
from copernicus_dataspace.reports import html_page, wording
from copernicus_dataspace.reports.validation import MOST_BYTES, read_object, read_report
from copernicus_dataspace.storage.layout import reports_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_LATEST: Final = "latest"
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
    rows = [
        {"ingest": dag_id, "why": known.broken[dag_id]}
        if dag_id in known.broken
        else _row(dag_id, known.outputs[dag_id])
        for dag_id in sorted({*known.outputs, *known.broken} & {*readable})
    ]
    failed = [f"{uri} cannot be read: {why}" for uri, why in known.unreadable.items()]
    return _html(
        html_page.overview(rows, alarms=[*alarms(unpaused), *failed], notes=notes(unpaused))
    )


@app.get("/reports/{dag_id}", dependencies=_READ_ACCESS)
def find_latest(dag_id: DagId) -> Response:
    """Redirect to the latest report of an ingest, where relative links work."""
    _output_of(dag_id)
    return RedirectResponse(f"{dag_id}/{_LATEST}", headers=_HEADERS)


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
            current = alarms(unpaused_dags()) if stem == _LATEST else ()
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


def _row(dag_id: str, output_uri: str) -> dict[str, Any]:
    try:
        report = read_report(_read(dag_id, output_uri, f"{_LATEST}.json"))
    except HTTPException as reason:
        return {"ingest": dag_id, "why": reason.detail}
    except ReportError as error:
        return {"ingest": dag_id, "why": f"its {_LATEST}.json cannot be shown: {error}"}
    return {"ingest": dag_id, **wording.headline(report)}


def _read(dag_id: str, output_uri: str, name: str) -> bytes:
    """Return a file of an ingest's reports.

    Raises:
        HTTPException: The file does not exist, or the output cannot be read.
        ReportError: The file is empty or too large.
    """
    try:
        content = _content(open_store(output_uri), f"{reports_dir(dag_id)}/{name}")
    except ReportError:
        raise
    except Exception as error:  # file systems raise errors of many classes
        logger.warning("The output of %s cannot be read.", dag_id, exc_info=True)
        message = (
            f"The output of {dag_id} cannot be read: {error}. Correct its connection, and restart "
            "the API server."
        )
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, message) from error
    if content is None:
        message = f"{dag_id} has no report {name}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, message)
    return content


def _content(store: Store, path: str) -> bytes | None:
    """Return the content of a file, None if there is none; the size is 0 for pipes."""
    size = store.size(path)
    if size is not None and not 0 < size <= MOST_BYTES:
        message = f"it has {size:,} bytes; expected 1 to {MOST_BYTES:,}."
        raise ReportError(message)
    return None if size is None else store.read(path)


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
    failed = "".join(f" {uri} cannot be read: {why}" for uri, why in known.unreadable.items())
    code = status.HTTP_502_BAD_GATEWAY if failed else status.HTTP_404_NOT_FOUND
    raise HTTPException(code, f"There is no ingest {dag_id!r}.{failed}")


@dataclass(frozen=True, slots=True)
class _KnownIngests:
    """The registered ingests, and those of the ingest files.

    Attributes:
        outputs: URI of the output by DAG id.
        broken: Reason by DAG id why the file of an ingest is invalid.
        unreadable: Reason by output why its ingests are unknown.
    """

    outputs: Mapping[str, str]
    broken: Mapping[str, str]
    unreadable: Mapping[str, str]


def _known_ingests() -> _KnownIngests:
    """Return all ingests.

    Raises:
        HTTPException: The folder of ingest files cannot be read.
    """
    outputs: dict[str, str] = {}
    broken: dict[str, str] = {}
    folder = ingests_folder()
    try:
        found = find_ingests()
        files = files_in(folder) if folder.is_dir() else []
    except DataSpaceError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
    for file in files:
        try:
            outputs[file.dag_id] = Ingest.read(file.path).defaults["output_uri"]
        except DataSpaceError as error:
            broken[file.dag_id] = f"The file of {file.dag_id} is invalid: {error}"
    outputs |= {one["dag_id"]: one["output_uri"] for one in found.ingests}
    return _KnownIngests(outputs, broken, found.unreadable)
