"""The ``fields`` of a STAC search: which parts of an item are returned.

As in pgstac: with an include list only its fields, ``id`` and ``collection``, then without those of
the exclude list; items that may have links have the service's links.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from copernicus_dataspace_emulator.stac.item import Item

Path = tuple[str, ...]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fields:
    """Included and excluded paths; an empty include list means everything."""

    include: tuple[Path, ...] = ()
    exclude: tuple[Path, ...] = ()

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> "Fields":
        """From dotted names."""
        wanted, unwanted = (
            [tuple(name.split(".")) for name in names] for names in (include, exclude)
        )
        return cls(tuple(wanted), tuple(unwanted))

    @classmethod
    def parse(cls, text: str) -> "Fields":
        """From the form of a GET request, such as ``id,+assets.SCL_20m,-geometry``."""
        names = [name.strip() for name in text.split(",") if name.strip()]
        include = [name.removeprefix("+").strip() for name in names if not name.startswith("-")]
        return cls.of(include, [name[1:] for name in names if name.startswith("-")])


def shown(item: Item, fields: Fields) -> Document:
    """The wanted parts of an item."""
    if fields.include:
        document: Document = {}
        for path in dict.fromkeys([*fields.include, ("id",), ("collection",)]):
            value = item.at(path)
            if value is not None:
                document = _with(document, path, value)
    else:
        skipped = {path[0] for path in fields.exclude if len(path) == 1}
        document = {name: make() for name, make in item.parts.items() if name not in skipped}
    for path in fields.exclude:
        document = _without(document, path)
    if ("links",) not in fields.exclude:
        document["links"] = [*item.links(), *document.get("links", ())]
    return document


def _with(document: Document, path: Path, value: Any) -> Document:
    head, rest = path[0], path[1:]
    inner = document.get(head)
    below = _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return {**document, head: below}


def _without(document: Document, path: Path) -> Document:
    head, rest = path[0], path[1:]
    if head not in document:
        return document
    if not rest:
        return {name: value for name, value in document.items() if name != head}
    inner = document[head]
    return {**document, head: _without(inner, rest)} if isinstance(inner, dict) else document
