"""The measured figures of the long tests on clusters, kept as a page for readers."""

import os
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
_HEAD = """\
# What a cluster was seen to carry

Generated from `tests/e2e/test_cluster_long.py` and `test_crowd_long.py`, not to be edited:
`UPDATE_DOCS=1 make test-long` writes anew what it runs. Each part is a real Airflow (api-server,
scheduler, dag-processor, triggerer, PostgreSQL, Redis, and where it says nothing else two Celery
workers of two tasks each) on a machine with two processors, against the emulator, which ran there
too.
"""


def record(title, rows):
    """Put the figures of one test, each with its goal, into the page in place of earlier ones.

    Args:
        title: What was run.
        rows: What, measured, and goal, which may be empty.
    """
    if not os.environ.get("UPDATE_DOCS"):
        return
    parts = _parts(PAGE.read_text()) if PAGE.exists() else {}
    lines = [
        " | ".join(map(str, row)) for row in [("what", "measured", "goal"), ("---",) * 3, *rows]
    ]
    parts[title] = "\n".join(f"| {line} |" for line in lines)
    sections = [f"## {title}\n\n{table}\n" for title, table in sorted(parts.items())]
    PAGE.write_text("\n".join([_HEAD, *sections]))


def _parts(text):
    """Return the table of each title."""
    sections = text.split("## ")[1:]
    return {title: table.strip() for title, _, table in (one.partition("\n") for one in sections)}
