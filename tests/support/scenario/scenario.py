"""A simulated time: what the catalogue lists at any instant, and what a right archive holds then.

Pure. Shares no code with the library, which is to come to the same by names and footprints.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from tests.support.scenario.upstream import Offer, Plan, Upstream, end_of

TILES: Final = ("36TXL", "36TWL", "36TYL")
_OUTAGE: Final = timedelta(hours=36)
_OUTAGE_BEGINS: Final = time(20, tzinfo=UTC)
_AIRFLOW_OUT_DAYS: Final = 3


class Scenario:
    """A plan carried out from the first day on.

    ``offers`` are all products there will ever be. The service is silent within ``outage``, nothing
    runs on the days of ``airflow_out``, and ``damages`` happen to what was delivered.
    """

    def __init__(
        self, first: date, plan: Plan, *, seed: int = 1, tiles: Sequence[str] = TILES
    ) -> None:
        self.plan, self.tiles = plan, tiles
        self.days = [first + timedelta(days=number) for number in range(plan.days)]
        upstream = Upstream(plan, self.days, tiles, seed)
        self.offers = tuple(upstream.offers())
        self.damages = tuple(upstream.damages())
        self.outage = None if plan.outage is None else _outage(self.days[plan.outage])
        out = plan.days if plan.airflow_out is None else plan.airflow_out
        self.airflow_out = frozenset(self.days[out : out + _AIRFLOW_OUT_DAYS])

    def of_day(self, day: date) -> list[Offer]:
        """What is sensed on a day, in all its editions."""
        return [offer for offer in self.offers if offer.sensed.date() == day]

    def withdrawals(self, after: datetime, until: datetime) -> list[Offer]:
        """What goes within ``(after, until]``, in order of going."""
        gone = [
            offer for offer in self.offers if offer.withdrawn and after < offer.withdrawn <= until
        ]
        return sorted(gone, key=lambda offer: offer.withdrawn)

    def is_silent(self, now: datetime) -> bool:
        """Whether the service answers nothing but errors."""
        return self.outage is not None and self.outage[0] <= now < self.outage[1]

    def catalogue_at(self, now: datetime) -> set[str]:
        """Ids of all that is listed."""
        return {offer.id for offer in self.offers if offer.is_listed(now)}

    def expected_at(self, now: datetime) -> set[str]:
        """Names of all that belongs into an archive of the latest versions."""
        listed = [offer for offer in self.offers if offer.is_listed(now)]
        newest: dict[int, int] = {}
        for offer in listed:
            newest[offer.acquisition] = max(offer.edition, newest.get(offer.acquisition, 0))
        return {offer.name for offer in listed if offer.edition == newest[offer.acquisition]}

    def minimum(self, sizes: Mapping[str, int]) -> int:
        """The fewest bytes of a right archive: all ever expected at the end of a day, each once."""
        wanted = set().union(*(self.expected_at(end_of(day)) for day in self.days))
        return sum(sizes[name] for name in wanted)


def _outage(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, _OUTAGE_BEGINS)
    return start, start + _OUTAGE
