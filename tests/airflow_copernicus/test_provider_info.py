import importlib
import json
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator, BaseOperatorLink

from airflow_copernicus import provider_info

ROOT = Path(__file__).parents[2]
EXTRAS = {
    "identity_url",
    "catalogue_url",
    "download_url",
    "stac_url",
    "s3_endpoint_url",
    "s3_access_key",
    "s3_secret_key",
    "transport",
    "client_id",
    "totp_secret",
    "max_connections",
    "request_spacing_s",
    "quota_gb",
}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def info(monkeypatch):
    """As it is where the project is installed, which Airflow needs and these tests do not."""
    monkeypatch.setattr(provider_info, "version", {PROJECT["name"]: PROJECT["version"]}.__getitem__)
    return provider_info.get_provider_info()


@pytest.fixture
def connection_type(info):
    (found,) = info["connection-types"]
    return found


def test_description_is_one_that_airflow_accepts(info):
    """Its own check at start, and the stricter one of its own providers."""
    folder = Path(airflow.__file__).parent
    jsonschema.validate(info, json.loads((folder / "provider_info.schema.json").read_text()))
    schema = json.loads((folder / "provider.yaml.schema.json").read_text())
    assert set(info) <= set(schema["properties"])
    for name, value in info.items():
        own = schema["properties"][name] | {"definitions": schema["definitions"]}
        jsonschema.validate(value, own)


def modules_of(info, kind):
    (listed,) = info[kind]
    assert listed["integration-name"] == info["integrations"][0]["integration-name"]
    return listed["python-modules"]


def classes_in(package, base):
    """Paths of the subclasses of a class that a package or module defines."""
    root = importlib.import_module(package)
    walked = pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}.")
    modules = [root, *(importlib.import_module(found.name) for found in walked)]
    return {
        f"{name}.{kind.__qualname__}"
        for name, kind in (
            (module.__name__, kind) for module in modules for kind in vars(module).values()
        )
        if isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == name
    }


@pytest.mark.parametrize(("kind", "base"), [("hooks", BaseHook), ("operators", BaseOperator)])
def test_every_module_with_hooks_or_operators_is_listed(info, kind, base):
    found = {path.rpartition(".")[0] for path in classes_in(f"airflow_copernicus.{kind}", base)}
    assert set(modules_of(info, kind)) == found


@pytest.mark.parametrize(
    ("kind", "base"), [("links", BaseOperatorLink), ("notifications", BaseNotifier)]
)
def test_every_link_and_notification_is_listed(info, kind, base):
    listed = info["extra-links" if kind == "links" else kind]
    assert set(listed) == classes_in(f"airflow_copernicus.{kind}", base)


def test_commands_and_hook_can_be_imported(info, connection_type):
    (commands,) = info["cli"]
    (group,) = pkgutil.resolve_name(commands)()
    assert group.name == "copernicus"
    hook = pkgutil.resolve_name(connection_type["hook-class-name"])
    assert hook.conn_type == connection_type["connection-type"]


def test_installed_project_announces_itself_to_airflow():
    found = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist and entry.dist.name == PROJECT["name"]
    ]
    if not found:
        pytest.skip("the project is not installed, only on the path")
    assert found[0].load()()["versions"] == [PROJECT["version"]]


def test_form_asks_for_every_extra_with_label_and_help(connection_type):
    fields = connection_type["conn-fields"]
    assert set(fields) == EXTRAS
    assert all(field["label"] and field["description"] for field in fields.values())


def test_account_and_limits_come_first_and_the_addresses_lie_in_one_closed_section(connection_type):
    fields = connection_type["conn-fields"]
    sections = [field["schema"].get("section") for field in fields.values()]
    assert sections == [None] * 8 + ["Addresses of another Data Space"] * 5
    assert [*fields][:2] == ["totp_secret", "max_connections"]
    assert {*[*fields][8:]} == {name for name in fields if name.endswith("_url")}


def test_secrets_are_typed_unseen(connection_type):
    formats = {
        name: field["schema"].get("format")
        for name, field in connection_type["conn-fields"].items()
    }
    assert {name for name, kind in formats.items() if kind == "password"} == {
        "s3_secret_key",
        "totp_secret",
    }


def test_port_is_shown_and_host_is_not(connection_type):
    """Without a stored port Airflow's own form cannot test a connection."""
    behaviour = connection_type["ui-field-behaviour"]
    assert set(behaviour["hidden-fields"]) == {"host", "schema"}
    assert behaviour["placeholders"]["port"] == "443"


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("max_connections", 1, True),
        ("max_connections", 20, True),
        ("max_connections", None, True),
        ("max_connections", 0, False),
        ("max_connections", 21, False),
        ("max_connections", 2.5, False),
        ("request_spacing_s", 0, True),
        ("request_spacing_s", 0.25, True),
        ("request_spacing_s", -1, False),
    ],
)
def test_numbers_are_bounded(connection_type, field, value, accepted):
    schema = connection_type["conn-fields"][field]["schema"]
    assert jsonschema.Draft202012Validator(schema).is_valid(value) is accepted


def test_importing_it_imports_nothing_heavy():
    """Every Airflow process reads it at its start; the hook itself is loaded when used."""
    code = (
        "import sys, airflow_copernicus.provider_info; "
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "('airflow', 'copernicus_dataspace', 'requests', 'pandas', 'shapely') or m == "
        "'airflow_copernicus.hooks.copernicus'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
