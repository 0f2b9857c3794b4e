"""Keeps what both sides answered, and writes where they differ; sends nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.live.facts import Facts

_NOTHING = "-"

Value = str | frozenset[str] | None


@dataclass(frozen=True)
class Difference:
    """One fact of one request that is not the same on both sides."""

    request: str
    fact: str
    emulator: str
    service: str


@dataclass
class Ledger:
    """Facts by request, in the order they were seen."""

    emulator: dict[str, Facts] = field(default_factory=dict)
    service: dict[str, Facts] = field(default_factory=dict)

    def differences(self) -> list[Difference]:
        """Return every fact that differs; of sets, only what one side lacks."""
        return list(self._differences())

    def _differences(self) -> Iterator[Difference]:
        for request, seen in self.service.items():
            stood_in = self.emulator[request]
            answered = "body" in stood_in and "body" in seen
            for fact in dict.fromkeys((*stood_in, *seen)) if answered else ("status",):
                ours, theirs = stood_in.get(fact), seen.get(fact)
                if ours != theirs:
                    yield Difference(request, fact, _shown(ours, theirs), _shown(theirs, ours))

    def table(self) -> list[str]:
        """Return the differences as lines of a Markdown table, or one line that says none."""
        rows = [(one.request, one.fact, one.emulator, one.service) for one in self.differences()]
        if not self.service:
            return ["No request was answered or compared."]
        if not rows:
            return [f"No differences in the answers to {len(self.service)} requests."]
        return _markdown(("request", "fact", "emulator", "service"), rows)

    def report(self, about: str) -> str:
        """Return the whole report in Markdown.

        Args:
            about: Which service was asked, and when.
        """
        answers = [
            (request, "; ".join(f"{name}: {_shown(value)}" for name, value in facts.items()))
            for request, facts in self.service.items()
        ]
        lines = [
            "# Where the service differs from the emulator",
            "",
            about,
            "",
            *self.table(),
            "",
            "## All that the service answered",
            "",
            *_markdown(("request", "facts"), answers),
        ]
        return "\n".join(lines) + "\n"


def _shown(value: Value, other: Value = None) -> str:
    if isinstance(value, frozenset):
        rest = value - other if isinstance(other, frozenset) else value
        return ", ".join(sorted(rest)) or _NOTHING
    return _NOTHING if value is None else value


def _markdown(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heads, ("---",) * len(heads), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
