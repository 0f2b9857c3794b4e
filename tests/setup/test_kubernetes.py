"""The values for the Helm chart can be read, and give no secret away."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "how-to"
VALUES = DOCS / "kubernetes-values.yaml"
PAGE = (DOCS / "kubernetes.md").read_text()
SECRET = re.compile(r"password|passwd|token|secret|fernet|_key$|jwt|connection$", re.IGNORECASE)
NAMES_ONE = re.compile(r"Secret(Key)?Name$|SecretName$|^secret(Name|Key)?$")


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, path)
    else:
        yield path, value


def texts():
    """The file, and the examples of the page beside it."""
    return [VALUES.read_text(), *re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("text", texts())
def test_no_secret_stands_in_clear(text):
    values = yaml.safe_load(text)
    for path, value in leaves(values):
        suspicious = [name for name in path if SECRET.search(name) and not NAMES_ONE.search(name)]
        assert not suspicious, f"{'.'.join(path)}: {value}"
    for one in values.get("env", []):
        assert not SECRET.search(one["name"]), one["name"]
        assert not re.search(r"//[^/@]+:[^/@]+@", one["value"])


def test_the_account_is_a_secret_of_every_pod():
    values = yaml.safe_load(VALUES.read_text())
    secrets = {one["envName"]: set(one) for one in values["secret"]}
    assert secrets["AIRFLOW_CONN_COPERNICUS_DEFAULT"] == {"envName", "secretName", "secretKey"}
    assert all(f"{name}" in PAGE for name in ("copernicus-account", "sentinel2-store"))


def test_the_version_is_the_image_s():
    values = yaml.safe_load(VALUES.read_text())
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"slim-{values['airflowVersion']}-" in dockerfile
