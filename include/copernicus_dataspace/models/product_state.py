"""States of a product in an archive, as stored in plans and reports."""

from __future__ import annotations

from enum import StrEnum


class ProductState(StrEnum):
    """What an inspection finds about a product."""

    PRESENT = "present"
    MISSING = "missing"
    LATE = "late"
    ABSENT = "absent"
    DAMAGED = "damaged"
    OFFLINE = "offline"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    ORPHANED = "orphaned"

    @property
    def needs_download(self) -> bool:
        """Whether a download repairs it."""
        return self in (self.MISSING, self.LATE, self.ABSENT, self.DAMAGED)

    @property
    def is_expected(self) -> bool:
        """Whether the product should be held; products in the other states should not."""
        return self.needs_download or self in (self.PRESENT, self.OFFLINE)


class StateAfterRepair(StrEnum):
    """What a product is after the repairs."""

    PRESENT = "present"
    MISSING = "missing"
    KEPT = "kept"
    GONE = "gone"


class RemovalPolicy(StrEnum):
    """What to do with products that should no longer be held."""

    REMOVE = "remove"
    QUARANTINE = "quarantine"
    KEEP = "keep"
