"""The arrows between packages point downward only, and no folder is too large to read."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = "include/copernicus_dataspace"
EMULATOR = "include/copernicus_dataspace_emulator"
PROVIDER = "plugins/airflow_copernicus"
FORBIDDEN = {
    LIBRARY: {"airflow", "airflow_copernicus", "copernicus_dataspace_emulator"},
    EMULATOR: {"airflow", "airflow_copernicus", "copernicus_dataspace"},
    PROVIDER: {"copernicus_dataspace_emulator"},
    "dags": {"copernicus_dataspace_emulator"},
}
PACKAGES = (LIBRARY, EMULATOR, PROVIDER)
MOST_FLOORS = 7
MOST_MODULES = 10
MOST_LINES = 300
SOCKETS = {"requests", "urllib3", "httpx", "socket", "http.client", "urllib.request"}


def imports(path):
    """Give what a module imports, for types only, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder):
    files = [path for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py"]
    assert files
    return {
        ".".join(path.relative_to((ROOT / folder).parent).with_suffix("").parts): path
        for path in files
    }


def package_of(module):
    """Return the package of a module; a module of the uppermost folder is one of its own."""
    parts = module.split(".")
    return module if len(parts) == 2 else ".".join(parts[:-1])


def arrows(folder):
    """Return which packages each package imports from."""
    known = modules(folder)
    found = {package_of(module): set() for module in known}
    for module, path in known.items():
        targets = {package_of(name) for name in imports(path) if name in known}
        found[package_of(module)] |= targets - {package_of(module)}
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_import_points_upward(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    found = {(path.name, name) for path in files for name in imports(path)}
    assert not {one for one in found if one[1].split(".")[0] in FORBIDDEN[folder]}


@pytest.mark.parametrize("folder", PACKAGES)
def test_packages_lie_on_few_floors_without_a_cycle(folder):
    below = arrows(folder)

    @cache
    def floor(package):
        return 1 + max(map(floor, below[package]), default=0)

    try:
        floors = {package: floor(package) for package in below}
    except RecursionError:
        pytest.fail(f"there is a cycle among {below}")
    assert max(floors.values()) <= MOST_FLOORS, floors


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_folder_and_a_module_can_be_read_at_a_glance(folder):
    files = modules(folder).values()
    folders = [path.parent for path in files]
    assert {one for one in folders if folders.count(one) > MOST_MODULES} == set()
    assert {path for path in files if path.read_text().count("\n") > MOST_LINES} == set()


def test_one_package_opens_sockets():
    files = (ROOT / LIBRARY).rglob("*.py")
    openers = {path.stem for path in files if SOCKETS & set(imports(path))}
    readers = {"response", "status_errors", "connection_errors"}
    assert openers <= {"client", "stoppable_adapter", *readers}
    names = {"Session", "request", "get", "post", "PoolManager", "HTTPConnectionPool"}
    for reader in readers:
        tree = ast.parse((ROOT / LIBRARY / f"http/{reader}.py").read_text())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"requests", "urllib3"}
        }
        assert not used & names


def test_the_library_runs_without_airflow():
    code = "import sys; sys.modules['airflow'] = None; sys.path.insert(0, 'include')\n"
    code += "\n".join(f"import {name}" for name in modules(LIBRARY))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FOREIGN_WORDS = {"airflow", "dag", "dags", "xcom"}
ALLOWED = (
    '"dag_id"',  # key of leases, and of a run's search and summary
    '"dataspace:dag_id"',  # field of items
    "``dag_id``",  # the documentation of the key
    "summary['dag_id']",
    '"airflow-provider-copernicus',  # the user agent, and the name that pip installs
    r'r"dags/[\w-]+/runs/',  # a path that stored reports hold
)
"""Where the library must write these words: stored keys and what other programs see."""


def test_the_library_has_never_heard_of_airflow():
    """Neither strings, comments and identifiers nor templates hold words of Airflow."""
    files = [path for path in (ROOT / LIBRARY).rglob("*") if path.suffix in {".py", ".j2"}]
    assert len(files) > 100
    used = set()
    for path in files:
        text = path.read_text()
        for known in ALLOWED:
            text = text.replace(known, "")
        used |= {(path.name, word) for word in words_of(text) if word in FOREIGN_WORDS}
    assert used == set()


def words_of(text):
    """Return the words of a text in lower case; of identifiers their parts."""
    parts = re.sub(r"([a-z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", text)
    return {word.lower() for word in re.findall(r"[A-Za-z]+", parts)}


@pytest.mark.parametrize("text", ["of_dag", "dag_ids", "DagRun", "the DAG's", "ADag", "Airflow's"])
def test_words_are_found_in_identifiers_too(text):
    assert words_of(text) & FOREIGN_WORDS


@pytest.mark.parametrize("text", ["dagger", "_find_agents", "SLD_AGE", "headagent"])
def test_parts_of_other_words_are_not_found(text):
    assert not words_of(text) & FOREIGN_WORDS
