"""The bucket ``eodata``: its objects and their ETags.

An object exists while its product can be downloaded. There are no objects for folders.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from copernicus_dataspace_emulator.holdings.rows import Row, Rows
from copernicus_dataspace_emulator.http.messages import Payload
from copernicus_dataspace_emulator.products.product import Product

NAME: Final = "eodata"
_PART_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Object:
    """An object: its key, its product and its path therein."""

    key: str
    product: Product
    path: str

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.product.content.members[self.path].file_size

    @property
    def modified(self) -> datetime:
        """Time of its last change."""
        return self.product.facts.digested

    @property
    def payload(self) -> Payload:
        """Its bytes."""
        return self.product.content.payload(self.path)

    @property
    def etag(self) -> str:
        """MD5 of the bytes; for a multipart upload another value with the number of parts."""
        if self.size < _PART_BYTES:
            return f'"{self.product.content.digest(self.path, "MD5")}"'
        about = f"{self.product.id}/{self.path}/{self.size}".encode()
        digest = hashlib.md5(about, usedforsecurity=False).hexdigest()
        return f'"{digest}-{-(-self.size // _PART_BYTES)}"'


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects of all products offered."""

    listed: Rows
    clock: Callable[[], datetime]

    def find(self, key: str) -> Object | None:
        """The object of a key."""
        name = next((step for step in key.split("/") if step.endswith(".SAFE")), "")
        for row in reversed(self.listed.named(name)):
            folder = _folder(row)
            if self._here(row) and key.startswith(folder):
                path = key.removeprefix(folder)
                known = path in row.product.content.members
                return Object(key, row.product, path) if known else None
        return None

    def below(self, prefix: str, delimiter: str) -> Iterator[Object | str]:
        """Objects whose keys start with ``prefix``, in order of their keys.

        With a delimiter, common prefixes are returned instead.
        """
        last = ""
        for folder, product in self._folders(prefix):
            for key, path in _keys(folder, product, prefix, delimiter):
                rest = key[len(prefix) :]
                if delimiter and delimiter in rest:
                    common = prefix + rest[: rest.index(delimiter) + len(delimiter)]
                    if common != last:
                        last = common
                        yield common
                elif path:
                    yield Object(key, product, path)

    def _here(self, row: Row) -> bool:
        return row.product.is_offered and row.product.facts.published <= self.clock()

    def _folders(self, prefix: str) -> list[tuple[str, Product]]:
        """Folders of products with keys of that prefix, in order."""
        name = next((step for step in prefix.split("/") if step.endswith(".SAFE")), "")
        rows = self.listed.named(name) if name else self.listed.all()
        fitting = {
            folder: row.product
            for row in rows
            if _fits(folder := _folder(row), prefix) and self._here(row)
        }
        return sorted(fitting.items())


def _folder(row: Row) -> str:
    return row.product.facts.s3_path.removeprefix(f"/{NAME}/") + "/"


def _fits(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _keys(folder: str, product: Product, prefix: str, delimiter: str) -> Iterator[tuple[str, str]]:
    """Keys and paths of a product; only the folder, without a path, if that is sufficient."""
    if delimiter and delimiter in folder[len(prefix) :] and folder.startswith(prefix):
        yield folder, ""
        return
    for path in sorted(product.content.members):
        if (folder + path).startswith(prefix):
            yield folder + path, path
