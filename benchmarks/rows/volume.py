"""One full-size product compared with plain tools: a zip of 1 GB, ten bands."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from benchmarks.support.own_client import Job, client, run, search
from benchmarks.support.service import Service, serving
from benchmarks.support.table import MB, ROUNDS, median, rounds, row, seconds
from copernicus_dataspace.download.zip_files.product_zip import open_zip
from copernicus_dataspace.models.bands import select_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product

CONNECTIONS: Final = 4
BYTES_PER_S: Final = 20e6
LATENCY_S: Final = 0.08
_BANDS: Final = 10
_IMAGES: Final = ("*/R10m/*.jp2", "*/R20m/*.jp2")
_ZIP: Final = 'curl -sSf -H "Authorization: Bearer $TOKEN" "$URL" | tee "$TARGET" | md5sum'
_EACH: Final = 'curl -sSf -H "Authorization: Bearer $TOKEN" "$0"'
_FILES: Final = f"""xargs -n 2 -P "$CONNECTIONS" sh -c '{_EACH} -o "$1"'"""
_HASHED: Final = (
    """xargs -n 2 -P "$CONNECTIONS" """
    f"""sh -c '{_EACH} | tee "$1" | openssl dgst -sha3-256 > "$1.sha3"'"""
)


def tile(**settings: Any) -> AbstractContextManager[Service]:
    """Run an emulator with one full tile."""
    return serving([{"tile": "36TXL", "scale": 1}], **settings)


def measure_zip(service: Service, scratch: Path) -> None:
    """Keep the whole zip; or extract one file of it, possibly the last."""
    (product,) = search(service.addresses)
    _curl_zip(service, product, scratch / "first.zip")
    ways: dict[str, Mapping[str, Any]] = {
        "zip kept": {"keep_archive": True},
        "SCL_20m kept": {},
        "last image kept": {"bands": [_last_image(scratch / "first.zip")]},
    }
    _extraction(scratch / "first.zip")
    (scratch / "first.zip").unlink()
    growths: list[float] = []

    def ours(about: Mapping[str, Any], _number: int) -> float:
        job = Job(service.addresses, str(scratch / "ours"), transfer="archive", **about)
        done = run(job)
        growths.append(done.growth_mb)
        shutil.rmtree(scratch / "ours")
        return done.inside_s

    def plain(_number: int) -> float:
        taken = _curl_zip(service, product, scratch / "curl.zip")
        (scratch / "curl.zip").unlink()
        return taken

    curl, *each = rounds(plain, *(partial(ours, about) for about in ways.values()))
    size = (product.size_bytes or 0) / MB
    row(f"curl | tee | md5sum of {size:.0f} MB", seconds(curl))
    for way, taken in zip(ways, each, strict=True):
        row(
            f"  {way}: curl / ours",
            f"{median(curl) / median(taken):.2f}: {seconds(taken)}",
            ">= 0.95",
        )
    row("  growth of peak memory", f"{max(growths):.0f} MB", "< 64 MB")


def measure_bands(service: Service, scratch: Path, bytes_per_s: float | None = None) -> None:
    """Fetch the ten largest images of 10 and 20 m, in the order of the manifest.

    Plain curls hash nothing; with openssl they do what our client must do. Without a limit the
    processors decide, which the service shares with both, so only the limited line has a goal.
    """
    (product,) = search(service.addresses)
    files = _largest(service, product)
    bands = ["_".join(PurePosixPath(file.path).stem.split("_")[-2:]) for file in files]

    def ours(_number: int) -> float:
        taken = run(Job(service.addresses, str(scratch / "ours"), bands)).inside_s
        shutil.rmtree(scratch / "ours")
        return taken

    def plain(command: str, _number: int) -> float:
        taken = _curl_files(service, product, files, scratch / "curl", command)
        shutil.rmtree(scratch / "curl")
        return taken

    hashes = bytes_per_s is None and shutil.which("openssl")
    commands = (_FILES, _HASHED) if hashes else (_FILES,)
    number = ROUNDS if bytes_per_s is None else 2
    taken, *others = rounds(ours, *(partial(plain, command) for command in commands), number=number)
    speed = f"{bytes_per_s / MB:.0f} MB/s each" if bytes_per_s else "no limit"
    size = sum(file.size_bytes or 0 for file in files) / MB
    names = (f"{_BANDS} bands, {size:.0f} MB, {speed}: curls / ours", "  curl | tee | openssl sha3")
    for name, curl in zip(names, others, strict=False):
        both = f"{median(curl) / median(taken):.2f}: {seconds(curl)} / {seconds(taken)}"
        row(name, both, ">= 0.95" if bytes_per_s else "")


def _curl_zip(service: Service, product: Product, target: Path) -> float:
    """Return the seconds of curl writing the zip while md5sum reads along."""
    with client(service.addresses) as asking:
        url = asking.downloads.zip_url(product)
        about = {"TOKEN": asking.tokens.token(), "URL": url, "TARGET": str(target)}
        return _timed(_ZIP, about)


def _curl_files(
    service: Service, product: Product, files: list[SafeFile], folder: Path, command: str
) -> float:
    """Return the seconds of parallel curls."""
    folder.mkdir()
    with client(service.addresses) as asking:
        urls = [asking.downloads.file_url(product, file.path) for file in files]
        about = {"TOKEN": asking.tokens.token(), "CONNECTIONS": str(CONNECTIONS)}
        listed = [f"{url} {folder / str(number)}" for number, url in enumerate(urls)]
        return _timed(command, about, "\n".join(listed))


def _timed(command: str, about: dict[str, str], given: str = "") -> float:
    began = time.perf_counter()
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, **about},
        input=given,
        text=True,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def _largest(service: Service, product: Product) -> list[SafeFile]:
    with client(service.addresses) as asking:
        listed = asking.downloads.manifest(product)
    images = [file for file in listed if any(fnmatchcase(file.path, one) for one in _IMAGES)]
    chosen = sorted(images, key=lambda file: -(file.size_bytes or 0))[:_BANDS]
    return [file for file in images if file in chosen]


def _last_image(path: Path) -> str:
    """Return a pattern for the last image in a zip."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jp2")]
    return f"*/{PurePosixPath(names[-1]).name}"


def _extraction(path: Path) -> None:
    began = time.perf_counter()
    with open_zip(path) as archive:
        (files,) = select_files(archive.files, ["SCL_20m"], "S2MSI2A").values()
        archive.save(files[0], path.with_name("scl.jp2"))
    row("SCL_20m out of the stored zip", f"{time.perf_counter() - began:.3f} s", "< 0.5 s")
