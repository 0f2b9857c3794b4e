"""The arrow between the layers points downward only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "include/dataspace": {"airflow", "copernicus", "dataspace_emulator"},
    "include/dataspace_emulator": {"airflow", "copernicus", "dataspace"},
    "plugins/copernicus": {"dataspace_emulator"},
    "dags": {"dataspace_emulator"},
}
SOCKETS = {"requests", "urllib3", "httpx", "socket", "http.client", "urllib.request"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_import_points_upward(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    found = {(path.name, name) for path in files for name in imports(path)}
    assert not {one for one in found if one[1].split(".")[0] in FORBIDDEN[folder]}


def test_one_module_opens_sockets():
    files = (ROOT / "include/dataspace").rglob("*.py")
    openers = {path.stem for path in files if SOCKETS & set(imports(path))}
    assert openers <= {"http", "http_adapter", "http_answer", "http_errors", "http_failures"}
    names = {"Session", "request", "get", "post", "PoolManager", "HTTPConnectionPool"}
    for reader in ("http_answer", "http_errors", "http_failures"):
        tree = ast.parse((ROOT / f"include/dataspace/{reader}.py").read_text())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"requests", "urllib3"}
        }
        assert not used & names


def test_the_library_runs_without_airflow():
    modules = [path.stem for path in (ROOT / "include/dataspace").glob("*.py")]
    code = "import sys; sys.modules['airflow'] = None; sys.path.insert(0, 'include')\n" + "\n".join(
        f"import dataspace.{name}" for name in modules if name != "__init__"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
