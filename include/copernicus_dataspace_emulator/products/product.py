"""A product of the emulator: catalogue metadata, and files generated when first needed.

Built from a recipe or from a real zip.
"""

import hashlib
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import shapely

from copernicus_dataspace_emulator.http.messages import read
from copernicus_dataspace_emulator.products import facts
from copernicus_dataspace_emulator.products.content import (
    Content,
    Member,
    open_content,
    write_content,
)
from copernicus_dataspace_emulator.products.facts import Facts
from copernicus_dataspace_emulator.products.ground import ground_of
from copernicus_dataspace_emulator.products.manifest import listed_digests
from copernicus_dataspace_emulator.products.recipe import FIRST_MODERN_CHECKSUM, Recipe
from copernicus_dataspace_emulator.products.scene import quicklook

_LISTED_SIZE: Final = 900_000_000  # of products without bytes, as a full tile has


@dataclass(eq=False)
class Product:
    """An offered product; its content is generated once, below ``folder``, when first needed."""

    facts: Facts
    folder: Path
    recipe: Recipe | None = None
    archive: Path | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _content: Content | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The product's id."""
        return self.facts.id

    @property
    def name(self) -> str:
        """The product's name with ``.SAFE``."""
        return self.facts.name

    @property
    def has_bytes(self) -> bool:
        """Whether the product has files, so that it can be downloaded when online."""
        return self.archive is not None or (self.recipe is not None and self.recipe.content)

    @property
    def is_offered(self) -> bool:
        """Whether the product can be downloaded; without a value it is online."""
        return self.facts.online is not False and self.has_bytes

    @property
    def content(self) -> Content:
        """The product's zip and members.

        Raises:
            LookupError: The product is listed only.
        """
        self.prepare()
        if self._content is None:
            raise LookupError(f"{self.name} is listed only")
        return self._content

    def prepare(self) -> None:
        """Generate the files now."""
        with self._lock:
            if self.has_bytes and self._content is None:
                self._content = self._make()

    @property
    def zip_size(self) -> int:
        """Size of the zip in bytes; invented for a product that is listed only."""
        if not self.has_bytes:
            return _LISTED_SIZE + int(self._invented[:6], 16)
        return self.content.size

    @property
    def md5(self) -> str:
        """MD5 of the zip; invented for a product that is listed only."""
        return self.content.md5 if self.has_bytes else self._invented

    @cached_property
    def files(self) -> dict[str, Member]:
        """Size and digest of every file, by its path below the ``.SAFE`` folder."""
        return {path: self.member(path) for path in self.content.members}

    @property
    def algorithm(self) -> str:
        """The manifest's checksum algorithm."""
        return "SHA3-256" if self.facts.baseline >= FIRST_MODERN_CHECKSUM else "MD5"

    def member(self, path: str, algorithm: str | None = None) -> Member:
        """Size and digest of one file; the digest is the manifest's kind if none is named."""
        kind, content = algorithm or self.algorithm, self.content
        return Member(content.members[path].file_size, content.digest(path, kind), kind)

    @cached_property
    def listed_digests(self) -> dict[str, tuple[str, str]]:
        """The files as listed in the manifest of a real zip, right or wrong."""
        if self.archive is None:
            return {}
        return listed_digests(self.read("manifest.safe").decode())

    @cached_property
    def geometry(self) -> shapely.Geometry:
        """Prepared geometry of the footprint; in two parts if it crosses 180 degrees."""
        ground = ground_of(self.recipe.outline if self.recipe else self.facts.footprint)
        shapely.prepare(ground)
        return ground

    def read(self, path: str) -> bytes:
        """The bytes of one file, by its path below the ``.SAFE`` folder."""
        return read(self.content.payload(path))

    def quicklook(self) -> bytes:
        """The quicklook's JPEG."""
        if self.archive is not None:
            for path in self.content.members:
                if path.endswith("-ql.jpg"):
                    return self.read(path)
        return quicklook()

    @property
    def _invented(self) -> str:
        return hashlib.md5(self.id.encode(), usedforsecurity=False).hexdigest()

    def _make(self) -> Content:
        if self.archive is not None:
            return open_content(self.archive)
        if self.recipe is None:
            raise LookupError(f"{self.name} has neither a recipe nor a zip")
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".zip", delete=False) as file:
            path = Path(file.name)
        return write_content(self.recipe, path)


def from_recipe(recipe: Recipe, folder: Path) -> Product:
    """Return the product of a recipe; nothing is generated yet."""
    return Product(facts.of_recipe(recipe), folder, recipe=recipe)


def from_zip(path: Path) -> Product:
    """Return the product of a real zip.

    Raises:
        ValueError: The zip is not a Sentinel-2 product.
    """
    return Product(facts.of_zip(path), path.parent, archive=path)
