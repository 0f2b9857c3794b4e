"""The pinned versions are ones that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins():
    text = (ROOT / "requirements.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.M))


@pytest.mark.parametrize(
    "needed",
    sorted({*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)}),
)
def test_what_the_wheel_needs_is_pinned(needed):
    requirement = Requirement(needed)
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])
