"""The command `airflow copernicus init`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.configuration import conf

if TYPE_CHECKING:
    from argparse import Namespace

_AREA: Final = """\
{
  "type": "Feature",
  "properties": { "name": "A small lake near 34.50 E 40.63 N" },
  "geometry": {
    "type": "Polygon",
    "coordinates": [[
      [34.492, 40.624], [34.503, 40.621], [34.511, 40.626], [34.513, 40.634],
      [34.506, 40.640], [34.496, 40.639], [34.489, 40.632], [34.492, 40.624]
    ]]
  }
}
"""
_DAG_FILE: Final = """\
from airflow_copernicus.dags import ingest_dag, reconcile_dag

lake = ingest_dag("lake_scl", area="lake.geojson", bands=["SCL_20m"], max_cloud_cover=20)
audit = reconcile_dag()
"""
_FILES: Final = {"lake.geojson": _AREA, "sentinel2_lake.py": _DAG_FILE}

_NEXT_STEPS: Final = """
Next:
1. In Airflow, Admin > Connections, add the connection copernicus_default: type Copernicus
   Data Space, e-mail and password of your account (free at https://dataspace.copernicus.eu),
   port 443. Then test it:
     airflow copernicus check
2. Switch on the DAGs: the ingest, the nightly repair, and the question before removals.
     airflow dags unpause lake_scl
     airflow dags unpause sentinel2_reconcile
     airflow dags unpause sentinel2_approve_removals
"""


def init(args: Namespace) -> None:
    """Write an area and a DAG file, keep existing ones, and print the next steps.

    Raises:
        SystemExit: The folder cannot be written.
    """
    folder = Path(args.folder or conf.get_mandatory_value("core", "dags_folder")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = [_write(folder / name, content) for name, content in _FILES.items()]
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}. Name another folder."
        raise SystemExit(message) from error
    sys.stdout.write("\n".join(lines) + "\n" + _NEXT_STEPS)


def _write(path: Path, content: str) -> str:
    """Create a file unless it exists; return what was done."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return f"Kept {path}, which exists already."
    return f"Wrote {path}."
