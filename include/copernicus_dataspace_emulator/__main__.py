"""The emulator as a program: ``python -m copernicus_dataspace_emulator``.

Writes one line of JSON with its URLs once it is ready, and ends on SIGTERM or SIGINT.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import pyotp

from copernicus_dataspace_emulator import Emulator, Product, User
from copernicus_dataspace_emulator.command_line import FIRST_DAY, parser
from copernicus_dataspace_emulator.rehearsal import Rehearsal

_ACCESS_KEY: Final = "EMULATOR_S3_ACCESS_KEY"
_SECRET_KEY: Final = "EMULATOR_S3_SECRET_KEY"  # noqa: S105 - its name
_TOTP_SECRET: Final = "EMULATOR_TOTP_SECRET"  # noqa: S105 - its name


def emulator(arguments: argparse.Namespace, password: str) -> Emulator:
    """Return an emulator for the arguments, with its products; not started."""
    made = Emulator(
        now=arguments.now,
        clock_speed=arguments.clock_speed,
        folder=arguments.folder,
        token_lifetime_s=arguments.token_lifetime_s,
        max_connections=arguments.max_connections,
        late_release_s=arguments.late_release_s,
        ranges=arguments.ranges,
        legacy_errors=arguments.legacy_errors,
        quota_bytes=arguments.quota_gb * 1e9,
        single_use_refresh_tokens="tokens" not in arguments.reusable,
        single_use_codes="codes" not in arguments.reusable,
        latency_s=arguments.latency_s,
        bytes_per_s=arguments.bytes_per_s,
        users={arguments.user: User(password, _totp_secret(arguments))},
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
    for fault in arguments.fault:
        made.faults.add(fault)
    _offer(made, arguments)
    return made


def _totp_secret(arguments: argparse.Namespace) -> str | None:
    if not arguments.second_factor:
        return None
    return os.environ.get(_TOTP_SECRET) or pyotp.random_base32()


def _offer(made: Emulator, arguments: argparse.Namespace) -> None:
    deleted: Counter[date] = Counter()
    for recipe in _rehearsal(arguments).recipes(*_days(arguments)):
        product = made.add(replace(recipe, checksum=arguments.checksum))
        if arguments.prepare:
            product.prepare()
        day = recipe.sensed_at.date()
        if recipe.level == "L2A" and deleted[day] < arguments.delete:
            deleted[day] += 1
            _delete(made, product, timedelta(hours=arguments.delete_after_h))


def _delete(made: Emulator, product: Product, after: timedelta) -> None:
    made.remove(product.id, at=(product.facts.published + after).isoformat())


def _rehearsal(arguments: argparse.Namespace) -> Rehearsal:
    clear, cloudy, scale = arguments.products, arguments.cloudy, arguments.scale
    if arguments.tile:
        return Rehearsal.at(arguments.tile, clear=clear, cloudy=cloudy, scale=scale)
    return Rehearsal.over(arguments.area, clear=clear, cloudy=cloudy, scale=scale)


def _days(arguments: argparse.Namespace) -> tuple[date, date]:
    """Return first and last day with products; an empty range if only zips are offered."""
    if arguments.first or arguments.last:
        first = arguments.first or arguments.last
        last = arguments.last or first
        if last < first:
            raise ValueError(f"--to {last} lies before --from {first}; swap them")
        return first, last
    if arguments.day is None and arguments.folder is not None:
        return date.max, date.min
    day = arguments.day or FIRST_DAY
    return day, day


def main() -> int:
    """Run until a signal."""
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
            ready["password"] = password  # generated above, so it must be printed
        if not os.environ.get(_SECRET_KEY):
            ready["s3_secret_key"] = running.s3_secret_key
        secret = running.users[arguments.user].totp_secret
        if secret and not os.environ.get(_TOTP_SECRET):
            ready["totp_secret"] = secret
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
