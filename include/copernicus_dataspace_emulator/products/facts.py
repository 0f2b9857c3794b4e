"""Catalogue metadata of a product, from a recipe or from a real zip."""

import re
import uuid
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from copernicus_dataspace_emulator.products import metadata
from copernicus_dataspace_emulator.products.recipe import FOREVER, Recipe, instant

_NAME: Final = re.compile(
    r"S2(?P<platform>[A-D])_MSI(?P<level>L1C|L2A)_(?P<sensed>\d{8}T\d{6})_N(?P<baseline>\d{4})"
    r"_R(?P<orbit>\d{3})_T(?P<tile>[0-9A-Z]{5})_(?P<generation>\d{8}T\d{6})(\.SAFE)?"
)
_AFTER_GENERATION: Final = timedelta(hours=1)
_MODIFIED_AFTER: Final = timedelta(seconds=46)
_ARRIVED_BEFORE: Final = timedelta(minutes=12)
_REPROCESSED: Final = "05.00"
Attributes = dict[str, str | int | float | datetime]


@dataclass(frozen=True, slots=True)
class Facts:
    """Catalogue metadata of a product, except size and checksum.

    ``touched`` and ``replaced`` are the times of the last change of its row and its files.
    """

    id: str
    name: str
    level: str
    baseline: str
    sensed: datetime
    published: datetime
    generated: datetime
    footprint: Any
    online: bool | None
    checksum: str
    attributes: Attributes
    stac: str = "listed"
    eviction: str | None = FOREVER
    touched: datetime | None = None
    replaced: datetime | None = None

    @property
    def s3_path(self) -> str:
        """Folder of the product in the bucket, which is ``/eodata``."""
        folder = f"{self.level}_N0500" if self.baseline == _REPROCESSED else self.level
        return f"/eodata/Sentinel-2/MSI/{folder}/{self.sensed:%Y/%m/%d}/{self.name}"

    @property
    def modified(self) -> datetime:
        """Time of the last change of the row."""
        return max(filter(None, (self.touched, self.digested)))

    @property
    def digested(self) -> datetime:
        """Date of the checksums."""
        return self.replaced or self.published + _MODIFIED_AFTER

    @property
    def origin(self) -> datetime:
        """Arrival from the ground segment."""
        return self.published - _ARRIVED_BEFORE


def of_recipe(recipe: Recipe) -> Facts:
    """Return the metadata of a synthetic product."""
    attributes: Attributes = {
        "origin": "ESA",
        "tileId": recipe.place.name,
        **({} if recipe.cloud_cover is None else {"cloudCover": float(recipe.cloud_cover)}),
        "datastripId": metadata.datastrip_id(recipe),
        "orbitNumber": recipe.orbit,
        "sourceProduct": f"{metadata.granule_id(recipe)},{metadata.datastrip_id(recipe)}",
        "processingDate": recipe.generated_at,
        "productGroupId": metadata.datatake_id(recipe),
        "operationalMode": "INS-NOBS",
        "processingLevel": recipe.product_type,
        "processorVersion": recipe.processor_version or recipe.baseline,
        "granuleIdentifier": metadata.granule_id(recipe),
        "platformShortName": "SENTINEL-2",
        "instrumentShortName": "MSI",
        "relativeOrbitNumber": recipe.relative_orbit,
        "platformSerialIdentifier": recipe.platform,
        "productType": recipe.product_type,
        "beginningDateTime": recipe.sensed_at,
        "endingDateTime": recipe.sensed_at,
    }
    return Facts(
        id=recipe.id,
        name=recipe.name,
        level=recipe.level,
        baseline=recipe.baseline,
        sensed=recipe.sensed_at,
        published=recipe.published_at,
        generated=recipe.generated_at,
        footprint=recipe.listed,
        online=recipe.online,
        checksum=recipe.checksum,
        attributes=attributes,
        stac=recipe.stac,
        eviction=recipe.eviction,
    )


def of_zip(path: Path) -> Facts:
    """Return the metadata of a real zip.

    Raises:
        ValueError: The zip is not a Sentinel-2 product.
    """
    with zipfile.ZipFile(path) as archive:
        top = archive.namelist()[0].partition("/")[0]
        match = _NAME.fullmatch(top)
        if match is None:
            raise ValueError(f"{path.name} holds {top!r}, not a Sentinel-2 product")
        text = archive.read(f"{top}/MTD_MSI{match['level']}.xml").decode()
    sensed = instant(_element(text, "PRODUCT_START_TIME"))
    baseline = f"{match['baseline'][:2]}.{match['baseline'][2:]}"
    generated = instant(match["generation"])
    numbers = [float(number) for number in _element(text, "EXT_POS_LIST").split()]
    ring = [[lon, lat] for lat, lon in zip(numbers[0::2], numbers[1::2], strict=True)]
    datatake = re.search(r'datatakeIdentifier="([^"]+)"', text)
    group = datatake[1] if datatake else ""
    attributes: Attributes = {
        "origin": "ESA",
        "tileId": match["tile"],
        "cloudCover": float(_element(text, "Cloud_Coverage_Assessment")),
        "orbitNumber": int(group.split("_")[2]) if group else 0,
        "processingDate": generated,
        "productGroupId": group,
        "operationalMode": "INS-NOBS",
        "processingLevel": f"S2MSI{match['level'][1:]}",
        "processorVersion": baseline,
        "platformShortName": "SENTINEL-2",
        "instrumentShortName": "MSI",
        "relativeOrbitNumber": int(match["orbit"]),
        "platformSerialIdentifier": match["platform"],
        "productType": f"S2MSI{match['level'][1:]}",
        "beginningDateTime": sensed,
        "endingDateTime": sensed,
    }
    return Facts(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, path.name)),
        name=top,
        level=match["level"],
        baseline=baseline,
        sensed=sensed,
        published=max(sensed, generated) + _AFTER_GENERATION,
        generated=generated,
        footprint={"type": "Polygon", "coordinates": [ring]},
        online=True,
        checksum="full",
        attributes=attributes,
    )


def _element(text: str, name: str) -> str:
    match = re.search(rf"<{name}>\s*([^<]*?)\s*</{name}>", text)
    if match is None:
        raise ValueError(f"The product's metadata lacks {name}")
    return match[1]
