"""Files that a forge and its users read: CI, hooks, citation, templates."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINT = ("ruff format --check", "ruff check", "mypy")


def read(name):
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("vendor.citation-file-format", "CITATION.cff"),
    ],
)
def test_the_file_is_valid(schema, name):
    checker = Path(sys.executable).with_name("check-jsonschema")
    if not checker.exists():
        pytest.skip("check-jsonschema is not installed beside this Python")
    command = [checker, "--builtin-schema", schema, ROOT / name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_only_calls_what_runs_anywhere():
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]


def test_the_hooks_run_what_make_lint_runs():
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    hooks = [hook["entry"].removeprefix(".venv/bin/python -m ") for hook in repository["hooks"]]
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n.PHONY")[0]
    made = [line.partition("-m ")[2] for line in recipe.splitlines() if " -m " in line]
    assert [hook.startswith(command) for hook, command in zip(hooks, LINT, strict=True)] == [
        True
    ] * 3
    assert [line.removesuffix(" .") for line in made] == [*LINT]


def test_a_bug_report_asks_for_the_report_of_the_live_probe():
    form = (ROOT / ".github/ISSUE_TEMPLATE/bug_report.md").read_text()
    assert "build/live-report.md" in form
    assert "build/live-report.md" in (ROOT / "CONTRIBUTING.md").read_text()
