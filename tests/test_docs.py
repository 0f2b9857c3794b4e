"""The documents say what is there."""

import re
from pathlib import Path

import pytest

from airflow_copernicus.config.ingests import _SETTINGS
from airflow_copernicus.config.params import PARAMS, RECONCILE_PARAMS
from airflow_copernicus.provider_info import get_provider_info
from copernicus_dataspace import errors

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def named(text, word):
    return re.search(rf"`[^`\n]*\b{re.escape(word)}\b[^`\n]*`", text)


@pytest.mark.parametrize("name", [*PARAMS, *RECONCILE_PARAMS])
def test_every_param_is_in_the_readme(name):
    assert named(README, name)


@pytest.mark.parametrize("name", _SETTINGS)
def test_every_setting_of_an_ingest_is_in_the_readme(name):
    assert named(README, name)


def test_every_extra_field_is_in_the_readme():
    (kind,) = get_provider_info()["connection-types"]
    assert all(named(README, field) for field in kind["conn-fields"])


def test_every_error_is_in_the_readme():
    parents = {"DataSpaceError", "PermanentError", "TransientError"}
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)} - parents
    assert not {kind for kind in kinds if f"`{kind}`" not in README}


def test_every_command_of_the_readme_exists():
    asked = set(re.findall(r"(?:^    |`)make ([a-z-]+)", README + MAP, re.MULTILINE))
    assert asked >= {"demo", "run", "test"}
    assert not {name for name in asked if f"\n{name}:" not in MAKEFILE}


def test_every_picture_and_file_the_readme_names_exists():
    names = set(re.findall(r"\]\((docs/[^)]+|[A-Z]+\.md)\)", README))
    assert names
    assert not {name for name in names if not (ROOT / name).is_file()}


def test_the_page_about_clients_has_the_pinned_versions():
    page = (ROOT / "docs" / "clients.md").read_text().lower()
    pinned = {path.stem: path.read_text() for path in ROOT.glob("tests/peers/*.txt")}
    assert len(pinned) == 5
    for name, text in pinned.items():
        version = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)[1]
        assert re.search(rf"^\| {name}[^|]* \| {re.escape(version)} \|", page, re.MULTILINE), name


@pytest.mark.parametrize("folder", ["include/copernicus_dataspace", "plugins/airflow_copernicus"])
def test_the_map_names_every_package(folder):
    packages = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    assert packages
    assert not {package for package in packages if f"`{package}`" not in MAP}


def test_no_module_is_called_a_drawer():
    drawers = {"utils", "helpers", "common", "base", "manager", "misc"}
    files = [*ROOT.glob("include/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    assert not {path.stem for path in files} & drawers
