"""The files of a product: a zip on disk, whose members are also served individually.

The zip of a synthetic product is uncompressed, deterministic and written once.
"""

import hashlib
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from copernicus_dataspace_emulator.http.messages import FilePart, Payload, read
from copernicus_dataspace_emulator.products.manifest import Entry, manifest
from copernicus_dataspace_emulator.products.recipe import Recipe
from copernicus_dataspace_emulator.products.safe import files

_ZIP_TIME: Final = (2024, 1, 1, 0, 0, 0)
_LOCAL_HEADER_BYTES: Final = 30
_LENGTHS_AT: Final = 26
_HASHES: Final = {"SHA3-256": "sha3_256", "MD5": "md5"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a product: size in bytes, lower-case hex digest and its algorithm."""

    size: int
    digest: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class Content:
    """A product's zip, its MD5 and its members by path below the ``.SAFE`` folder.

    Offsets and digests of members are computed once, when first needed.
    """

    path: Path
    top: str
    size: int
    md5: str
    members: dict[str, zipfile.ZipInfo]
    _digests: dict[tuple[str, str], str] = field(default_factory=dict)
    _parts: dict[str, FilePart] = field(default_factory=dict)

    def digest(self, path: str, algorithm: str) -> str:
        """Lower-case hex digest of one member, by a manifest's name of the algorithm.

        Raises:
            KeyError: The product holds no such file.
        """
        known = self._digests.get((path, algorithm))
        if known is None:
            known = digest_of(read(self.payload(path)), algorithm)
            self._digests[path, algorithm] = known
        return known

    def payload(self, path: str) -> Payload:
        """The bytes of one member; a stored member is a part of the zip file.

        Raises:
            KeyError: The product holds no such file.
        """
        known = self._parts.get(path)
        if known is not None:
            return known
        info = self.members[path]
        if info.compress_type != zipfile.ZIP_STORED:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(info)
        with self.path.open("rb") as file:
            file.seek(info.header_offset + _LENGTHS_AT)
            name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
        start = info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
        part = self._parts[path] = FilePart(self.path, start, info.file_size)
        return part

    def whole(self) -> FilePart:
        """Return the zip."""
        return FilePart(self.path, 0, self.size)

    def children(self, folder: str) -> dict[str, tuple[int, int]] | None:
        """Size and number of children of each entry of a folder; None if there is none.

        A file has no children, and its own listing is empty.
        """
        if folder in self.members:
            return {}
        prefix = f"{folder}/" if folder else ""
        below: dict[str, set[str]] = {}
        for path in self.members:
            if path.startswith(prefix):
                head, _, rest = path.removeprefix(prefix).partition("/")
                below.setdefault(head, set()).add(rest.partition("/")[0])
        if not below:
            return None
        found = {name: self.members.get(prefix + name) for name in sorted(below)}
        return {
            name: (0, len(below[name])) if info is None else (info.file_size, 0)
            for name, info in found.items()
        }


def digest_of(data: bytes, algorithm: str) -> str:
    """Lower-case hex digest by a manifest's name of the algorithm."""
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


def open_content(path: Path, digests: dict[tuple[str, str], str] | None = None) -> Content:
    """Read size, MD5 and members of a product zip; ``digests`` are already known ones."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    top = infos[0].filename.partition("/")[0]
    members = {info.filename.partition("/")[2]: info for info in infos}
    return Content(path, top, path.stat().st_size, md5, members, digests or {})


def write_content(recipe: Recipe, path: Path) -> Content:
    """Write a synthetic product's zip."""
    entries: list[Entry] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        folders: set[str] = set()
        for file in files(recipe):
            _write(archive, folders, f"{recipe.name}/{file.path}", file.data)
            if file.name:
                digest = digest_of(file.data, recipe.algorithm)
                entries.append(Entry(file.name, file.path, file.mime, len(file.data), digest))
        _write(archive, folders, f"{recipe.name}/manifest.safe", manifest(recipe, entries))
    return open_content(path, {(entry.path, recipe.algorithm): entry.digest for entry in entries})


def _write(archive: zipfile.ZipFile, folders: set[str], name: str, data: bytes) -> None:
    """Write a file after the entries of its parent folders."""
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth]) + "/"
        if folder not in folders:
            folders.add(folder)
            entry = zipfile.ZipInfo(folder, _ZIP_TIME)
            entry.external_attr = (0o40755 << 16) | 0x10
            archive.writestr(entry, b"")
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)
