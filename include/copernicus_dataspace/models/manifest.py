"""Parses manifest.safe, and validates the paths in manifests and zips, which are untrusted."""

from __future__ import annotations

import posixpath
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree

from copernicus_dataspace.errors import CorruptDownloadError, UnsafeContentError
from copernicus_dataspace.models.checksum import Checksum

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from xml.etree.ElementTree import Element

MANIFEST: Final = "manifest.safe"
"""Its path inside the product."""
MAX_MANIFEST_BYTES: Final = 4 * 2**20
"""Real manifests have 50 to 100 kB; the limit protects the memory."""
_LONGEST_NAME_BYTES: Final = 200
"""File systems allow 255; the rest is for the suffixes of partial files."""
_LONGEST_PATH_BYTES: Final = 1000
_LONGEST_SIZE_DIGITS: Final = 11
"""Longer sizes are ignored; real files have up to 9 digits."""


@dataclass(frozen=True, slots=True)
class SafeFile:
    """A file of a product, as its manifest describes it.

    Attributes:
        path: POSIX path inside the product's folder, without a leading ``./``.
        size_bytes: None if missing or not a number. Some real manifests give wrong sizes: the
            checksum decides.
        checksum: None if there is none of a known algorithm.
    """

    path: str
    size_bytes: int | None
    checksum: Checksum | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)


def manifest_content(chunks: Iterable[bytes]) -> bytes:
    """Return the bytes of a manifest; stops reading beyond the maximum size."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_MANIFEST_BYTES:
            break
    return bytes(content)


def parse_manifest(content: bytes) -> tuple[SafeFile, ...]:
    """Return the files a manifest.safe lists, in its order.

    The algorithm is read per file, because it depends on the baseline. Identical duplicates are
    returned once. The manifest lists neither itself nor the quicklook.

    Raises:
        CorruptDownloadError: The content is not a manifest: HTML, JSON, truncated XML, XML with a
            document type or entities, another root element, no files.
        UnsafeContentError: A path leaves the product's folder, is ambiguous on some systems, or
            contradicts another one.
    """
    root = _root(content)
    files: dict[str, SafeFile] = {}
    for stream in root.iterfind("{*}dataObjectSection/{*}dataObject/{*}byteStream"):
        file = _file(stream)
        if files.setdefault(file.path, file) != file:
            message = (
                f"The manifest describes {file.path!r} twice, as {files[file.path]} and as {file}; "
                "the product is refused."
            )
            raise UnsafeContentError(message)
    if not files:
        message = "The manifest lists no files; expected dozens. Download it again."
        raise CorruptDownloadError(message)
    check_distinct(files, "The manifest")
    return tuple(files.values())


def check_path(path: str, source: str) -> None:
    """Refuse a path that is not below its folder on every system.

    Args:
        path: With ``/`` between its parts.
        source: Where it comes from, as the subject of a sentence.

    Raises:
        UnsafeContentError: Empty, absolute, with ``..``, an empty part, a backslash, a colon (drive
            or URL), invisible or control characters, an end that Windows drops, or too long.
    """
    parts = path.split("/")
    too_long = any(len(_encoded(part)) > _LONGEST_NAME_BYTES for part in parts)
    faults = (
        (not path, "is empty"),
        (not path.isprintable(), "holds control or invisible characters"),
        ("\\" in path, "holds a backslash"),
        (":" in path, "holds a colon, as a drive or a URL does"),
        (path.startswith("/"), "is absolute"),
        (".." in parts, "leaves its folder"),
        ("" in parts or "." in parts, "has an empty part"),
        (any(part.rstrip(" .") != part for part in parts), "has a part ending in a dot or blank"),
        (too_long or len(_encoded(path)) > _LONGEST_PATH_BYTES, "is too long"),
    )
    fault = next((words for found, words in faults if found), None)
    if fault:
        shown = path if len(path) <= _LONGEST_NAME_BYTES else f"{path[:_LONGEST_NAME_BYTES]}…"
        message = f"{source} names the path {shown!r}, which {fault}; the product is refused."
        raise UnsafeContentError(message)


def check_distinct(paths: Collection[str], source: str) -> None:
    """Refuse files that would overwrite one another on some file system.

    Raises:
        UnsafeContentError: Two paths differ only in case or Unicode form, or one is a file and
            the folder of another.
    """
    places: dict[str, str] = {}
    for path in paths:
        place = folded(path)
        if place in places:
            message = (
                f"{source} holds {path!r} and {places[place]!r}, the same file on some systems; "
                "the product is refused."
            )
            raise UnsafeContentError(message)
        places[place] = path
    for place, path in places.items():
        if any(folder in places for folder in folders(place)):
            message = (
                f"{source} holds {path!r} and, as a file, one of its folders; "
                "the product is refused."
            )
            raise UnsafeContentError(message)


def folded(path: str) -> str:
    """Return the same text for all paths that some file system treats as equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def folders(path: str) -> tuple[str, ...]:
    """Return the folders above a path, outermost first."""
    parts = path.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _root(content: bytes) -> Element:
    if len(content) > MAX_MANIFEST_BYTES:
        message = f"The manifest has {len(content)} bytes, more than {MAX_MANIFEST_BYTES}."
        raise CorruptDownloadError(message)
    try:
        root: Element = ElementTree.fromstring(content, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        message = (
            f"The manifest is not readable XML: {error}; it begins with {content[:40]!r}. "
            "Download it again."
        )
        raise CorruptDownloadError(message) from error
    name = root.tag.rpartition("}")[2]
    if name != "XFDU":
        message = (
            f"The manifest's root element is {name[:40]!r}, expected 'XFDU'. Download it again."
        )
        raise CorruptDownloadError(message)
    return root


def _file(stream: Element) -> SafeFile:
    location = stream.find("{*}fileLocation")
    path = ("" if location is None else location.get("href", "")).removeprefix("./")
    check_path(path, "The manifest")
    checksums = (
        Checksum.parse(element.get("checksumName", ""), element.text or "")
        for element in stream.iterfind("{*}checksum")
    )
    return SafeFile(path, _size(stream.get("size", "")), next(filter(None, checksums), None))


def _size(text: str) -> int | None:
    digits = text.strip()
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST_SIZE_DIGITS
    return int(digits) if is_number else None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
