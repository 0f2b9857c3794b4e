"""Bands, grid and roles of STAC assets by key.

The grid is that of the whole tile even if a synthetic image is smaller.
"""

from functools import cache
from typing import Any, Final

from copernicus_dataspace_emulator.products.facts import Facts
from copernicus_dataspace_emulator.products.tile import TILE_M, tile

# Name, native metres, centre and width in micrometres, common name, title.
_BANDS: Final = """
B01 60 0.443 0.228 coastal Coastal aerosol (band 1)
B02 10 0.493 0.267 blue Blue (band 2)
B03 10 0.56 0.291 green Green (band 3)
B04 10 0.665 0.342 red Red (band 4)
B05 20 0.704 0.357 rededge071 Red edge 1 (band 5)
B06 20 0.741 0.374 rededge075 Red edge 2 (band 6)
B07 20 0.783 0.399 rededge078 Red edge 3 (band 7)
B08 10 0.833 0.454 nir NIR 1 (band 8)
B8A 20 0.865 0.441 nir08 NIR 2 (band 8A)
B09 60 0.945 0.479 nir09 NIR 3 (band 9)
B10 60 1.377 0.706 cirrus Cirrus (band 10)
B11 20 1.614 0.841 swir16 SWIR 1 (band 11)
B12 20 2.202 1.16 swir22 SWIR 2 (band 12)
"""
_TITLES: Final = {
    "AOT": "Aerosol optical thickness (AOT)",
    "WVP": "Water vapour (WVP)",
    "SCL": "Scene classification map (SCL)",
    "CLD": "Cloud probability (CLD)",
    "SNW": "Snow probability (SNW)",
}
_CLASSES: Final = (
    *("no_data", "saturated_or_defective", "dark_area_pixels", "cloud_shadows", "vegetation"),
    *("not_vegetated", "water", "unclassified", "cloud_medium_probability"),
    *("cloud_high_probability", "thin_cirrus", "snow"),
)
_SAMPLED: Final = {"TCI": 10, "SCL": 20}
_FIRST_WITH_OFFSET: Final = "04.00"
_THUMBNAIL_SIDE: Final = 343


@cache
def _bands() -> dict[str, tuple[int, dict[str, Any]]]:
    """Native resolution in metres and description of each band."""
    found = {}
    for line in _BANDS.strip().splitlines():
        name, metres, centre, width, common, title = line.split(" ", 5)
        found[name] = (
            int(metres),
            {
                "name": name,
                "description": title,
                "eo:center_wavelength": float(centre),
                "eo:full_width_half_max": float(width),
                "eo:common_name": common,
            },
        )
    return found


def image_facts(facts: Facts, key: str) -> dict[str, Any]:
    """Return the fields of an image; empty for other keys."""
    if key == "thumbnail":
        return {
            "type": "image/jpeg",
            "title": "Quicklook",
            "roles": ["thumbnail", "overview"],
            "data_type": "uint8",
            "proj:code": None,
            "proj:shape": [_THUMBNAIL_SIDE, _THUMBNAIL_SIDE],
        }
    name, _, metres = key.partition("_")
    native, band = _bands().get(name, (_SAMPLED.get(name, 10), {}))
    if not band and name not in {*_TITLES, "TCI"}:
        return {}
    step = int(metres.removesuffix("m")) if metres else native
    return {
        "type": "image/jp2",
        **_looks(name, band, step),
        "roles": _roles(name, native, int(metres.removesuffix("m")) if metres else None),
        "data_type": "uint16" if band or name in {"AOT", "WVP"} else "uint8",
        "nodata": 0,
        "gsd": step,
        **_grid(str(facts.attributes["tileId"]), step),
        **_scale(facts, name),
    }


def _looks(name: str, band: dict[str, Any], step: int) -> dict[str, Any]:
    if name == "TCI":
        shown = [_bands()[one][1] for one in ("B04", "B03", "B02")]
        return {"title": "True color image", "bands": shown}
    title = f"{band.get('description') or _TITLES[name]} - {step}m"
    if band:
        angles = {"view:azimuth": 104.5, "view:incidence_angle": 4.1}
        return {"title": title, "bands": [band], **angles}
    if name != "SCL":
        return {"title": title}
    classes: list[dict[str, Any]] = [
        {"value": value, "name": one} for value, one in enumerate(_CLASSES)
    ]
    classes[0]["nodata"] = True
    return {"title": title, "classification:classes": classes}


def _roles(name: str, native: int, metres: int | None) -> list[str]:
    roles = ["visual"] if name == "TCI" else ["data"]
    if name in _bands():
        roles.append("reflectance")
    if metres is None:
        return roles
    if name in _bands() or name in _SAMPLED:
        how = "original" if metres == native else "upsampled" if metres < native else "downsampled"
        roles.append(f"sampling:{how}")
    return [*roles, f"gsd:{metres}m"]


def _grid(name: str, step: int) -> dict[str, Any]:
    place = tile(name)
    left, top = place.left, place.top
    return {
        "proj:code": f"EPSG:{place.epsg}",
        "proj:shape": [TILE_M // step, TILE_M // step],
        "proj:bbox": [left, top - TILE_M, left + TILE_M, top],
        "proj:transform": [step, 0, left, 0, -step, top],
    }


def _scale(facts: Facts, name: str) -> dict[str, float]:
    if name not in _bands() and name not in {"AOT", "WVP"}:
        return {}
    offset = -0.1 if facts.baseline >= _FIRST_WITH_OFFSET else 0.0
    return {"raster:scale": 0.0001, "raster:offset": offset}
