"""Measured figures of the long tests, kept as pages for readers."""

import os
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@dataclass(frozen=True)
class Page:
    """A page of `docs/reference`, with what stands at its top."""

    name: str
    head: str

    def record(self, title, rows):
        """Put the figures of one test, each with its goal, into the page in place of earlier ones.

        Args:
            title: What was run.
            rows: What, measured, and goal, which may be empty.
        """
        if not os.environ.get("UPDATE_DOCS"):
            return
        path = DOCS / self.name
        parts = _parts(path.read_text()) if path.exists() else {}
        lines = [
            " | ".join(map(str, row)) for row in [("what", "measured", "goal"), ("---",) * 3, *rows]
        ]
        parts[title] = "\n".join(f"| {line} |" for line in lines)
        sections = [f"## {title}\n\n{table}\n" for title, table in sorted(parts.items())]
        path.write_text("\n".join([self.head, *sections]))


def _parts(text):
    """Return the table of each title."""
    sections = text.split("## ")[1:]
    return {title: table.strip() for title, _, table in (one.partition("\n") for one in sections)}
