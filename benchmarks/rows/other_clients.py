"""The same files downloaded by third-party clients, each a process timed from outside.

For ours the time inside the task is measured too, without interpreter and imports, which a task of
Airflow has before it starts; it is not used in the comparison with CDSETool, which must import too.

CDSETool runs as its documentation shows, with a file filter and 4 downloads at once. Its host names
stand in its source, so a copy with the emulator's in their place is used.

s5cmd copies by S3 and verifies nothing. phidown runs ``s5cmd cp`` with a wildcard for one product
after the other, which leaves three of four connections idle. So one ``s5cmd run`` over a list of
all these commands is measured instead: with a worker for each connection, which is the row with a
goal; with s5cmd's own number of workers, as phidown leaves it, though nearly all are refused at
first; and with two for each connection, which lists the next product while others are copied, as
long as listings do not count as connections. It does not search, so our side is given the products
and searches nothing either.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from benchmarks.rows.fleet import CONNECTIONS, ENDING, NUMBER, check
from benchmarks.support.own_client import Job, run, search
from benchmarks.support.service import PASSWORD, USER
from benchmarks.support.table import median, rounds, row, seconds
from copernicus_dataspace.json_records import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.support.service import Service
    from copernicus_dataspace.models.product import Product

_HOSTS: Final = {
    "https://identity.dataspace.copernicus.eu": "identity_url",
    "https://catalogue.dataspace.copernicus.eu": "catalogue_url",
    "https://download.dataspace.copernicus.eu": "download_url",
}
_CDSETOOL: Final = """
import sys
from datetime import date
from cdsetool.credentials import Credentials
from cdsetool.download import download_features
from cdsetool.query import query_features

identity_url, user, password, folder, connections = sys.argv[1:]
features = query_features("SENTINEL-2", {
    "contentDateStartGe": date(2024, 1, 1), "contentDateStartLe": date(2024, 12, 31),
    "productType": "S2MSI2A"})
configuration = f"{identity_url}/.well-known/openid-configuration"
list(download_features(features, folder, {
    "concurrency": int(connections), "filter_pattern": "*SCL_20m.jp2",
    "credentials": Credentials(user, password, configuration)}))
"""
_WORKERS: Final = 256
"""Default number of workers of s5cmd."""
_FEW: Final = 20
"""Products that are downloaded sequentially: the time grows with their number."""


def measure_cdsetool(service: Service, scratch: Path) -> None:
    """Search and download with both clients."""
    packages = _renamed_cdsetool(service, scratch)

    def ours(number: int) -> float:
        folder = scratch / f"ours{number}"
        return _checked(service, folder, run(Job(service.addresses, str(folder))).outside_s)

    def theirs(number: int) -> float:
        folder = scratch / f"cdsetool{number}"
        identity_url = service.addresses["identity_url"]
        script = (_CDSETOOL, identity_url, USER, PASSWORD, str(folder), str(CONNECTIONS))
        command = (sys.executable, "-c", *script)
        taken = _timed(command, scratch, {"PYTHONPATH": str(packages)})
        return _checked(service, folder, taken)

    _compare("CDSETool / ours, with imports", rounds(ours, theirs, number=2), ">= 2")


def measure_s5cmd(service: Service, scratch: Path) -> None:
    """Download known products with both clients."""
    products = search(service.addresses)
    known = scratch / "products.json"
    known.write_bytes(write_json(products))

    whole: list[float] = []

    def ours(number: int) -> float:
        folder = scratch / f"ours{number}"
        done = run(Job(service.addresses, str(folder), products=str(known)))
        whole.append(_checked(service, folder, done.outside_s))
        return done.inside_s

    def theirs(number: int, workers: int = CONNECTIONS) -> float:
        folder = scratch / f"s5cmd{workers}_{number}"
        commands = scratch / "commands.txt"
        commands.write_text("\n".join(" ".join(_copy(one, folder)) for one in products))
        options = ("--numworkers", str(workers), "run", str(commands))
        return _checked(service, folder, _s5cmd(service, scratch, options))

    _s5cmd(service, scratch, _copy(products[0], scratch / "warm"))
    mine, taken = rounds(ours, theirs)
    _compare("s5cmd run by S3 / ours by HTTPS", (mine, taken), ">= 1.3")
    _compare("  with our imports", (whole, taken))
    for workers in (2 * CONNECTIONS, _WORKERS):
        _compare(f"  {workers} workers", (mine, [theirs(0, workers)]))
    each = [_s5cmd(service, scratch, _copy(one, scratch / "in_turn")) for one in products[:_FEW]]
    row("  one product after the other, as phidown", f"{sum(each) / _FEW * NUMBER:.0f} s")


def _compare(what: str, taken: Sequence[Sequence[float]], goal: str = "") -> None:
    ours, theirs = taken
    both = f"{seconds(theirs)} / {seconds(ours)}"
    row(what, f"{median(theirs) / median(ours):.2f}: {both}", goal)


def _renamed_cdsetool(service: Service, scratch: Path) -> Path:
    """Return a folder with a copy of CDSETool that uses the emulator."""
    found = importlib.util.find_spec("cdsetool")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("cdsetool is not installed")
    copy = shutil.copytree(Path(found.origin).parent, scratch / "packages" / "cdsetool")
    for module in copy.glob("*.py"):
        text = module.read_text()
        for host, name in _HOSTS.items():
            emulated = urlsplit(service.addresses[name])
            text = text.replace(host, f"{emulated.scheme}://{emulated.netloc}")
        module.write_text(text)
    return copy.parent


def _copy(product: Product, folder: Path) -> tuple[str, ...]:
    """Return the arguments that copy a product's SCL; only the granule's folder is listed."""
    source = f"s3:/{product.s3_path}/GRANULE/*{ENDING}"
    return "cp", source, f"{folder}/{product.stem}/"


def _s5cmd(service: Service, scratch: Path, arguments: Sequence[str]) -> float:
    program = Path(sys.executable).with_name("s5cmd")
    keys = {
        "AWS_ACCESS_KEY_ID": service.addresses["s3_access_key"],
        "AWS_SECRET_ACCESS_KEY": service.addresses["s3_secret_key"],
        "AWS_REGION": "default",
    }
    url = service.addresses["s3_endpoint_url"]
    return _timed((str(program), "--endpoint-url", url, *arguments), scratch, keys)


def _timed(command: Sequence[str], home: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=home,
        env={**os.environ, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    return taken


def _checked(service: Service, folder: Path, taken: float) -> float:
    """Return the seconds if all files exist and are right."""
    check(service, folder)
    return taken
