"""Knows the STAC item of a delivered product, and how to read back what it promises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from dataspace.checksum import Checksum
from dataspace.footprint import bounds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dataspace.product import Product

ITEM_NAME: Final = "item.json"

_EXTENSIONS: Final = [
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
    "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
    "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
]
_MEDIA_TYPES: Final = {
    "jp2": "image/jp2",
    "xml": "application/xml",
    "safe": "application/xml",
    "html": "text/html",
    "jpg": "image/jpeg",
    "gml": "application/gml+xml",
}


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One verified file of a product.

    Attributes:
        path: Inside the product's SAFE folder.
        name: Below the product's delivery folder.
        checksum: The one ESA gave, which the file was verified against.
        source_url: Where it came from, without a token.
    """

    path: str
    name: str
    size_bytes: int
    checksum: Checksum
    source_url: str

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the file that `to_json` wrote."""
        return cls(**{**record, "checksum": Checksum(**record["checksum"])})

    def to_json(self) -> dict[str, Any]:
        """Return all facts as JSON values."""
        checksum = {"algorithm": self.checksum.algorithm, "value": self.checksum.value}
        return {
            "path": self.path,
            "name": self.name,
            "size_bytes": self.size_bytes,
            "checksum": checksum,
            "source_url": self.source_url,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """What stands in a product's delivery folder.

    Attributes:
        selection: For each wanted band or pattern the paths it stood for, so that a later run
            knows without asking the service whether all of them are there.
        files: By path inside the product.
        dag_id: Who delivered last.
        run_id: Who delivered last.
        stamp: Of the search that asked for it last.
    """

    selection: Mapping[str, tuple[str, ...]]
    files: Mapping[str, DeliveredFile]
    dag_id: str
    run_id: str
    stamp: str

    @classmethod
    def read(cls, content: bytes | None) -> Self | None:
        """Return what an item promises; None where there is none or it is damaged."""
        if content is None:
            return None
        try:
            item = json.loads(content)
            properties = item["properties"]
            return cls(
                selection={k: tuple(v) for k, v in properties["dataspace:selection"].items()},
                files={file.path: file for file in map(_file_of, item["assets"].values())},
                dag_id=properties["dataspace:dag_id"],
                run_id=properties["dataspace:run_id"],
                stamp=properties["dataspace:stamp"],
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def missing(self, bands: tuple[str, ...], standing: Collection[str]) -> bool:
        """Tell whether anything the bands stand for is unknown or not among what stands."""
        if any(band not in self.selection for band in bands):
            return True
        return not {path for band in bands for path in self.selection[band]} <= set(standing)

    def chosen(self, bands: tuple[str, ...]) -> tuple[DeliveredFile, ...]:
        """Return the files the bands stand for, each once."""
        paths = dict.fromkeys(path for band in bands for path in self.selection[band])
        return tuple(self.files[path] for path in paths)

    def merged(self, newer: Delivery) -> Delivery:
        """Return this delivery with a newer one's files added or in place of its own."""
        return Delivery(
            selection={**self.selection, **newer.selection},
            files={**self.files, **newer.files},
            dag_id=newer.dag_id,
            run_id=newer.run_id,
            stamp=newer.stamp,
        )

    def to_item(self, product: Product) -> bytes:
        """Return the STAC item, https://github.com/radiantearth/stac-spec, as JSON."""
        import pystac  # noqa: PLC0415 - slow to import, and readers do not need it

        box = bounds(product.footprint)
        item = pystac.Item(
            id=product.stem,
            geometry=dict(product.footprint) if box and product.footprint else None,
            bbox=list(box) if box else None,
            datetime=product.sensed,
            properties={**_properties(product), **self._provenance()},
            stac_extensions=_EXTENSIONS,
        )
        for file in self.files.values():
            item.add_asset(file.name, _asset(file))
        return json.dumps(item.to_dict(transform_hrefs=False), indent=2).encode()

    def _provenance(self) -> dict[str, Any]:
        return {
            "dataspace:selection": {band: list(paths) for band, paths in self.selection.items()},
            "dataspace:dag_id": self.dag_id,
            "dataspace:run_id": self.run_id,
            "dataspace:stamp": self.stamp,
        }


def _properties(product: Product) -> dict[str, Any]:
    name = product.parsed_name
    values: dict[str, Any] = {
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "product:type": product.product_type,
        "published": product.published.isoformat() if product.published else None,
        "eo:cloud_cover": product.cloud_cover,
        "dataspace:product_id": product.id,
        "dataspace:product_name": product.name,
        "dataspace:product_checksum": str(product.checksum) if product.checksum else None,
        "dataspace:product_size": product.size_bytes,
    }
    if name:
        values |= {
            "platform": f"sentinel-2{name.platform.lower()}",
            "processing:version": name.baseline,
            "grid:code": f"MGRS-{name.tile}",
            "sat:relative_orbit": name.relative_orbit,
        }
    return {key: value for key, value in values.items() if value is not None}


def _asset(file: DeliveredFile) -> Any:
    import pystac  # noqa: PLC0415

    is_image = file.name.endswith(".jp2")
    return pystac.Asset(
        href=f"./{file.name}",
        media_type=_MEDIA_TYPES.get(file.name.rpartition(".")[2].lower()),
        roles=["data" if is_image else "metadata"],
        extra_fields={
            "file:size": file.size_bytes,
            "file:checksum": file.checksum.multihash(),
            "file:local_path": file.path,
            "dataspace:checksum_algorithm": file.checksum.algorithm,
            "dataspace:checksum": file.checksum.value,
            "dataspace:source": file.source_url,
        },
    )


def _file_of(asset: Mapping[str, Any]) -> DeliveredFile:
    return DeliveredFile(
        path=asset["file:local_path"],
        name=asset["href"].removeprefix("./"),
        size_bytes=asset["file:size"],
        checksum=Checksum(asset["dataspace:checksum_algorithm"], asset["dataspace:checksum"]),
        source_url=asset["dataspace:source"],
    )
