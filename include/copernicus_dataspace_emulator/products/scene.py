"""Synthetic imagery: a scene classification and small valid JPEG 2000 files.

Pixels depend on the seed only. Real sizes are reached with a ``free`` box, which JPEG 2000
readers skip.
"""

import struct
import zlib
from functools import cache
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

FULL_SIDE: Final = 5490  # pixels of 20 m across a whole tile
_SMALL_SIDE: Final = 96
_KNOTS: Final = 24
_BOX_HEADER_BYTES: Final = 8
# Shares of the ground that is free of cloud, by rising value of a smooth field.
_GROUND: Final = ((6, 0.14), (2, 0.03), (4, 0.45), (7, 0.02), (5, 0.33), (11, 0.03))
# Shares of the clouds, thickest first.
_CLOUD: Final = ((9, 0.5), (8, 0.3), (10, 0.2))
_SHADOW_SHARE: Final = 0.02
_SWATH_SLOPE: Final = 0.25
_SWATH_EDGE: Final = 1.06
_FLAT: Final = 2

Classes = NDArray[np.uint8]


def classify(side: int, seed: int, cloud_cover_percent: float) -> Classes:
    """Scene classes of ``side`` x ``side`` pixels with the wanted share of clouds.

    Cloud is counted over valid pixels, to the nearest pixel; the lower right corner is
    outside the swath and holds no data.
    """
    random = np.random.default_rng([seed, side])
    ground, cloud = _smooth(side, random), _smooth(side, random)
    classes = _ground_classes(ground)
    across = np.arange(side, dtype=np.float32) / side
    valid = across[None, :] + _SWATH_SLOPE * across[:, None] < _SWATH_EDGE
    _lay_clouds(classes, np.where(valid, cloud, -np.inf), int(valid.sum()), cloud_cover_percent)
    classes[~valid] = 0
    return classes


def _smooth(side: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A smooth field: coarse noise under tent-shaped weights."""
    knots = random.standard_normal((_KNOTS, _KNOTS)).astype(np.float32)
    position = np.linspace(0, _KNOTS - 1, side, dtype=np.float32)
    distance = np.abs(position[:, None] - np.arange(_KNOTS, dtype=np.float32)[None, :])
    weight = np.clip(1 - distance, 0, 1)
    field: NDArray[np.float32] = weight @ knots @ weight.T
    return field


def _ground_classes(field: NDArray[np.float32]) -> Classes:
    step = max(1, field.shape[0] // 256)
    shares = np.cumsum([share for _, share in _GROUND])[:-1]
    limits = np.quantile(field[::step, ::step], shares).astype(np.float32)
    table = np.array([number for number, _ in _GROUND], dtype=np.uint8)
    return table[np.digitize(field, limits)]


def _lay_clouds(
    classes: Classes, field: NDArray[np.floating[Any]], valid: int, percent: float
) -> None:
    """Write cloud classes over the highest values of a field, shadow just below them."""
    count = round(valid * percent / 100)
    if not count:
        return
    shadow = min(round(valid * _SHADOW_SHARE), valid - count)
    edges = [round(count * share) for share in np.cumsum([share for _, share in _CLOUD])]
    order = np.argpartition(field.ravel(), -np.unique([*edges, count + shadow]))[::-1]
    flat = classes.reshape(-1)
    flat[order[count : count + shadow]] = 3
    for (number, _), start, stop in zip(_CLOUD, [0, *edges], edges, strict=False):
        flat[order[start:stop]] = number


def percentages(classes: Classes) -> dict[int, float]:
    """Share of each class over valid pixels in percent; of class 0 over all pixels."""
    counts = np.bincount(classes.ravel(), minlength=12)
    valid = counts[1:].sum() or 1
    shares = {number: 100 * float(counts[number] / valid) for number in range(1, 12)}
    return {0: 100 * float(counts[0] / classes.size)} | shares


def encode(pixels: NDArray[Any], epsg: int, corner: tuple[int, int], resolution_m: int) -> bytes:
    """A lossless georeferenced JP2 of one band, or of three where ``pixels`` has three axes."""
    bands = pixels[None] if pixels.ndim == _FLAT else pixels
    profile = {
        "driver": "JP2OpenJPEG",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype.name,
        "crs": f"EPSG:{epsg}",
        "transform": rasterio.Affine(resolution_m, 0, corner[0], 0, -resolution_m, corner[1]),
        "QUALITY": 100,
        "REVERSIBLE": "YES",
        "YCBCR420": "NO",
    }
    with MemoryFile(ext=".jp2") as memory:  # without the extension GDAL writes no boxes
        with memory.open(**profile) as dataset:
            dataset.write(bands)
        return bytes(memory.read())


@cache
def small_image(kind: str, epsg: int, corner: tuple[int, int], resolution_m: int) -> bytes:
    """A small constant JP2 at the upper left corner: ``band``, ``colour`` or ``mask``."""
    shape = (3, _SMALL_SIDE, _SMALL_SIDE) if kind == "colour" else (_SMALL_SIDE, _SMALL_SIDE)
    dtype = np.uint16 if kind == "band" else np.uint8
    value = {"band": 1500, "colour": 90, "mask": 0}[kind]
    return encode(np.full(shape, value, dtype=dtype), epsg, corner, resolution_m)


def padded(image: bytes, size: int, seed: int, name: str) -> bytes:
    """The image followed by a box of noise, ``size`` bytes in all where it was smaller."""
    extra = size - len(image)
    if extra < _BOX_HEADER_BYTES:
        return image
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    noise = random.bytes(extra - _BOX_HEADER_BYTES)
    return b"".join((image, struct.pack(">I4s", extra, b"free"), noise))


@cache
def quicklook() -> bytes:
    """A small JPEG, the same for every product."""
    side = 128
    ramp = np.tile(np.linspace(30, 200, side, dtype=np.uint8), (side, 1))
    profile = {"driver": "JPEG", "count": 3, "height": side, "width": side, "dtype": "uint8"}
    upright = rasterio.Affine(1, 0, 0, 0, -1, side)
    with MemoryFile(ext=".jpg") as memory:
        with memory.open(**profile, transform=upright) as dataset:
            dataset.write(np.stack([ramp, ramp.T, np.full_like(ramp, 80)]))
        return bytes(memory.read())
