"""The plugin counts once, whether the package, the plugins folder or both register it."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from airflow_copernicus.plugin import CopernicusPlugin

ROOT = Path(__file__).parents[2]
ENTRY_POINT = "[airflow.plugins]\ncopernicus = airflow_copernicus.plugin:CopernicusPlugin\n"
LISTENERS = sorted(listener.__name__ for listener in CopernicusPlugin.listeners)
OWN = "airflow_copernicus.timetables.SensingDayTimetable"
OWN_PRIORITY = "airflow_copernicus.priority.TodayFirst"
EARLIER = "copernicus.timetables.SensingDayTimetable"
EARLIER_PRIORITY = "copernicus.priority.TodayFirst"

PROGRAM = """
import json
from airflow import plugins_manager as core
from airflow.listeners.listener import get_listener_manager
from airflow.sdk import plugins_manager as sdk

def is_own(found):
    return "opernicus" in str(found)

core.integrate_listener_plugins(get_listener_manager())
listeners = get_listener_manager().pm.get_plugins()
apps = [app["name"] for app in core.get_fastapi_plugins()[0]]
print("\\n" + json.dumps({
    "timetables": sorted(filter(is_own, core.get_timetables_plugins())),
    "priorities": sorted(filter(is_own, core.get_priority_weight_strategy_plugins())),
    "pages": [view["name"] for view in core._get_ui_plugins()[0]],
    "apps": apps,
    "listeners": sorted(one.__name__ for one in listeners if is_own(one.__name__)),
    "errors": core.get_import_errors(),
    "tasks": sorted(plugin.name for plugin in sdk._get_plugins()[0] if is_own(plugin.name)),
}))
"""


@pytest.fixture
def environment(tmp_path):
    """A folder with all installed packages except this project, and the project's metadata."""
    folder = tmp_path / "site-packages"
    metadata = folder / "airflow_provider_copernicus-0.0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: airflow-provider-copernicus\nVersion: 0.0.1\n")
    (metadata / "entry_points.txt").touch()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if "airflow_provider_copernicus" not in installed.name:
            (folder / installed.name).symlink_to(installed)
    return folder


@pytest.fixture
def load(tmp_path, environment):
    """Load all plugins in a new process; return what is registered. No warning is about ours."""

    def load(plugins_folder, entry_points):
        (metadata,) = environment.glob("airflow_provider_copernicus*")
        (metadata / "entry_points.txt").write_text(entry_points)
        places = [environment, ROOT / "plugins", ROOT / "include"]
        done = subprocess.run(
            [sys.executable, "-S", "-c", PROGRAM],
            cwd=tmp_path,  # a checkout holds its metadata a second time
            env={
                **os.environ,
                "AIRFLOW_HOME": str(tmp_path / "home"),
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins_folder),
                "PYTHONPATH": os.pathsep.join(map(str, places)),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        *said, found = done.stdout.splitlines()
        assert not [line for line in [*said, done.stderr] if "opernicus" in line]
        return json.loads(found)

    return load


@pytest.mark.parametrize("entry_points", [ENTRY_POINT, ""], ids=["installed", "on the path"])
def test_in_a_checkout_all_is_registered_once(load, entry_points):
    assert load(ROOT / "plugins", entry_points) == {
        "timetables": [OWN, EARLIER],
        "priorities": [OWN_PRIORITY, EARLIER_PRIORITY],
        "pages": ["Sentinel-2 archive"],
        "apps": ["Sentinel-2 archive"],
        "listeners": LISTENERS,
        "errors": {},
        "tasks": ["copernicus", "copernicus_earlier_names"],
    }


def test_the_package_alone_registers_all_but_earlier_names(load, tmp_path):
    assert load(tmp_path / "empty", ENTRY_POINT) == {
        "timetables": [OWN],
        "priorities": [OWN_PRIORITY],
        "pages": ["Sentinel-2 archive"],
        "apps": ["Sentinel-2 archive"],
        "listeners": LISTENERS,
        "errors": {},
        "tasks": ["copernicus"],
    }
