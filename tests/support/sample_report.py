"""A report of a year with gaps, as an audit of a small area would make it."""

import random
from datetime import UTC, date, datetime, timedelta

TILES = ("T36TWL", "T36TXL", "T36TYL")
ORBITS = {"T36TWL": (0, 2), "T36TXL": (0, 2, 3), "T36TYL": (3,)}
"""Days of a cycle of five on which a tile is seen."""
PERIODS = (7, 30, 365)


def year(last_day="2026-11-21", known_from="2025-12-20", **changes):
    """Return the report of an archive in which all that can happen has happened."""
    last, known = date.fromisoformat(last_day), date.fromisoformat(known_from)
    days = {}
    chance = random.Random(36)  # noqa: S311 - a picture, not a secret
    for ago in range(365):
        day = last - timedelta(days=ago)
        if day >= known:
            days[day.isoformat()] = _tiles(day, chance.random() if ago > 30 else 0)
    for ago in (48, 49):
        day = last - timedelta(days=ago)
        days[day.isoformat()] = _tiles(day, 1)
    days[(last - timedelta(days=9)).isoformat()]["T36TXL"] = _facts(1, 1, ["offline 1"])
    made = datetime(last.year, last.month, last.day, 3, 0, tzinfo=UTC) + timedelta(days=2)
    report = {
        "ingest": "sentinel2_daily",
        "area": "lake",
        "product_type": "S2MSI2A",
        "made": made.isoformat(),
        "dry_run": False,
        "first_day": (last - timedelta(days=29)).isoformat(),
        "last_day": last_day,
        "switched_off": False,
        "scrubbed_bytes": 2_500_000,
        "looked_at": 30,
        "requests": 4,
        "listed": 187,
        "counts": {
            "present": 176,
            "missing": 2,
            "late": 3,
            "offline": 1,
            "damaged": 1,
            "absent": 1,
            "superseded": 2,
            "withdrawn": 1,
        },
        "repaired": 7,
        "still_missing": 0,
        "offline": 1,
        "completeness": {str(n): _completeness(days, last, n) for n in PERIODS},
        "known_days": {str(n): sum(day >= _first(last, n) for day in days) for n in PERIODS},
        "not_counted": {str(n): _offline(days, last, n) for n in PERIODS},
        "freshness": {
            "7": {"median_h": 5.1, "p95_h": 11.4},
            "30": {"median_h": 5.4, "p95_h": 30.2},
            "365": {"median_h": 6.0, "p95_h": 52.7},
        },
        "days": days,
        "exceptions": exceptions(last),
        "notes": [],
    }
    return {**report, **changes}


def _first(last, number):
    return (last - timedelta(days=number - 1)).isoformat()


def _cells(days, last, number):
    return [cell for day in days if day >= _first(last, number) for cell in days[day].values()]


def _offline(days, last, number):
    return sum(cell["why"] == ["offline 1"] for cell in _cells(days, last, number))


def _completeness(days, last, number):
    cells = _cells(days, last, number)
    expected = sum(cell["expected"] for cell in cells) - _offline(days, last, number)
    return 100 * sum(cell["present"] for cell in cells) / expected


def _tiles(day, luck):
    seen = {t: 1 for t, orbits in ORBITS.items() if day.toordinal() % 5 in orbits}
    if luck > 0.99:
        return {tile: _facts(number, number, ["missing 1"]) for tile, number in seen.items()}
    if luck > 0.95 and seen:
        short = sorted(seen)[0]
        return {t: _facts(n, n if t == short else 0, ["damaged 1"]) for t, n in seen.items()}
    return {tile: _facts(number, 0, []) for tile, number in seen.items()}


def _facts(expected, missing, why):
    return {
        "expected": expected,
        "present": expected - missing,
        "missing": missing,
        "why": why if missing else [],
    }


def exceptions(last):
    """Return one of each kind."""
    rows = [
        (2, "T36TXL", "late", "published {} 07:12 UTC, after the day's run", "fetched", "present"),
        (2, "T36TYL", "late", "published {} 07:12 UTC, after the day's run", "fetched", "present"),
        (5, "T36TWL", "missing", "published {} 14:02 UTC, in time", "fetched", "present"),
        (7, "T36TXL", "damaged", "SCL_20m: 3,102,944 bytes, item.json says 3,203,117", "fetched",
         "present"),
        (9, "T36TXL", "offline", "the Data Space has it offline", "reported only", "missing"),
        (12, "T36TYL", "absent", "item.json stands, SCL_20m does not", "fetched", "present"),
        (17, "T36TXL", "superseded", "N0511 is older than N0512, published {}",
         "replaced by S2B_MSIL2A_20261104T083601_N0512_R064_T36TXL_20261119T101010", "gone"),
        (24, "T36TWL", "withdrawn", "no longer listed, among the deleted since {}",
         "moved to quarantine/2026-11-23", "gone"),
    ]  # fmt: skip
    return [_exception(last - timedelta(days=ago), *row) for ago, *row in rows]


def _exception(day, tile, state, why, action, now):
    name = f"S2A_MSIL2A_{day:%Y%m%d}T083601_N0511_R064_{tile}_{day:%Y%m%d}T124005.SAFE"
    after = day + timedelta(days=2)
    return {
        "day": day.isoformat(),
        "tile": tile,
        "name": name,
        "id": "0d6b1a0c-7a5e-4f8e-9a56-1f1d2c3b4a59",
        "state": state,
        "why": why.format(after),
        "action": action,
        "now": now,
    }
