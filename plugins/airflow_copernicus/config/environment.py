"""Settings of the installation: the section `[copernicus]` of airflow.cfg, and its defaults.

Each option may also be set by the environment variable that Airflow derives from it, such as
``AIRFLOW__COPERNICUS__OUTPUT_URI``, or by the variable of earlier versions.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from airflow.sdk.configuration import conf

SECTION: Final = "copernicus"
EARLIER_VARIABLES: Final = {
    "output_uri": "SENTINEL2_OUTPUT_URI",
    "allowed_outputs": "SENTINEL2_OUTPUT_ROOTS",
    "trusted_hosts": "COPERNICUS_TRUSTED_HOSTS",
    "state_dir": "COPERNICUS_STATE_DIR",
}
"""Environment variables of earlier versions, by option; the option counts first."""

_CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""Root of the project, unless this module is installed from a wheel."""
_TASK_CONTAINER_VARIABLES: Final = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")
"""Set by executors that run each task in its own pod or container."""


def default_output_uri() -> str:
    """Return the default of the param `output_uri`.

    `Path.as_uri` would encode a space as ``%20``, but fsspec does not decode paths.
    """
    project = _project_folder()
    folder = project / "data" if project else _airflow_home() / "sentinel2"
    return _option("output_uri") or f"file://{folder}"


def allowed_outputs() -> tuple[str, ...]:
    """Return further URIs below which runs may write."""
    return _comma_separated("allowed_outputs")


def trusted_hosts() -> tuple[str, ...]:
    """Return further hosts that may receive credentials; the service and localhost always may.

    Not in the connection, because users who may edit connections must not extend the list.
    """
    return _comma_separated("trusted_hosts")


def ingests_folder() -> Path:
    """Return the folder of the ingest files; it may be missing.

    By default `include/ingests` beside the folder of the DAGs, or `ingests` in it.
    """
    return _folder("ingests_folder", "ingests")


def area_folders(beside: Path | None = None) -> tuple[Path, ...]:
    """Return the folders of area files, in the order in which a name is looked up.

    Args:
        beside: Folder of the DAG file or ingest file that names the area.
    """
    own = (beside, beside / "areas") if beside else ()
    return (*own, _folder("areas_folder", "areas"))


def state_dir() -> Path | None:
    """Return the folder in which the tasks of a host share an account's session and limits.

    None in a pod or container of a single task, unless the folder is configured: nothing can be
    shared there, so the task logs out at its end.
    """
    configured = _option("state_dir")
    if not configured and any(os.environ.get(name) for name in _TASK_CONTAINER_VARIABLES):
        return None
    return Path(configured).expanduser() if configured else _airflow_home() / "copernicus"


def _option(name: str) -> str:
    value = conf.get(SECTION, name, fallback="")
    return (value or os.environ.get(EARLIER_VARIABLES.get(name, ""), "")).strip()


def _comma_separated(name: str) -> tuple[str, ...]:
    return tuple(value.strip() for value in _option(name).split(",") if value.strip())


def _folder(option: str, name: str) -> Path:
    """Return the folder of an option; by default that of this name in `include` or of the DAGs."""
    configured, project = _option(option), _project_folder()
    if configured:
        return Path(configured).expanduser()
    return project / "include" / name if project else _dags_folder() / name


def _project_folder() -> Path | None:
    """Return the folder that holds `include/ingests`, beside the DAGs or in this checkout."""
    folders = (_dags_folder().parent, _CHECKOUT)
    return next((one for one in folders if (one / "include" / "ingests").is_dir()), None)


def _dags_folder() -> Path:
    return Path(conf.get("core", "dags_folder"))


def _airflow_home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow").expanduser()
