"""Knows which of several products of one acquisition are wanted; asks nobody.

An acquisition is what one platform saw of one tile in one datatake, at one level. It is processed
anew with later baselines, and may come in two halves where it was received by two stations.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dataspace.errors import ConfigurationError
from dataspace.footprint import covered

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from datetime import datetime

    from dataspace.product import Product

LATEST: Final = "latest"
ALL: Final = "all"
VERSIONS: Final = (LATEST, ALL)

_SAME_GROUND: Final = 0.8
"""Part of a footprint that newer ones must cover to take its place.

Halves of an acquisition share a rim of a few percent; reprocessing moves edges by less.
"""

_LISTED_TWICE: Final = "listed twice"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A product that is listed and not wanted.

    Attributes:
        product: The product.
        instead: The wanted one that takes its place.
        reason: Why, in a few words.
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
    """Refuse what is none of `VERSIONS`.

    Raises:
        ConfigurationError: It is not.
    """
    if versions not in VERSIONS:
        message = f"versions {versions!r} is unknown; write {' or '.join(VERSIONS)}."
        raise ConfigurationError(message)


def choose(products: Sequence[Product], versions: str) -> tuple[list[Product], list[LeftOut]]:
    """Return the wanted products and the others, both in the order given.

    Of several with one name, one that is online is wanted, of those the latest published. With
    ``latest``, of several of an acquisition the newest is, and each older one that shows ground
    which newer ones do not. Where a footprint cannot be used, the ground counts as the same.

    Args:
        products: No id twice.
        versions: ``latest`` or ``all``.

    Raises:
        ConfigurationError: `versions` is neither.
    """
    check_versions(versions)
    named = {product.stem: product for product in sorted(products, key=_preference)}
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


def successors(
    older: Product, newer: Iterable[Product], *, if_unknown: float = 1.0
) -> tuple[Product, ...]:
    """Return which newer products take the place of an older one, that with most of it first.

    They are of its acquisition and show its ground together, so that nothing is lost with it; none
    where they do not. Names of an older convention do not tell their acquisition: such a product
    neither replaces nor is replaced.

    Args:
        older: What may go.
        newer: What may take its place; that it is newer is the caller's knowledge.
        if_unknown: Which part of the older one's ground counts as shown where a footprint cannot
            be used: 1 where a product is only left out, 0 where it would be lost.
    """
    acquisition = _acquisition(older)
    own = [one for one in newer if acquisition and _acquisition(one) == acquisition]
    if not own or _covered(older, own, if_unknown) < _SAME_GROUND:
        return ()
    shares = {one.stem: _covered(older, [one], if_unknown) for one in own}
    beside = [one for one in own if shares[one.stem]]
    return tuple(sorted(beside, key=lambda one: shares[one.stem], reverse=True))


def _preference(product: Product) -> tuple[bool, bool, datetime, str]:
    published = product.published
    return product.online, published is not None, published or product.sensed, product.id


def _replaced(products: Iterable[Product]) -> dict[str, LeftOut]:
    """Return what is replaced within its acquisition, by product stem."""
    groups: defaultdict[Hashable, list[Product]] = defaultdict(list)
    for product in products:
        groups[_acquisition(product) or product.stem].append(product)
    return {older.product.stem: older for group in groups.values() for older in _older(group)}


def _older(acquisition: list[Product]) -> Iterator[LeftOut]:
    """Give what is replaced of one acquisition.

    Its names differ in baseline and discriminator only, in that order and in digits of fixed
    number: sorted as text they are sorted by age.
    """
    kept: list[Product] = []
    for product in sorted(acquisition, key=lambda one: one.stem, reverse=True):
        newer = successors(product, kept)
        if newer:
            yield LeftOut(product, newer[0], _reason(product, newer[0]))
        else:
            kept.append(product)


def _acquisition(product: Product) -> Hashable | None:
    name = product.parsed_name
    if name is None:
        return None
    return name.platform, name.datatake, name.tile, name.relative_orbit, name.level


def _covered(older: Product, newer: Sequence[Product], if_unknown: float) -> float:
    share = covered(older.footprint, [one.footprint for one in newer])
    return if_unknown if share is None else share


def _reason(older: Product, newer: Product) -> str:
    own, others = (one.parsed_name and one.parsed_name.baseline for one in (older, newer))
    return f"earlier generation of baseline {own}" if own == others else f"older baseline {own}"
