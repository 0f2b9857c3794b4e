"""What is committed can be released: `make release-check`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def test_the_last_commit_can_be_released():
    changes = ["git", "status", "--porcelain"]
    if subprocess.run(changes, cwd=ROOT, capture_output=True, check=True).stdout:
        pytest.skip("the working tree has changes, and the check is about what is committed")
    program = [sys.executable, str(ROOT / "scripts" / "release_check.py")]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Good to release" in done.stdout
