"""An emulator that holds what a visit looks for, and a visit to it."""

from datetime import datetime, timedelta
from typing import Final

from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.models.time_range import format_instant
from copernicus_dataspace_emulator import Emulator, make_product
from tests.live.visit import ADDRESSES, Visit

_ROWS: Final = 50
"""Of one day, so that pages of them follow one another."""


def visit_to(emulator: Emulator, now: datetime) -> Visit:
    """Return a visit to an emulator by its first user, with all keys there are."""
    facts = emulator.connection(**emulator.s3_keys)
    user = emulator.users[facts["login"]]
    return Visit(
        Endpoints.resolve(**{name: facts["extra"][name] for name in ADDRESSES}),
        facts["login"],
        facts["password"],
        now,
        user.totp_secret or "",
        (emulator.s3_access_key, emulator.s3_secret_key),
    )


def fill(emulator: Emulator, now: datetime) -> None:
    """Offer what a visit looks for: pages of recent products, one with bytes; one is deleted."""
    newest = (now - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    for number in range(_ROWS):
        sensed = format_instant(newest - timedelta(minutes=number))
        product = emulator.add(make_product(sensed=sensed, seed=number, content=number == 0))
    emulator.remove(product.id)
