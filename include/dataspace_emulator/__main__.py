"""The stand-in as a program: ``python -m dataspace_emulator``.

Writes one line of JSON with its addresses once it answers, and ends on SIGTERM or SIGINT.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import threading
import zipfile
from datetime import date
from pathlib import Path
from typing import Final

from dataspace_emulator import Emulator, User
from dataspace_emulator.download import RANGES
from dataspace_emulator.rehearsal import Rehearsal
from dataspace_emulator.tile import tile

_LAKE: Final = (34.489, 40.621, 34.513, 40.640)
_DAY: Final = date(2024, 8, 1)
_ACCESS_KEY: Final = "EMULATOR_S3_ACCESS_KEY"
_SECRET_KEY: Final = "EMULATOR_S3_SECRET_KEY"  # noqa: S105 - its name


def _area(text: str) -> tuple[float, float, float, float]:
    west, south, east, north = (float(number) for number in text.split(","))
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):  # noqa: PLR2004 - degrees
        raise ValueError(text)
    return west, south, east, north


def _tile(text: str) -> str:
    return tile(text).name


def parser() -> argparse.ArgumentParser:
    """The program's options."""
    options = argparse.ArgumentParser(
        prog="python -m dataspace_emulator", description="A local Copernicus Data Space."
    )
    add = options.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 in a container")
    add("--public-host", help="host name that clients are told, if it is another")
    add("--identity-port", type=int, default=9443)
    add("--catalogue-port", type=int, default=9444)
    add("--download-port", type=int, default=9445)
    add("--stac-port", type=int, default=9446)
    add("--s3-port", type=int, default=9447)
    add("--user", default=os.environ.get("EMULATOR_USER", "user@example.org"))
    add("--password", default=os.environ.get("EMULATOR_PASSWORD"), help="made up if not given")
    add("--now", help="the catalogue's present as an ISO time; default: the real clock")
    add("--folder", type=Path, help="real product zips to offer as they are")
    add("--day", type=date.fromisoformat, help=f"one day with products; default: {_DAY}")
    add("--from", dest="first", type=date.fromisoformat, help="first of many days")
    add("--to", dest="last", type=date.fromisoformat, help="last of many days, included")
    add("--products", type=int, default=5, help="clear products a day")
    add("--cloudy", type=int, default=1, help="cloudy products a day, beside the clear ones")
    place = options.add_mutually_exclusive_group()
    place.add_argument("--area", type=_area, default=_LAKE, help="west,south,east,north in degrees")
    place.add_argument("--tile", type=_tile, action="append", help="MGRS tile; may be repeated")
    add("--scale", type=float, default=0.01, help="1 makes products of their real size, 1 GB")
    add("--prepare", action="store_true", help="make every product before answering")
    add("--max-connections", type=int, default=4, help="concurrent transfers of an account")
    add("--late-release-s", type=float, default=0.0, help="an ended transfer still counts")
    add("--ranges", choices=sorted(RANGES), default="ignored", help="what a Range request gets")
    add("--token-lifetime-s", type=float, default=600, help="default: 600")
    add("--latency-s", type=float, default=0.0, help="wait before every answer")
    add("--bytes-per-s", type=float, help="speed of a connection; default: unlimited")
    return options


def emulator(arguments: argparse.Namespace, password: str) -> Emulator:
    """The stand-in the arguments ask for, holding its products; not yet answering."""
    made = Emulator(
        now=arguments.now,
        folder=arguments.folder,
        token_lifetime_s=arguments.token_lifetime_s,
        max_connections=arguments.max_connections,
        late_release_s=arguments.late_release_s,
        ranges=arguments.ranges,
        latency_s=arguments.latency_s,
        bytes_per_s=arguments.bytes_per_s,
        users={arguments.user: User(password)},
        host=arguments.host,
        public_host=arguments.public_host,
        ports=(
            arguments.identity_port,
            arguments.catalogue_port,
            arguments.download_port,
            arguments.stac_port,
            arguments.s3_port,
        ),
        s3_access_key=os.environ.get(_ACCESS_KEY) or secrets.token_hex(16),
        s3_secret_key=os.environ.get(_SECRET_KEY) or secrets.token_urlsafe(30),
    )
    for recipe in _rehearsal(arguments).recipes(*_days(arguments)):
        product = made.add(recipe)
        if arguments.prepare:
            product.prepare()
    return made


def _rehearsal(arguments: argparse.Namespace) -> Rehearsal:
    clear, cloudy, scale = arguments.products, arguments.cloudy, arguments.scale
    if arguments.tile:
        return Rehearsal.at(arguments.tile, clear=clear, cloudy=cloudy, scale=scale)
    return Rehearsal.over(arguments.area, clear=clear, cloudy=cloudy, scale=scale)


def _days(arguments: argparse.Namespace) -> tuple[date, date]:
    """First and last day with products; a range that is empty where only zips are offered."""
    if arguments.first or arguments.last:
        first = arguments.first or arguments.last
        last = arguments.last or first
        if last < first:
            raise ValueError(f"--to {last} lies before --from {first}; swap them")
        return first, last
    if arguments.day is None and arguments.folder is not None:
        return date.max, date.min
    day = arguments.day or _DAY
    return day, day


def main() -> int:
    """Run until told to stop."""
    options = parser()
    arguments = options.parse_args()
    password = arguments.password or secrets.token_urlsafe(12)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        prepared = emulator(arguments, password)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        options.error(f"cannot start: {error}")
    with prepared as running:
        ready = {
            "identity_url": running.identity_url,
            "catalogue_url": running.catalogue_url,
            "download_url": running.download_url,
            "stac_url": running.stac_url,
            "s3_endpoint_url": running.s3_endpoint_url,
            "login": arguments.user,
            "s3_access_key": running.s3_access_key,
        }
        if not arguments.password:
            ready["password"] = password  # made up a moment ago: nobody else can know it
        if not os.environ.get(_SECRET_KEY):
            ready["s3_secret_key"] = running.s3_secret_key
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
