"""Generates the files of a synthetic product, with the sizes of real ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from copernicus_dataspace_emulator.products import scene
from copernicus_dataspace_emulator.products.metadata import (
    plain_document,
    product_document,
    tile_document,
)
from copernicus_dataspace_emulator.products.recipe import Recipe, compact

# Sizes of real files of a full tile in megabytes.
_L2A_SIZES: Final = """
10: AOT 3, B02 95, B03 100, B04 105, B08 120, TCI 110, WVP 25
20: AOT 1.2, B01 15, B02 26, B03 27, B04 28, B05 29, B06 31, B07 31, B11 30, B12 29, B8A 32
20: SCL 3, TCI 30, WVP 7
60: AOT 0.3, B01 3, B02 3.2, B03 3.3, B04 3.4, B05 3.4, B06 3.5, B07 3.5, B09 3.3, B11 3.5
60: B12 3.4, B8A 3.6, SCL 0.6, TCI 3.5, WVP 0.9
"""
_L1C_SIZES: Final = """
10: B02 95, B03 100, B04 105, B08 120, TCI 130
20: B05 30, B06 32, B07 33, B11 32, B12 31, B8A 34
60: B01 3.2, B09 3.3, B10 2
"""
_SENSOR_BANDS: Final = (
    *(("B01", 60), ("B02", 10), ("B03", 10), ("B04", 10), ("B05", 20), ("B06", 20), ("B07", 20)),
    *(("B08", 10), ("B8A", 20), ("B09", 60), ("B10", 60), ("B11", 20), ("B12", 20)),
)
_FIRST_RASTER_MASKS: Final = "04.00"
_REPORTS: Final = ("FORMAT_CORRECTNESS", "GENERAL_QUALITY", "GEOMETRIC_QUALITY", "SENSOR_QUALITY")
_MASK_MB: Final = 0.03
_PREVIEW_MB: Final = 0.12
_DATASTRIP_MB: Final = 10
_TILE_DOCUMENT_XML: Final = "application/xml"
_IMAGE: Final = "application/octet-stream"
_EMPTY_MASK: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n<eop:Mask xmlns:eop="eop"/>\n'

ImageKind = Literal["band", "colour", "mask"]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a product; ``name`` is its id in the manifest, empty if not listed."""

    path: str
    data: bytes
    name: str = ""
    mime: str = _TILE_DOCUMENT_XML


def outline(recipe: Recipe) -> list[str]:
    """Paths of metadata and imagery, without generating the files."""
    granule, name = granule_folder(recipe), recipe.name.removesuffix(".SAFE")
    masks = [f"MSK_{kind}PRB_{metres}m.jp2" for kind in ("CLD", "SNW") for metres in (20, 60)]
    return [
        "manifest.safe",
        f"MTD_MSI{recipe.level}.xml",
        "INSPIRE.xml",
        f"{name}-ql.jpg",
        f"{datastrip_folder(recipe)}/MTD_DS.xml",
        f"{granule}/MTD_TL.xml",
        *(path for path, *_ in _image_table(recipe)),
        *(f"{granule}/QI_DATA/{file}" for file in masks if recipe.level == "L2A"),
    ]


def datastrip_folder(recipe: Recipe) -> str:
    """Folder of the datastrip inside the product."""
    made, sensed = compact(recipe.generated_at), compact(recipe.datastrip_at)
    return f"DATASTRIP/DS_2APS_{made}_S{sensed}"


def granule_folder(recipe: Recipe) -> str:
    """Folder of the granule inside the product."""
    when = compact(recipe.datastrip_at)
    return f"GRANULE/{recipe.level}_T{recipe.place.name}_A{recipe.orbit:06d}_{when}"


def files(recipe: Recipe) -> Iterator[File]:
    """Yield all files except ``manifest.safe``; each is generated when it is needed."""
    classes = scene.classify(recipe.side, recipe.seed, recipe.cloud_cover or 0.0)
    shares = scene.percentages(classes)
    level_2 = recipe.level == "L2A"
    cloudy = sum(shares[number] for number in (8, 9, 10)) if level_2 else recipe.cloud_cover or 0.0
    images = [path.removesuffix(".jp2") for path, *_ in _image_table(recipe)]
    code = recipe.level
    yield File(
        f"MTD_MSI{code}.xml",
        product_document(recipe, shares, cloudy, images),
        f"S2_Level-{code[1:]}_Product_Metadata",
        "text/xml",
    )
    yield File("INSPIRE.xml", plain_document("inspire", recipe.name), "INSPIRE_Metadata")
    page = f"<html><body>{recipe.name}</body></html>".encode()
    yield File("HTML/UserProduct_index.html", page, "HTML_Presentation", "octet")
    sheet = plain_document("stylesheet", "presentation")
    yield File("HTML/UserProduct_index.xsl", sheet, "HTML_Presentation_Stylesheet", "octet")
    yield from _datastrip(recipe)
    yield from _granule(recipe, classes)
    schema = plain_document("schema", code)
    yield File(f"rep_info/S2_User_Product_Level-{code[1:]}_Metadata.xsd", schema)
    yield File(f"{recipe.name.removesuffix('.SAFE')}-ql.jpg", scene.quicklook())


def _datastrip(recipe: Recipe) -> Iterator[File]:
    folder, code = datastrip_folder(recipe), recipe.level[1:]
    strip = plain_document("datastrip", recipe.name, recipe.size_bytes(_DATASTRIP_MB))
    yield File(f"{folder}/MTD_DS.xml", strip, f"S2_Level-{code}_Datastrip1_Metadata")
    for report in (*_REPORTS, "RADIOMETRIC_QUALITY"):
        name = f"{report.split('_')[0].title()}_OLQC_Report_Datastrip1_InformationData"
        yield File(f"{folder}/QI_DATA/{report}.xml", plain_document("report", report), name)


def _granule(recipe: Recipe, classes: scene.Classes) -> Iterator[File]:
    folder, code = granule_folder(recipe), recipe.level[1:]
    name = f"S2_Level-{code}_Tile1_Metadata"
    yield File(f"{folder}/MTD_TL.xml", tile_document(recipe), name)
    for aux, short in (("AUX_CAMSFO", "CAMS"), ("AUX_ECMWFT", "ECMWF")):
        weather = plain_document("weather", aux)
        yield File(f"{folder}/AUX_DATA/{aux}", weather, f"{short}_Tile1_Data", _IMAGE)
    for path, band, resolution, megabytes in _image_table(recipe):
        unit = f"IMG_DATA_Band_{band}_{resolution}m_Tile1_Data"
        if band == "SCL":
            step = resolution // 20
            pixels = classes[::step, ::step]
            image = scene.encode(pixels, recipe.place.epsg, recipe.corner, resolution)
        else:
            image = _image(recipe, "colour" if band == "TCI" else "band", resolution)
        yield File(path, _sized(recipe, image, megabytes, path), unit, _IMAGE)
    yield from _quality(recipe, f"{folder}/QI_DATA")


def _image_table(recipe: Recipe) -> Iterator[tuple[str, str, int, float]]:
    """Path, band, resolution in metres and real size in megabytes of each image."""
    folder = f"{granule_folder(recipe)}/IMG_DATA"
    prefix = f"T{recipe.place.name}_{compact(recipe.sensed_at)}"
    level_2 = recipe.level == "L2A"
    for line in (_L2A_SIZES if level_2 else _L1C_SIZES).strip().splitlines():
        resolution, _, sizes = line.partition(": ")
        for band, megabytes in (pair.split() for pair in sizes.split(", ")):
            path = f"{folder}/{prefix}_{band}.jp2"
            if level_2:
                path = f"{folder}/R{resolution}m/{prefix}_{band}_{resolution}m.jp2"
            yield path, band, int(resolution), float(megabytes)


def _quality(recipe: Recipe, folder: str) -> Iterator[File]:
    level_2 = recipe.level == "L2A"
    for report in (*_REPORTS, *(("L2A_QUALITY",) if level_2 else ())):
        name = f"{report.split('_')[0].title()}_OLQC_Report_Tile1_InformationData"
        yield File(f"{folder}/{report}.xml", plain_document("report", report), name)
    masks: list[tuple[str, str, int]] = [
        (f"MSK_{kind}_{band}", f"{kind.title()}Mask_{band}_Tile1_Data", resolution)
        for kind in ("DETFOO", "QUALIT")
        for band, resolution in _SENSOR_BANDS
    ]
    masks.append(("MSK_CLASSI_B00", "ClassiMask_Tile1_Data", 60))
    if level_2:
        masks += [
            (
                f"MSK_{kind}PRB_{resolution}m",
                f"{kind.title()}PrbMask_{resolution}m_Tile1_Data",
                resolution,
            )
            for kind in ("CLD", "SNW")
            for resolution in (20, 60)
        ]
    raster = recipe.baseline >= _FIRST_RASTER_MASKS
    for stem, name, resolution in masks:
        if raster or "PRB" in stem:
            path = f"{folder}/{stem}.jp2"
            image = _image(recipe, "mask", resolution)
            yield File(path, _sized(recipe, image, _MASK_MB, path), name, _IMAGE)
        else:
            yield File(f"{folder}/{stem}.gml", _EMPTY_MASK, name, "text/xml")
    path = f"{folder}/T{recipe.place.name}_{compact(recipe.sensed_at)}_PVI.jp2"
    preview = _sized(recipe, _image(recipe, "colour", 320), _PREVIEW_MB, path)
    yield File(path, preview, "Preview_0_Tile1_Data", _IMAGE)


def _image(recipe: Recipe, kind: ImageKind, resolution: int) -> bytes:
    return scene.small_image(kind, recipe.place.epsg, recipe.corner, resolution)


def _sized(recipe: Recipe, image: bytes, megabytes: float, path: str) -> bytes:
    prefix = f"T{recipe.place.name}_{compact(recipe.sensed_at)}_"
    band = PurePosixPath(path).stem.removeprefix(prefix)
    size = (recipe.sizes or {}).get(band, recipe.size_bytes(megabytes))
    return scene.padded(image, size, recipe.seed, path)
