"""The documents say what is there, their examples run, and Sphinx builds them without a warning."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf

import copernicus_dataspace
from airflow_copernicus.config.ingest_settings import SETTINGS, Ingest
from airflow_copernicus.config.params import PARAMS, RECONCILE_PARAMS, approval_params
from airflow_copernicus.provider_info import get_provider_info
from copernicus_dataspace import errors
from copernicus_dataspace_emulator import Emulator, Fault, User, command_line, make_product

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
DAG_FILES = ROOT / "tests" / "examples"
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
WRITTEN = {"README.md": README, "CONTRIBUTING.md": MAP, **PAGES}
INGESTS = sorted((EXAMPLES / "ingests").glob("*.yaml"))
LAKE = (34.50, 40.63)


def named(text, word):
    return re.search(rf"`[^`\n]*\b{re.escape(word)}\b[^`\n]*`", text)


def fences(text, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def shell_commands(program):
    """Give each command of the pages that runs a program, as words."""
    for text in WRITTEN.values():
        for line in re.findall(r"^ *(\S.*)$", "\n".join(fences(text, "sh")), re.MULTILINE):
            if line.startswith(f"{program} "):
                yield shlex.split(re.sub(r"\$\(.*\)", "2024-08-01", line), comments=True)


# What there is


@pytest.mark.parametrize("name", [*PARAMS, *RECONCILE_PARAMS, *approval_params()])
def test_every_param_is_documented(name):
    assert named(PAGES["reference/params.md"], name)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_an_ingest_is_documented(name):
    assert named(PAGES["reference/ingest-file.md"], name)


def test_every_extra_field_is_documented():
    (kind,) = get_provider_info()["connection-types"]
    assert all(named(PAGES["reference/connection.md"], field) for field in kind["conn-fields"])


def test_every_error_is_documented():
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert not {kind for kind in kinds if f"`{kind}`" not in PAGES["reference/errors.md"]}


def test_every_variable_of_the_environment_is_documented():
    code = [*ROOT.glob("include/copernicus_dataspace/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    texts = [path.read_text() for path in [*code, ROOT / "scripts" / "run.py"]]
    names = set(re.findall(r'"((?:SENTINEL2|COPERNICUS)_[A-Z_]+)"', "\n".join(texts)))
    assert names >= {"SENTINEL2_OUTPUT_URI", "COPERNICUS_STATE_DIR"}
    assert not {name for name in names if not named(PAGES["reference/configuration.md"], name)}


def test_every_option_of_the_emulator_is_documented():
    options = {option for one in command_line.parser()._actions for option in one.option_strings}
    options -= {"-h", "--help"}
    assert not {one for one in options if f"`{one}`" not in PAGES["reference/commands.md"]}


def test_every_field_of_an_item_is_documented(delivered):
    _, items = delivered
    for item in items:
        fields = {*item.properties}.union(*(one.extra_fields for one in item.assets.values()))
        assert not {field for field in fields if not named(PAGES["reference/stac-items.md"], field)}


def test_every_command_that_is_named_exists():
    text = "\n".join(WRITTEN.values())
    asked = set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE))
    asked |= {words[1] for words in shell_commands("make")}
    assert asked >= {"demo", "run", "test", "docs"}
    assert not {name for name in asked if f"\n{name}:" not in MAKEFILE}


def test_every_command_is_documented():
    there = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)) - {"help"}
    assert not {name for name in there if f"`make {name}" not in PAGES["reference/commands.md"]}


def test_the_page_about_clients_has_the_pinned_versions():
    page = PAGES["reference/clients.md"].lower()
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


# How it is written


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_picture_and_file_that_is_linked_to_exists(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())
    assert links or name == "SECURITY.md"
    assert not {link for link in links if not (ROOT / link).is_file()}


def test_sphinx_builds_the_pages_without_a_warning(tmp_path):
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *options, DOCS, tmp_path / "html"]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(tmp_path / "html") for path in tmp_path.rglob("*.html")}
    assert {Path(name).with_suffix(".html") for name in PAGES} <= pages
    api = (tmp_path / "html" / "reference" / "api-python.html").read_text()
    assert 'id="copernicus_dataspace.Client.download"' in api
    assert str(ROOT) not in (tmp_path / "html" / "reference" / "api-airflow.html").read_text()
    links = (tmp_path / "html" / "external-links.txt").read_text().splitlines()
    assert "https://dataspace.copernicus.eu" in links


# What it shows


def test_snippets_are_files_that_are_tested():
    for name, text in PAGES.items():
        assert not fences(text, "python"), name
        assert name == "how-to/kubernetes.md" or not fences(text, "yaml"), name
    included = {
        Path(target).name
        for text in PAGES.values()
        for target in re.findall(r"```\{literalinclude\} \S*examples/(\S+)", text)
    }
    own = {path.name for path in EXAMPLES.rglob("*.*") if path.suffix in (".py", ".yaml")}
    assert included == own | {path.name for path in DAG_FILES.glob("*.py")}


@pytest.mark.parametrize("path", INGESTS, ids=lambda path: path.stem)
def test_ingest_files_can_be_used(path):
    assert Ingest.read(path).dag_id == path.stem


def test_the_ingest_file_of_the_readme_can_be_used(tmp_path):
    (text,) = fences(README, "yaml")
    (tmp_path / "lake.yaml").write_text(text)
    assert Ingest.read(tmp_path / "lake.yaml").defaults["max_cloud_cover"] == 20


def test_json_is_json():
    texts = [one for text in PAGES.values() for one in fences(text, "json")]
    assert texts
    for text in texts:
        json.loads(text)


def test_settings_of_airflow_exist():
    text = "\n".join(PAGES.values())
    settings = set(re.findall(r"AIRFLOW__([A-Z]+)__([A-Z0-9_]+)", text))
    assert settings
    for section, option in settings:
        about = conf.configuration_description[section.lower()]
        assert option.lower() in about["options"], option


def test_commands_of_airflow_are_understood():
    commands = [*shell_commands("airflow")]
    assert commands
    for _, *words in commands:
        get_parser().parse_args(words)


def test_commands_of_the_emulator_are_understood():
    commands = [*shell_commands(".venv/bin/python -m copernicus_dataspace_emulator")]
    assert commands
    for words in commands:
        options = words[3 : words.index(">") if ">" in words else None]
        command_line.parser().parse_args(options)


def test_the_readme_and_the_package_show_the_same_lines():
    lines = (EXAMPLES / "download.py").read_text()
    assert lines in fences(README, "python")
    shown = copernicus_dataspace.__doc__.partition("::\n\n")[2].partition("\n\nEvery error")[0]
    assert re.sub("^    ", "", shown, flags=re.MULTILINE).strip() == lines.strip()


@pytest.fixture
def service():
    """A Data Space whose account is that of the examples, with two products over the lake."""
    with Emulator(users={"you@example.org": User("secret")}) as running:
        for day, cloud_cover in ((1, 5.0), (2, 10.0)):
            sensed = f"2024-08-{day:02}T08:36:01.024Z"
            facts = {"tile": "36TXL", "around": LAKE, "cloud_cover": cloud_cover, "scale": 0.003}
            running.add(make_product(sensed=sensed, **facts))
        yield running


@pytest.fixture
def addresses(service):
    extra = service.connection()["extra"]
    return {name: extra[name] for name in extra if name.endswith("_url")}


@pytest.fixture
def run_example(service, addresses, monkeypatch, tmp_path):
    """Runs an example in a folder of its own, against the emulator instead of the real service."""
    client = copernicus_dataspace.Client
    shutil.copy(ROOT / "include" / "areas" / "lake.geojson", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        copernicus_dataspace,
        "Client",
        lambda *account, **given: client(*account, **{**addresses, **given}),
        raising=False,
    )
    return lambda name: runpy.run_path(str(EXAMPLES / name))


@pytest.fixture
def delivered(run_example, tmp_path):
    return tmp_path, run_example("download.py")["items"]


def test_the_example_of_a_download_runs(delivered):
    folder, items = delivered
    assert len(items) == 2
    assert len([*folder.glob("data/bands/S2MSI2A/2024/08/*/*/*_SCL_20m.jp2")]) == 2


def test_the_example_of_failures_runs(service, run_example, capsys):
    service.faults.add(Fault("download", status=404, times=None, match="20240802"))
    (item,) = run_example("failures.py")["items"]
    assert item.datetime.day == 1
    assert re.match(r"S2A_MSIL2A_20240802T\S+: .*404", capsys.readouterr().out)


def test_the_example_of_a_table_runs(run_example, capsys):
    names = run_example("table.py")
    assert len(names["table"]) == len(names["clear"]) == 2
    assert "36TXL" in capsys.readouterr().out


def test_the_example_of_a_hook_runs(service, run_example, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_COPERNICUS_DEFAULT", json.dumps(service.connection()))
    assert len(run_example("airflow_table.py")["table"]) == 1


def test_the_example_of_pixels_runs(delivered, run_example):
    assert run_example("read_week.py")["scl"].sizes["time"] == 2


def test_the_script_of_the_tutorial_runs(service, addresses, run_example, tmp_path, capsys):
    told = {"login": "you@example.org", "password": "secret", **addresses}
    (tmp_path / "emulator.json").write_text(json.dumps(told))
    shutil.copytree(ROOT / "include" / "areas", tmp_path / "include" / "areas")
    run_example("tutorial.py")
    assert capsys.readouterr().out.startswith("1 products")


def test_the_example_of_a_test_passes(tmp_path):
    runpy.run_path(str(EXAMPLES / "test_with_emulator.py"))["test_a_busy_service_is_asked_again"](
        tmp_path
    )


def test_the_readme_shows_the_tested_dag_file():
    assert (DAG_FILES / "daily_ingest.py").read_text() in fences(README, "python")
