"""An area of a million corners: read, said to the catalogue, and compared with footprints.

Each runs in a process of its own, because what a library has imported and kept would count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.support.service import ROOT
from benchmarks.support.table import row

if TYPE_CHECKING:
    from pathlib import Path

_CORNERS: Final = 1_000_000
_SHAPES: Final = {
    "smooth": "5 + 0 * i",
    "jagged": "5 * (1 + 0.001 * (i % 7))",
    "crossing itself": "5 + np.random.default_rng(1).normal(0, 0.01, i.size)",
}
"""Distance of each corner from the middle, in degrees."""
_DRAWN: Final = """
import json, sys
import numpy as np

i = np.arange({corners})
angle = i * 2 * np.pi / i.size
if "random" in {radius!r}:
    angle += np.random.default_rng(2).normal(0, 3, i.size) * angle[1]
radius = {radius}
ring = np.column_stack([30 + radius * np.cos(angle), 40 + radius * np.sin(angle)]).tolist()
json.dump({{"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}, open(sys.argv[1], "w"))
"""
_TIMED: Final = """
import json, sys, time
from pathlib import Path
import shapely
from benchmarks.support.own_client import peak_mb, resident_mb
from copernicus_dataspace.geometry.area import Area

Area.parse("10,50,11,51").search_wkts()
marks, before = [time.process_time()], resident_mb()

def mark():
    marks.append(time.process_time())

area = Area.parse(Path(sys.argv[1])); mark()
area.search_wkts(); mark()
area.touches(shapely.box(30, 40, 31, 41)); mark()
for n in range(100):
    area.touches(shapely.box(24 + n / 10, 36, 25 + n / 10, 37))
mark()
taken = [end - begin for begin, end in zip(marks, marks[1:])]
print(json.dumps([*taken, peak_mb() - before]))
"""


def measure(scratch: Path) -> None:
    """Measure each shape."""
    file = scratch / "area.geojson"
    for name, radius in _SHAPES.items():
        _python(_DRAWN.format(corners=_CORNERS, radius=radius), file)
        read, outline, first, others, growth = json.loads(_python(_TIMED, file))
        row(f"area of a million corners, {name}: outline", f"{outline:.1f} s of CPU", "< 5 s")
        row("  reading its GeoJSON", f"{read:.1f} s, {growth:.0f} MB")
        row("  first footprint; each further one", f"{first:.2f} s; {others * 10:.1f} ms")


def _python(code: str, file: Path) -> str:
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout
