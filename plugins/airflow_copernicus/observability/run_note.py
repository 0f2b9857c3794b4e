"""The note of an ingest run: its days, products and size in one line.

A task cannot set the note of its run. It pushes the text as an XCom, and the scheduler sets it when
the run ends, see `listeners.run_notes`.

The scheduler imports this module, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTE_KEY: Final = "run_note"
TEXT_KEY: Final = "text"
"""Key of the text in the XCom, which is an object: other backends store a path instead."""
_MAX_LENGTH: Final = 900
"""Below the 1000 characters of Airflow's column."""


def push_note(context: Mapping[str, Any], text: str) -> None:
    """Push the note of the task's run."""
    context["ti"].xcom_push(NOTE_KEY, {TEXT_KEY: text[:_MAX_LENGTH]})
