"""Minimal XML documents of a product.

Elements are those of real products; elements that neither this project nor GDAL reads are omitted.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from xml.sax.saxutils import quoteattr

from copernicus_dataspace_emulator.products.recipe import Recipe, compact, milliseconds

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
_PSD: Final = "https://psd-15.sentinel2.eo.esa.int/PSD"
_LAST_WITH_DARK_FEATURES: Final = "04.00"
_CONTENT: Final = (
    "NODATA_PIXEL",
    "SATURATED_DEFECTIVE_PIXEL",
    "CAST_SHADOW",
    "CLOUD_SHADOW",
    "VEGETATION",
    "NOT_VEGETATED",
    "WATER",
    "UNCLASSIFIED",
    "MEDIUM_PROBA_CLOUDS",
    "HIGH_PROBA_CLOUDS",
    "THIN_CIRRUS",
    "SNOW_ICE",
)
_BANDS: Final = 13
_FIRST_SOUTHERN_EPSG: Final = 32700
_SMALL_PERCENT: Final = 0.001


def datastrip_id(recipe: Recipe) -> str:
    """Long name of the datastrip."""
    return (
        f"S2{recipe.platform}_OPER_MSI_{recipe.level}_DS_2APS_{compact(recipe.generated_at)}"
        f"_S{compact(recipe.datastrip_at)}_N{recipe.baseline}"
    )


def granule_id(recipe: Recipe) -> str:
    """Long name of the granule."""
    return (
        f"S2{recipe.platform}_OPER_MSI_{recipe.level}_TL_2APS_{compact(recipe.generated_at)}"
        f"_A{recipe.orbit:06d}_T{recipe.place.name}_N{recipe.baseline}"
    )


def datatake_id(recipe: Recipe) -> str:
    """Name of the datatake, which groups products."""
    start = compact(recipe.sensed_at)
    return f"GS2{recipe.platform}_{start}_{recipe.orbit:06d}_N{recipe.baseline}"


def percent(value: float) -> str:
    """A percentage as the real documents write it: six decimals, or 6.46E-4 where small."""
    rounded = round(value, 6)
    if rounded == 0 or rounded >= _SMALL_PERCENT:
        return str(rounded)
    mantissa, exponent = f"{rounded:E}".split("E")
    return f"{float(mantissa):g}E{int(exponent)}"


def ring(recipe: Recipe) -> str:
    """Outline as latitude and longitude pairs, separated by blanks."""
    outline = recipe.outline
    polygon = outline["coordinates"]
    outer = polygon[0][0] if outline["type"] == "MultiPolygon" else polygon[0]
    return " ".join(f"{lat} {lon}" for lon, lat, *_ in outer)


def product_document(
    recipe: Recipe, shares: Mapping[int, float], cloudy: float, images: Iterable[str]
) -> bytes:
    """``MTD_MSIL2A.xml`` or ``MTD_MSIL1C.xml``; images are paths without their suffix."""
    level = f"Level-{recipe.level[1:]}"
    listed = "".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>\n" for image in images)
    sensed, platform = milliseconds(recipe.sensed_at), recipe.platform
    product_format = "<PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT>"
    text = f"""{_HEAD}<n1:{level}_User_Product xmlns:n1="{_PSD}/User_Product_{level}.xsd">
<n1:General_Info>
<Product_Info>
<PRODUCT_START_TIME>{sensed}</PRODUCT_START_TIME>
<PRODUCT_STOP_TIME>{sensed}</PRODUCT_STOP_TIME>
<PRODUCT_URI>{recipe.name}</PRODUCT_URI>
<PROCESSING_LEVEL>{level}</PROCESSING_LEVEL>
<PRODUCT_TYPE>{recipe.product_type}</PRODUCT_TYPE>
<PROCESSING_BASELINE>{recipe.baseline}</PROCESSING_BASELINE>
<GENERATION_TIME>{recipe.generated_at:%Y-%m-%dT%H:%M:%S.%fZ}</GENERATION_TIME>
<Datatake datatakeIdentifier="{datatake_id(recipe)}">
<SPACECRAFT_NAME>Sentinel-2{platform}</SPACECRAFT_NAME>
<DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
<DATATAKE_SENSING_START>{sensed}</DATATAKE_SENSING_START>
<SENSING_ORBIT_NUMBER>{recipe.relative_orbit}</SENSING_ORBIT_NUMBER>
<SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
</Datatake>
<Query_Options completeSingleTile="true">{product_format}</Query_Options>
<Product_Organisation><Granule_List><Granule datastripIdentifier="{datastrip_id(recipe)}"
 granuleIdentifier="{granule_id(recipe)}" imageFormat="JPEG2000">
{listed}</Granule></Granule_List></Product_Organisation>
</Product_Info>
<Product_Image_Characteristics>
{_radiometry(recipe)}</Product_Image_Characteristics>
</n1:General_Info>
<n1:Geometric_Info><Product_Footprint><Product_Footprint><Global_Footprint>
<EXT_POS_LIST>{ring(recipe)}</EXT_POS_LIST>
</Global_Footprint></Product_Footprint></Product_Footprint></n1:Geometric_Info>
<n1:Quality_Indicators_Info>
<Cloud_Coverage_Assessment>{percent(cloudy)}</Cloud_Coverage_Assessment>
{_image_content(recipe, shares)}</n1:Quality_Indicators_Info>
</n1:{level}_User_Product>
"""
    return text.encode()


def _radiometry(recipe: Recipe) -> str:
    """Quantification values (AOT and WVP have their own) and radiometric offset."""
    level_2 = recipe.level == "L2A"
    tag = "BOA_ADD_OFFSET" if level_2 else "RADIO_ADD_OFFSET"
    group = f"{tag}_VALUES_LIST" if level_2 else "Radiometric_Offset_List"
    quantity = "BOA_QUANTIFICATION_VALUE" if level_2 else "QUANTIFICATION_VALUE"
    text = f'<{quantity} unit="none">10000</{quantity}>\n'
    if level_2:
        text += '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>\n'
        text += '<WVP_QUANTIFICATION_VALUE unit="cm">1000.0</WVP_QUANTIFICATION_VALUE>\n'
        text = f"<QUANTIFICATION_VALUES_LIST>{text}</QUANTIFICATION_VALUES_LIST>\n"
    if recipe.has_offset:
        offsets = (f'<{tag} band_id="{band}">-1000</{tag}>\n' for band in range(_BANDS))
        text += f"<{group}>\n{''.join(offsets)}</{group}>\n"
    return text


def _image_content(recipe: Recipe, shares: Mapping[int, float]) -> str:
    if recipe.level == "L1C":
        return ""
    names = list(_CONTENT)
    if recipe.baseline <= _LAST_WITH_DARK_FEATURES:
        names[2] = "DARK_FEATURES"
    lines = (
        f"<{name}_PERCENTAGE>{percent(shares[number])}</{name}_PERCENTAGE>\n"
        for number, name in enumerate(names)
    )
    return f"<Image_Content_QI>\n{''.join(lines)}</Image_Content_QI>\n"


def tile_document(recipe: Recipe) -> bytes:
    """``MTD_TL.xml``: the georeference of the imagery."""
    code, (left, top), place = recipe.level, recipe.corner, recipe.place
    hemisphere = "N" if place.epsg < _FIRST_SOUTHERN_EPSG else "S"
    sizes = positions = ""
    for resolution in (10, 20, 60):
        pixels = recipe.side * 20 // resolution
        sizes += f'<Size resolution="{resolution}">'
        sizes += f"<NROWS>{pixels}</NROWS><NCOLS>{pixels}</NCOLS></Size>\n"
        positions += f'<Geoposition resolution="{resolution}"><ULX>{left}</ULX><ULY>{top}</ULY>'
        positions += f"<XDIM>{resolution}</XDIM><YDIM>-{resolution}</YDIM></Geoposition>\n"
    schema = f"{_PSD}/S2_PDI_Level-{code[1:]}_Tile_Metadata.xsd"
    text = f"""{_HEAD}<n1:Level-{code[1:]}_Tile_ID xmlns:n1="{schema}">
<n1:General_Info>
<TILE_ID metadataLevel="Brief">{granule_id(recipe)}</TILE_ID>
<DATASTRIP_ID metadataLevel="Standard">{datastrip_id(recipe)}</DATASTRIP_ID>
<SENSING_TIME metadataLevel="Standard">{recipe.datastrip_at:%Y-%m-%dT%H:%M:%S.%fZ}</SENSING_TIME>
</n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_NAME>WGS84 / UTM zone {place.epsg % 100}{hemisphere}</HORIZONTAL_CS_NAME>
<HORIZONTAL_CS_CODE>EPSG:{place.epsg}</HORIZONTAL_CS_CODE>
{sizes}{positions}</Tile_Geocoding></n1:Geometric_Info>
</n1:Level-{code[1:]}_Tile_ID>
"""
    return text.encode()


def plain_document(root: str, note: str, size: int = 0) -> bytes:
    """A document of one element, filled with a comment up to ``size`` bytes."""
    text = f"{_HEAD}<{root} note={quoteattr(note)}/>\n"
    missing = size - len(text) - len("<!---->\n")
    return (f"{text}<!--{'x' * missing}-->\n" if missing > 0 else text).encode()
