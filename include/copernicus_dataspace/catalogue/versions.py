"""Chooses between several products of one acquisition.

An acquisition is one tile of one datatake of one platform, at one level. It is reprocessed with
later baselines, and may have two parts if it was received by two stations.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.geometry.footprint import covered

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from datetime import datetime

    from copernicus_dataspace.models.product import Product

LATEST: Final = "latest"
ALL: Final = "all"
VERSIONS: Final = (LATEST, ALL)

_SLIVER: Final = 0.01
"""Fraction of a product's area that its replacement need not cover.

Reprocessing moves edges by less; two overlapping parts of a tile differ by more.
"""
_ROUNDING: Final = 1e-9

_LISTED_TWICE: Final = "listed twice"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A listed product that is not wanted.

    Attributes:
        product: The product.
        instead: The wanted product that replaces it.
        reason: Short explanation.
    """

    product: Product
    instead: Product
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return both names, the product's id and the reason."""
        return {
            "name": self.product.stem,
            "id": self.product.id,
            "instead": self.instead.stem,
            "reason": self.reason,
        }


def check_versions(versions: str) -> None:
    """Refuse values other than `VERSIONS`.

    Raises:
        ConfigurationError: It is another value.
    """
    if versions not in VERSIONS:
        message = f"versions {versions!r} is unknown; write {' or '.join(VERSIONS)}."
        raise ConfigurationError(message)


def choose(products: Sequence[Product], versions: str) -> tuple[list[Product], list[LeftOut]]:
    """Return the wanted products and the others, both in the given order.

    Of several with the same name, the preference is: online, size and checksum listed, latest
    publication. With ``latest``, a product is left out if preferred products of its acquisition
    cover it except for a sliver. The preference is: regular baseline before 99.xx, listed with a
    size, higher baseline, later discriminator. An offline product never replaces an online one.

    Args:
        products: With unique ids.
        versions: ``latest`` or ``all``.

    Raises:
        ConfigurationError: `versions` is neither.
    """
    check_versions(versions)
    named = {product.stem: product for product in sorted(products, key=preference)}
    replaced = _replaced(named.values()) if versions == LATEST else {}
    kept: list[Product] = []
    left_out: list[LeftOut] = []
    for product in products:
        best = named[product.stem]
        if product.stem in replaced:
            left_out.append(replace(replaced[product.stem], product=product))
        elif best is product:
            kept.append(product)
        else:
            left_out.append(LeftOut(product, best, _LISTED_TWICE))
    return kept, left_out


def successors(older: Product, newer: Iterable[Product]) -> tuple[Product, ...]:
    """Return the products that replace another, the one with the largest overlap first.

    They belong to its acquisition and together cover it except for a sliver. Empty if they do not,
    or if a footprint is unusable. Products with names of an older convention, whose acquisition is
    unknown, neither replace others nor are replaced.

    Args:
        older: The product to replace.
        newer: Candidates; see `is_newer`.
    """
    own = acquisition(older)
    others = [one for one in newer if own and acquisition(one) == own]
    shares = [(covered(older.footprint, [one.footprint]) or 0.0, one) for one in others]
    ranked = sorted(shares, key=lambda pair: pair[0], reverse=True)
    beside = tuple(one for share, one in ranked if share)
    together = covered(older.footprint, [one.footprint for one in beside]) if beside else None
    return beside if 1 - (together or 0.0) <= _SLIVER + _ROUNDING else ()


def is_newer(one: Product, other: Product) -> bool:
    """Tell whether a product is certainly newer than another of its acquisition."""
    name, older = one.parsed_name, other.parsed_name
    return name is not None and older is not None and name.version > older.version


def acquisition(product: Product) -> Hashable | None:
    """Return a key shared by all products of an acquisition; None if unknown."""
    name = product.parsed_name
    if name is None:
        return None
    return name.platform, name.datatake, name.tile, name.relative_orbit, name.level


def preference(product: Product) -> tuple[bool, bool, bool, bool, datetime, str]:
    """Sort key for products of the same name, the wanted one last."""
    published = product.published
    return (
        product.online,
        product.size_bytes is not None,
        product.checksum is not None,
        published is not None,
        published or product.sensed,
        product.id,
    )


def _replaced(products: Iterable[Product]) -> dict[str, LeftOut]:
    """Return the products that are replaced within their acquisition, by stem."""
    groups: defaultdict[Hashable, list[Product]] = defaultdict(list)
    for product in products:
        groups[acquisition(product) or product.stem].append(product)
    return {older.product.stem: older for group in groups.values() for older in _older(group)}


def _older(products: list[Product]) -> Iterator[LeftOut]:
    """Yield the replaced products of one acquisition."""
    kept: list[Product] = []
    for product in sorted(products, key=_rank, reverse=True):
        instead = successors(product, [one for one in kept if one.online or not product.online])
        if instead:
            yield LeftOut(product, instead[0], _reason(product, instead[0]))
        else:
            kept.append(product)


def _rank(product: Product) -> tuple[Any, ...]:
    """Sort key for products of one acquisition, the wanted one last."""
    name = product.parsed_name
    if name is None:
        return ()
    is_regular, *rest = name.version
    return is_regular, product.size_bytes is not None, *rest


def _reason(product: Product, instead: Product) -> str:
    own, other = product.parsed_name, instead.parsed_name
    if own is None or other is None or not is_newer(instead, product):
        return "listed without a size"
    if own.baseline == other.baseline:
        return f"earlier generation of baseline {own.baseline}"
    kind = "older" if own.is_regular == other.is_regular else "unofficial"
    return f"{kind} baseline {own.baseline}"
