"""Command-line options of the emulator."""

import argparse
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from copernicus_dataspace_emulator.download.service import RANGES
from copernicus_dataspace_emulator.faults.kinds import KINDS, Fault
from copernicus_dataspace_emulator.products.recipe import CHECKSUMS
from copernicus_dataspace_emulator.products.tile import tile

FIRST_DAY: Final = date(2024, 8, 1)
_LAKE: Final = (34.489, 40.621, 34.513, 40.640)
_ALWAYS: Final = "always"
_FAULT_VALUES: Final[dict[str, Callable[[str], Any]]] = {
    "status": int,
    "times": lambda text: None if text == _ALWAYS else int(text),
    "skip": int,
    "match": str,
    "retry_after": str,
    "at": float,
    "seconds": float,
    "bytes_per_s": float,
    "location": str,
}


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    options = argparse.ArgumentParser(
        prog="python -m copernicus_dataspace_emulator",
        description="A local Copernicus Data Space.",
        epilog=f"Kinds of faults: {', '.join(sorted(KINDS))}.",
    )
    _add_addresses(options.add_argument_group("addresses and account"))
    _add_products(options.add_argument_group("products"))
    _add_behaviour(options.add_argument_group("behaviour"))
    return options


def _add_addresses(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 in a container")
    add("--public-host", help="host name in URLs for clients; default: --host")
    add("--identity-port", type=int, default=9443)
    add("--catalogue-port", type=int, default=9444)
    add("--download-port", type=int, default=9445)
    add("--stac-port", type=int, default=9446)
    add("--s3-port", type=int, default=9447)
    add("--user", default=os.environ.get("EMULATOR_USER", "user@example.org"))
    add("--password", default=os.environ.get("EMULATOR_PASSWORD"), help="generated if not given")
    add(
        "--second-factor",
        action="store_true",
        help="require one-time codes; the secret is EMULATOR_TOTP_SECRET, or generated and printed",
    )
    add(
        "--reusable",
        choices=("tokens", "codes"),
        action="append",
        default=[],
        help="accept refresh tokens, or one-time codes, more than once; may be repeated",
    )


def _add_products(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--folder", type=Path, help="folder with real product zips to offer")
    add("--day", type=date.fromisoformat, help=f"one day with products; default: {FIRST_DAY}")
    add("--from", dest="first", type=date.fromisoformat, help="first of many days")
    add("--to", dest="last", type=date.fromisoformat, help="last of many days, included")
    add("--products", type=int, default=5, help="clear products per day")
    add("--cloudy", type=int, default=1, help="additional cloudy products per day")
    place = group.add_mutually_exclusive_group()
    place.add_argument("--area", type=_area, default=_LAKE, help="west,south,east,north in degrees")
    place.add_argument("--tile", type=_tile, action="append", help="MGRS tile; may be repeated")
    add("--scale", type=float, default=0.01, help="size of products; 1 is the real size of 1 GB")
    add("--prepare", action="store_true", help="generate all products before the start")
    add(
        "--checksum",
        choices=sorted(CHECKSUMS),
        default="full",
        help="checksums of zips in the catalogue; late: none in the first minute of a product",
    )
    add("--delete", type=int, default=0, help="number of L2A products per day to delete")
    add("--delete-after-h", type=float, default=0.0, help="hours from publication to deletion")


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--now", help="current time of the catalogue, as ISO 8601; default: the real clock")
    add(
        "--clock-speed",
        type=float,
        default=0.0,
        help="speed of the clock after --now, in seconds per second",
    )
    add(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="STATUS|SERVICE:KIND[,NAME=VALUE...]",
        help="HTTP status of the next three downloads, or e.g. "
        "download:status,status=503,times=3,match=SCL; may be repeated; times=always",
    )
    add("--max-connections", type=int, default=4, help="concurrent transfers of an account")
    add(
        "--late-release-s",
        type=float,
        default=0.0,
        help="seconds until the slot of an ended transfer is free",
    )
    add(
        "--quota-gb",
        type=float,
        default=12000,
        help="30-day quota; beyond it 1 connection of 1 MB/s",
    )
    add("--ranges", choices=sorted(RANGES), default="ignored", help="response to Range requests")
    add("--legacy-errors", action="store_true", help="error bodies of the download service of 2023")
    add("--token-lifetime-s", type=float, default=600, help="default: 600")
    add("--latency-s", type=float, default=0.0, help="delay of every response")
    add("--bytes-per-s", type=float, help="bandwidth of a connection; default: unlimited")


def _area(text: str) -> tuple[float, float, float, float]:
    west, south, east, north = (float(number) for number in text.split(","))
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):  # noqa: PLR2004 - degrees
        raise ValueError(text)
    return west, south, east, north


def _tile(text: str) -> str:
    return tile(text).name


def _fault(text: str) -> Fault:
    """Parse a fault such as ``download:status,status=503,times=3``, or its status alone."""
    if text.isdecimal():
        text = f"download:status,status={text},times=3"
    place, *pairs = text.split(",")
    service, _, kind = place.partition(":")
    try:
        given = {}
        for name, _, value in (pair.partition("=") for pair in pairs):
            given[name] = _FAULT_VALUES[name](value)
        return Fault(service, kind or "status", **given)
    except KeyError as error:
        known = ", ".join(_FAULT_VALUES)
        raise argparse.ArgumentTypeError(f"{error} is unknown; expected {known}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
