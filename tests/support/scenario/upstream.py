"""What may happen upstream: how much of it is planned, and whom it befalls.

The same plan and seed always give the same. A product is told from its successor by how it was made
here, never by its name or footprint.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final

from copernicus_dataspace_emulator import Recipe
from copernicus_dataspace_emulator.products.recipe import milliseconds

FLIPPED, CUT, DELETED = "flipped", "cut", "deleted"
_SCALE: Final = 0.0001
_PASS: Final = time(8, 36, 1, 24000, UTC)
_PASS_OF_C: Final = time(8, 46, 11, 24000, UTC)
_OLD, _NEW = "05.11", "05.12"
_OBSOLETE: Final = "Obsolete product"
_CAUSES: Final = ("Corrupted product", "Missing checksum", "Other")
_MOST_DAYS_LATE, _MOST_DAYS_STANDING = 20, 25
_ANEW_SEED: Final = 100_000
_SECOND_SEED: Final = 200_000


@dataclass(frozen=True, slots=True)
class Campaign:
    """A reprocessing of the products sensed within ``[first, stop)``; all are days of the plan.

    On the day ``again`` they appear anew, on the day ``gone`` the old ones are deleted.
    """

    first: int
    stop: int
    again: int
    gone: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens; days count from the first one, shares are of the acquisitions.

    In the last ``quiet_days`` products come in time, and nothing else happens.
    """

    days: int
    late: float = 0.0
    halved: float = 0.0
    withdrawn: float = 0.0
    damaged: int = 0
    campaign: Campaign | None = None
    outage: int | None = None
    airflow_out: int | None = None
    quiet_days: int = 3


_USUAL: Final = {"late": 0.02, "halved": 0.01, "withdrawn": 0.005}
_WEEK_ANEW: Final = Campaign(first=7, stop=14, again=18, gone=22)
_MONTH_ANEW: Final = Campaign(first=60, stop=90, again=135, gone=149)
MONTH: Final = Plan(30, **_USUAL, damaged=4, campaign=_WEEK_ANEW, outage=16, airflow_out=10)
YEAR: Final = Plan(365, **_USUAL, damaged=20, campaign=_MONTH_ANEW, outage=200, airflow_out=120)


@dataclass(frozen=True)
class Offer:
    """A product upstream: an acquisition's ``edition``, when it appears and when it goes."""

    recipe: Recipe
    acquisition: int
    edition: int = 0
    withdrawn: datetime | None = None
    cause: str = ""

    @cached_property
    def id(self) -> str:
        return self.recipe.id

    @cached_property
    def name(self) -> str:
        return self.recipe.name.removesuffix(".SAFE")

    @cached_property
    def sensed(self) -> datetime:
        return self.recipe.sensed_at

    @cached_property
    def published(self) -> datetime:
        return self.recipe.published_at

    @property
    def is_late(self) -> bool:
        """Whether it appears only after the end of the day it was sensed on."""
        return self.published > end_of(self.sensed.date())

    def is_listed(self, now: datetime) -> bool:
        return self.published <= now and (self.withdrawn is None or now < self.withdrawn)


@dataclass(frozen=True, slots=True)
class Damage:
    """A delivered file spoilt on disk; ``pick`` says which one, as a fraction of those there."""

    day: date
    how: str
    pick: float


Fate = Callable[[Offer], list[Offer]]


class Upstream:
    """Carries out a plan over days and tiles."""

    def __init__(self, plan: Plan, days: Sequence[date], tiles: Sequence[str], seed: int) -> None:
        self.plan, self.days, self.tiles = plan, days, tiles
        self._random = random.Random(seed)  # noqa: S311 - is to be the same every time

    def offers(self) -> list[Offer]:
        """All products there will ever be."""
        plain = self._passes()
        fates = self._fates(plain)
        offers: list[Offer] = []
        for offer in plain:
            made = fates.get(offer.acquisition, self._in_time)(offer)
            offers += self._anew(made) if self._is_anew(offer) else made
        return offers

    def _passes(self) -> list[Offer]:
        """One of A or B over every tile every day; of C every other day from the middle on."""
        recipes: list[Recipe] = []
        for number, day in enumerate(self.days):
            passes = [("AB"[number % 2], _PASS)]
            if number >= self.plan.days // 2 and number % 2 == 0:
                passes.append(("C", _PASS_OF_C))
            for platform, at in passes:
                sensed = milliseconds(datetime.combine(day, at))
                recipes += [self._recipe(name, sensed, platform) for name in self.tiles]
        return [Offer(replace(one, seed=number), number) for number, one in enumerate(recipes)]

    def _recipe(self, name: str, sensed: str, platform: str) -> Recipe:
        return Recipe(
            tile=name,
            sensed=sensed,
            platform=platform,
            baseline=_OLD,
            cloud_cover=round(self._random.uniform(0, 19), 2),
            scale=_SCALE,
        )

    def _fates(self, plain: list[Offer]) -> dict[int, Fate]:
        """Choose whom something happens to, by acquisition; nothing happens to one twice."""
        plan, fates = self.plan, {}
        for share, fate in (
            (plan.withdrawn, self._withdrawn),
            (plan.halved, self._halved),
            (plan.late, self._late),
        ):
            able = [offer for offer in plain if self._room_days(offer) > 1]
            if fate == self._withdrawn:  # nothing may take the place of what is withdrawn
                able = [offer for offer in able if not self._is_anew(offer)]
            free = [offer.acquisition for offer in able if offer.acquisition not in fates]
            fates |= dict.fromkeys(self._random.sample(free, math.ceil(share * len(plain))), fate)
        return fates

    def _in_time(self, offer: Offer) -> list[Offer]:
        return [_published(offer, offer.sensed + self._hours(3.5, 14))]

    def _late(self, offer: Offer) -> list[Offer]:
        (there,) = self._in_time(offer)
        return [_published(offer, there.published + self._some_days(offer, _MOST_DAYS_LATE))]

    def _withdrawn(self, offer: Offer) -> list[Offer]:
        (there,) = self._in_time(offer)
        stood = self._some_days(offer, _MOST_DAYS_STANDING) + self._hours(0, 1)
        cause = self._random.choice(_CAUSES)
        return [replace(there, withdrawn=there.published + stood, cause=cause)]

    def _halved(self, offer: Offer) -> list[Offer]:
        """Two products of complementary footprints; the second one may come a day later."""
        (there,) = self._in_time(offer)
        share = self._random.uniform
        west, east = halves(offer.recipe.place.footprint(), share(0.3, 0.7), share(0.3, 0.7))
        generated = offer.recipe.generated_at + timedelta(minutes=7)
        second = replace(
            offer.recipe,
            footprint=east,
            generation=milliseconds(generated),
            seed=offer.recipe.seed + _SECOND_SEED,
        )
        delay = timedelta(minutes=9, days=self._random.randint(0, 1))
        return [
            replace(there, recipe=replace(there.recipe, footprint=west)),
            _published(replace(offer, recipe=second), there.published + delay),
        ]

    def _anew(self, old: list[Offer]) -> list[Offer]:
        """What a campaign makes of an acquisition: one whole product, and the old ones go."""
        campaign, recipe = self.plan.campaign, old[0].recipe
        published = self._at(campaign.again) + self._hours(2, 20)
        new = replace(
            recipe,
            footprint=None,
            baseline=_NEW,
            generation=milliseconds(published - timedelta(hours=1)),
            seed=recipe.seed + _ANEW_SEED,
        )
        gone = self._at(campaign.gone) + self._hours(2, 20)
        return [
            *(replace(offer, withdrawn=gone, cause=_OBSOLETE) for offer in old),
            _published(replace(old[0], recipe=new, edition=1), published),
        ]

    def damages(self) -> list[Damage]:
        """Half of them flipped, the others cut or deleted, on days when something stands."""
        number = self.plan.damaged
        days = self._random.sample(range(2, self.plan.days - self.plan.quiet_days), number)
        how = [FLIPPED] * (number - number // 2) + [CUT, DELETED] * (number // 4 + 1)
        kinds = self._random.sample(how[:number], number)
        picks = [self._random.random() for _ in days]
        return [
            Damage(self.days[day], *rest)
            for day, *rest in zip(sorted(days), kinds, picks, strict=True)
        ]

    def _is_anew(self, offer: Offer) -> bool:
        campaign, number = self.plan.campaign, self._number(offer)
        return campaign is not None and campaign.first <= number < campaign.stop

    def _room_days(self, offer: Offer) -> int:
        """Days from sensing until all about an offer must have happened."""
        last = self.plan.days - self.plan.quiet_days
        if self._is_anew(offer):
            last = min(last, self.plan.campaign.again)
        return last - self._number(offer)

    def _some_days(self, offer: Offer, most: int) -> timedelta:
        return timedelta(days=self._random.randint(1, min(most, self._room_days(offer) - 1)))

    def _hours(self, least: float, most: float) -> timedelta:
        return timedelta(seconds=round(3600 * self._random.uniform(least, most)))

    def _number(self, offer: Offer) -> int:
        return (offer.sensed.date() - self.days[0]).days

    def _at(self, number: int) -> datetime:
        return datetime.combine(self.days[number], time(tzinfo=UTC))


def end_of(day: date) -> datetime:
    """The first instant after a UTC day."""
    return datetime.combine(day + timedelta(days=1), time(tzinfo=UTC))


def halves(footprint: dict[str, Any], above: float, below: float) -> tuple[dict, dict]:
    """Cut a tile in two, from a share of its upper edge to one of its lower edge."""
    ((left_top, right_top, right_bottom, left_bottom, _),) = footprint["coordinates"]
    up = _between(left_top, right_top, above)
    down = _between(left_bottom, right_bottom, below)
    west = [left_top, up, down, left_bottom, left_top]
    east = [up, right_top, right_bottom, down, up]
    return tuple({"type": "Polygon", "coordinates": [ring]} for ring in (west, east))


def _between(one: list[float], other: list[float], share: float) -> list[float]:
    return [a + (b - a) * share for a, b in zip(one, other, strict=True)]


def _published(offer: Offer, at: datetime) -> Offer:
    return replace(offer, recipe=replace(offer.recipe, published=milliseconds(at)))
