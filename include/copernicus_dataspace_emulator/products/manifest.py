"""``manifest.safe`` of a synthetic product, in the format of real ones.

Lists only data components, chosen by the caller.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from copernicus_dataspace_emulator.products.metadata import ring
from copernicus_dataspace_emulator.products.recipe import Recipe, milliseconds

_SAFE: Final = "http://www.esa.int/safe/sentinel/1.1"
_NAMESPACES: Final = (
    'xmlns:gml="http://www.opengis.net/gml" '
    f'xmlns:safe="{_SAFE}" xmlns:xfdu="urn:ccsds:schema:xfdu:1"'
)
_LAUNCHES: Final = {"A": "2015-000A", "B": "2017-013A", "C": "2024-157A"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A data component: its id, path inside the product, size in bytes and hex digest."""

    name: str
    path: str
    mime: str
    size: int
    digest: str


_LISTED: Final = re.compile(
    r'href="\./([^"]+)".*?checksumName="([^"]+)"[^>]*>\s*([0-9A-Fa-f]+)', re.DOTALL
)


def listed_digests(text: str) -> dict[str, tuple[str, str]]:
    """Algorithm and lower-case digest of each file that a manifest lists, by its path."""
    return {path: (name, digest.lower()) for path, name, digest in _LISTED.findall(text)}


def manifest(recipe: Recipe, entries: Sequence[Entry]) -> bytes:
    """The manifest's bytes; digests are written upper and lower case in turn."""
    level, code = f"Level-{recipe.level[1:]}", recipe.level.lower()
    units = "".join(_unit(entry.name) for entry in entries)
    objects = "".join(
        _object(entry, recipe.algorithm, upper=place % 3 != 0)
        for place, entry in enumerate(entries)
    )
    kind = f"esa/safe/sentinel/1.1/sentinel-2/msi/archive_{code}_user_product"
    text = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<xfdu:XFDU {_NAMESPACES} version="{kind}">
    <informationPackageMap>
        <xfdu:contentUnit dmdID="acquisitionPeriod platform" pdiID="processing" \
textInfo="SENTINEL-2 MSI {level} User Product" unitType="Product_{level}">
{units}        </xfdu:contentUnit>
    </informationPackageMap>
    <metadataSection>
{_metadata(recipe, level)}    </metadataSection>
    <dataObjectSection>
{objects}    </dataObjectSection>
</xfdu:XFDU>
"""
    return text.encode()


def _unit(name: str) -> str:
    unit = f"{name.removesuffix('_Data')}_Unit"
    return f"""            <xfdu:contentUnit ID="{unit}" unitType="Data Unit">
                <dataObjectPointer dataObjectID="{name}"/>
            </xfdu:contentUnit>
"""


def _object(entry: Entry, algorithm: str, *, upper: bool) -> str:
    digest = entry.digest.upper() if upper else entry.digest
    return f"""        <dataObject ID="{entry.name}">
            <byteStream mimeType="{entry.mime}" size="{entry.size}">
                <fileLocation href="./{entry.path}" locatorType="URL"/>
                <checksum checksumName="{algorithm}">{digest}</checksum>
            </byteStream>
        </dataObject>
"""


def _metadata(recipe: Recipe, level: str) -> str:
    made = f"{recipe.generated_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    platform = recipe.platform
    parts = (
        (
            "acquisitionPeriod",
            "DMD",
            "DESCRIPTION",
            f"<safe:acquisitionPeriod><safe:startTime>{milliseconds(recipe.sensed_at)}</safe:startTime>"
            "</safe:acquisitionPeriod>",
        ),
        (
            "measurementOrbitReference",
            "DMD",
            "DESCRIPTION",
            '<safe:orbitReference><safe:orbitNumber groundTrackDirection="descending" '
            f'type="start">{recipe.orbit:06d}</safe:orbitNumber><safe:relativeOrbitNumber '
            f'type="start">{recipe.relative_orbit:03d}</safe:relativeOrbitNumber>'
            "</safe:orbitReference>",
        ),
        (
            "platform",
            "DMD",
            "DESCRIPTION",
            f"<safe:platform><safe:nssdcIdentifier>{_LAUNCHES[platform]}</safe:nssdcIdentifier>"
            f"<safe:familyName>SENTINEL</safe:familyName><safe:number>2{platform}</safe:number>"
            '<safe:instrument><safe:familyName abbreviation="MSI">Multi-Spectral Instrument'
            "</safe:familyName></safe:instrument></safe:platform>",
        ),
        (
            "processing",
            "PDI",
            "PROVENANCE",
            f'<safe:processing xmlns="{_SAFE}" name="Generation of {level} User Product" '
            f'start="{made}"/>',
        ),
        (
            "measurementFrameSet",
            "DMD",
            "DESCRIPTION",
            '<safe:frameSet><safe:footPrint srsName="http://www.opengis.net/gml/srs/epsg.xml#4326">'
            f"<gml:coordinates>{ring(recipe)} </gml:coordinates></safe:footPrint></safe:frameSet>",
        ),
    )
    return "".join(_wrapped(*part) for part in parts)


def _wrapped(name: str, category: str, classification: str, content: str) -> str:
    about = f'ID="{name}" category="{category}" classification="{classification}"'
    return f"""        <metadataObject {about}>
            <metadataWrap mimeType="text/xml" vocabularyName="Sentinel-SAFE">
                <xmlData>{content}</xmlData>
            </metadataWrap>
        </metadataObject>
"""
