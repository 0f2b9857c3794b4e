"""Tries an installed wheel; `scripts/release_check.py` runs it in a new environment.

Imports every public name, checks what Airflow finds by entry points, and reads the DAG file that
`airflow copernicus init` writes. The environment names a new AIRFLOW_HOME.
"""

import pkgutil
import sysconfig
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

from airflow import plugins_manager
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.providers_manager import ProvidersManager
from airflow.serialization.serialized_objects import DagSerialization

NAME = "airflow-provider-copernicus"
PACKAGES = ("airflow_copernicus", "copernicus_dataspace")
EMULATOR = "copernicus_dataspace_emulator"
DAGS = {"lake_scl", "sentinel2_reconcile", "sentinel2_approve_removals"}
PROGRAMS = (".__main__", ".worker_preload")


def all_can_be_imported():
    installed = Path(sysconfig.get_path("purelib")).resolve()
    for name in PACKAGES:
        package = import_module(name)
        assert Path(package.__file__).resolve().is_relative_to(installed), package.__file__
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith(PROGRAMS) and "dataframe" not in found.name:
                module = import_module(found.name)
                assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))


def nothing_else_is_installed():
    files = {file.parts[0] for file in distribution(NAME).files}
    assert {name for name in files if not name.endswith(".dist-info")} == {*PACKAGES, EMULATOR}
    typed = {str(file.parent) for file in distribution(NAME).files if file.name == "py.typed"}
    assert typed == {*PACKAGES, EMULATOR}


def airflow_finds_connection_type_and_plugin():
    assert NAME in ProvidersManager().providers
    assert "copernicus" in ProvidersManager().hooks
    timetable = "airflow_copernicus.timetables.SensingDayTimetable"
    assert timetable in plugins_manager.get_timetables_plugins()
    assert not plugins_manager.get_import_errors()


def the_first_dag_file_is_read():
    arguments = cli_parser.get_parser().parse_args(["copernicus", "init"])
    arguments.func(arguments)
    found = DagBag(conf.get("core", "dags_folder"))
    assert not found.import_errors, found.import_errors
    assert set(found.dags) == DAGS, found.dags
    for dag in found.dags.values():
        DagSerialization.from_dict(DagSerialization.to_dict(dag))


if __name__ == "__main__":
    all_can_be_imported()
    nothing_else_is_installed()
    airflow_finds_connection_type_and_plugin()
    the_first_dag_file_is_read()
