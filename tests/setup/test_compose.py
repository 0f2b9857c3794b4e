"""The files that set the project up say the same things, and give no secret away."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = PROJECT / "docker-compose.yaml"
AIRFLOW = (
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-worker",
)
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z0-9_]+)(?P<rest>[^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY$")
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9, -]+\])?==[^=\s;]+( ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
MAKE_ENV = [sys.executable, "scripts/make_env.py"]


def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


def variables() -> list[tuple[str, str]]:
    """Every use of a variable in the compose file: its name and what follows the name."""
    lines = (line.partition(" #")[0] for line in COMPOSE.read_text().splitlines())
    code = "\n".join(line for line in lines if not line.startswith("#"))
    return [(match["name"], match["rest"]) for match in VARIABLE.finditer(code)]


def example() -> dict[str, str]:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def pins(name: str) -> list[str]:
    lines = (PROJECT / name).read_text().splitlines()
    return [line.removesuffix(" \\") for line in lines if line and line[0] not in "# -"]


def hashes(name: str) -> dict[str, list[str]]:
    """The hashes of each pin of a requirement file."""
    found: dict[str, list[str]] = {}
    for line in (PROJECT / name).read_text().splitlines():
        if line.startswith(" "):
            found[list(found)[-1]].append(line.strip().removesuffix(" \\"))
        elif line[0] not in "#-":
            found[line.removesuffix(" \\")] = []
    return found


def test_compose_file_is_valid():
    checker = Path(sys.executable).with_name("check-jsonschema")
    if not checker.exists():
        pytest.skip("check-jsonschema is not installed beside this Python")
    command = [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_is_in_the_example_and_the_other_way_round():
    assert {name for name, _ in variables()} == set(example())


def test_no_secret_has_a_default():
    needed = [(name, rest) for name, rest in variables() if SECRET.search(name)]
    assert needed
    for name, rest in needed:
        # the account may be missing: it can be entered in the UI
        refused = rest == ":-" if name.startswith("COPERNICUS_") else rest.startswith(":?")
        assert refused, f"{name}{rest}"
        assert example()[name] == "", name


def test_passwords_in_the_compose_file_are_variables():
    text = COMPOSE.read_text()
    for scheme, authority in re.findall(r"(\w[\w+]*)://([^\s/]*)@", text):
        password = authority.partition(":")[2]
        assert password.startswith("${"), f"{scheme}: {authority}"


def test_every_component_waits_for_the_set_up_and_tells_its_health():
    services = compose()["services"]
    for name in AIRFLOW:
        waits = services[name]["depends_on"]["airflow-init"]
        assert waits == {"condition": "service_completed_successfully"}, name
        assert services[name]["healthcheck"]["test"], name
    for name in ("postgres", "redis"):
        assert services[name]["healthcheck"]["test"], name
        waits = services["airflow-init"]["depends_on"][name]
        assert waits == {"condition": "service_healthy"}, name


def test_every_component_has_the_same_keys_and_folders():
    services = compose()["services"]
    shared = services["airflow-scheduler"]
    for name in AIRFLOW:
        extra = services[name]["environment"].keys() - shared["environment"].keys()
        assert extra <= {"DUMB_INIT_SETSID"}, name
        assert services[name]["environment"].items() >= shared["environment"].items(), name
        assert services[name]["volumes"] == shared["volumes"], name


def test_all_workers_share_what_they_know_of_the_account():
    made = compose()
    assert "state" in made["volumes"]
    for name in (*AIRFLOW, "airflow-init"):
        folder = Path(made["services"][name]["environment"]["COPERNICUS_STATE_DIR"])
        assert f"state:{folder.parent}" in made["services"][name]["volumes"], name


def test_a_proxy_and_certificates_are_passed_on_and_the_stack_itself_needs_no_proxy():
    made = compose()["services"]
    inside = {*AIRFLOW[:1], "postgres", "redis", "emulator", "localhost", "127.0.0.1"}
    for name in (*AIRFLOW, "airflow-init"):
        environment = made[name]["environment"]
        assert environment["HTTPS_PROXY"] == "${HTTPS_PROXY:-}", name
        assert environment["HTTP_PROXY"] == "${HTTP_PROXY:-}", name
        first, *others = environment["NO_PROXY"].split(",")
        assert first == "${NO_PROXY:-localhost}"
        assert inside <= set(others)
        assert environment["no_proxy"] == environment["NO_PROXY"]
        bundle = re.fullmatch(r"\$\{REQUESTS_CA_BUNDLE:\+(.+)\}", environment["REQUESTS_CA_BUNDLE"])
        assert bundle
        assert f"${{REQUESTS_CA_BUNDLE:-/dev/null}}:{bundle[1]}:ro" in made[name]["volumes"]


def test_every_folder_that_is_written_gets_its_owner():
    init = (PROJECT / "scripts" / "compose_init.sh").read_text()
    owned = " ".join(line for line in init.splitlines() if line.strip().startswith("chown"))
    volumes = compose()["services"]["airflow-init"]["volumes"]
    written = [each.rpartition("/")[2] for each in volumes if not each.endswith(":ro")]
    assert set(written) == {"logs", "data", "state"}
    assert [name for name in written if f'"$AIRFLOW_HOME"/{name}' not in owned] == []


def test_there_may_be_any_number_of_workers():
    worker = compose()["services"]["airflow-worker"]
    assert worker.keys().isdisjoint({"container_name", "hostname", "ports", "network_mode"})
    assert "$${HOSTNAME}" in worker["healthcheck"]["test"][1]
    ports = {name for name in worker["environment"] if "LOG_SERVER_PORT" in name}
    assert ports == set()  # each container has the usual one to itself


def test_what_workers_import_beforehand_is_there():
    environment = compose()["services"]["airflow-worker"]["environment"]
    names = json.loads(environment["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"])["imports"]
    assert names
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


def test_the_emulator_is_there_for_the_demo_only():
    profiles = {name: s.get("profiles") for name, s in compose()["services"].items()}
    assert profiles.pop("emulator") == ["demo"]
    assert set(profiles.values()) == {None}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned(name):
    assert len(pins(name)) > 30
    assert [line for line in pins(name) if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_hashes_so_that_pip_checks_them(name):
    found = hashes(name)
    assert [pin for pin, given in found.items() if not given] == []
    assert all(HASH.fullmatch(each) for given in found.values() for each in given)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_no_requirement_file_names_an_index(name):
    assert "://" not in (PROJECT / name).read_text()
    assert "index-url" not in (PROJECT / name).read_text()


def test_development_requirements_change_no_pin():
    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert set(run) & set(dev) == set()
    versions: dict[str, set[str]] = {}
    for pin in (*run, *dev):  # an extra that tests need is a second pin of the same version
        name, _, version = pin.partition(" ;")[0].partition("==")
        versions.setdefault(name.partition("[")[0], set()).add(version)
    both = {pin.partition("=")[0].partition("[")[0] for pin in run} & {
        pin.partition("=")[0].partition("[")[0] for pin in dev
    }
    assert [name for name in both if len(versions[name]) > 1] == []


def test_the_image_has_the_pinned_airflow():
    image = re.search(
        r"^FROM apache/airflow:slim-([0-9.]+)-python3\.12(@sha256:[0-9a-f]{64})? AS packages$",
        (PROJECT / "Dockerfile").read_text(),
        re.M,
    )
    assert image
    assert f"apache-airflow=={image[1]}" in pins("requirements.txt")


DOCKER = """#!/bin/sh
[ "$1 $2 $3" = "buildx imagetools inspect" ] || exit 1
printf '{"mediaType": "index", "digest": "sha256:%s"}' "$(printf %s "$4" | sha256sum | cut -c1-64)"
"""


def test_make_digests_fixes_every_image_and_may_run_again(tmp_path):
    for name in ("Dockerfile", "docker-compose.yaml", "Makefile"):
        shutil.copy(PROJECT / name, tmp_path)
    for name in ("scripts", "bin"):
        (tmp_path / name).mkdir()
    shutil.copy(PROJECT / "scripts" / "digests.py", tmp_path / "scripts")
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "digests", f"PYTHON={sys.executable}"]

    def images() -> list[str]:
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
        made = yaml.safe_load((tmp_path / "docker-compose.yaml").read_text())
        (base,) = re.findall(r"^FROM (\S+/\S+)", (tmp_path / "Dockerfile").read_text(), re.M)
        return [base, *(made["services"][name]["image"] for name in ("postgres", "redis"))]

    first = images()
    for image in first:
        tag, _, digest = image.partition("@")
        assert digest == f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}"
    assert first[0].startswith("apache/airflow:slim-3.3.2-python3.12@")
    assert images() == first
    made = yaml.safe_load((tmp_path / "docker-compose.yaml").read_text())
    assert made["services"]["airflow-worker"]["image"] == "airflow-copernicus:local"


def test_what_is_installed_is_checked_by_its_hashes():
    for name in ("Makefile", "Dockerfile"):
        text = (PROJECT / name).read_text()
        lines = [line for line in text.splitlines() if "--requirement" in line]
        assert lines
        assert [line for line in lines if "--require-hashes" not in line] == [], name


def test_make_env_fills_in_every_secret_and_keeps_what_is_there(tmp_path):
    shutil.copy(PROJECT / ".env.example", tmp_path)
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "make_env.py", tmp_path / "scripts")
    subprocess.run(MAKE_ENV, cwd=tmp_path, check=True, capture_output=True)
    made = tmp_path / ".env"
    values = dict(line.split("=", 1) for line in made.read_text().splitlines() if "=" in line)
    assert made.stat().st_mode & 0o077 == 0
    needed = {name for name, rest in variables() if rest.startswith(":?")}
    secrets = [values[name] for name in needed]
    assert min(map(len, secrets)) >= 40
    assert len(set(secrets)) == len(secrets)
    before = made.read_text()
    assert subprocess.run(MAKE_ENV, cwd=tmp_path, check=False, capture_output=True).returncode
    assert made.read_text() == before
