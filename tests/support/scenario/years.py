"""Lets a scenario happen to an archive: the catalogue moves, files break, a chain runs daily."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from copernicus_dataspace.errors import DataSpaceError
from copernicus_dataspace_emulator import Emulator, Fault, Product
from copernicus_dataspace_emulator.products.recipe import milliseconds
from tests.airflow_copernicus.conftest import Ran, make_context, scl_of
from tests.support.scenario.scenario import Scenario
from tests.support.scenario.upstream import CUT, DELETED, Damage, end_of

Reconcile = Callable[[date], None]
_SERVICES: Final = ("identity", "catalogue", "download", "stac", "s3")
_ITEM: Final = "item.json"
_LEDGER: Final = ("catalog.json", "collection.json")
_DOWN: Final = ("child", "item")
_OBSOLETE: Final = "Obsolete product"


@dataclass
class Year:
    """An archive in the making; ``ingest`` is the fixture, ``output`` the folder it delivers to.

    ``errors`` are those that left a task, with the day they did; ``damaged`` are the spoilt files.
    """

    emulator: Emulator
    scenario: Scenario
    ingest: Callable[..., Ran]
    output: Path
    errors: list[tuple[date, DataSpaceError]] = field(default_factory=list)
    damaged: list[tuple[Damage, Path]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.products = {
            offer.id: self.emulator.add(offer.recipe) for offer in self.scenario.offers
        }
        self.now = end_of(self.scenario.days[0] - timedelta(days=1))

    @property
    def day(self) -> date:
        """The day that has just ended."""
        return (self.now - timedelta(days=1)).date()

    @property
    def params(self) -> dict[str, Any]:
        """What the ingest asks for."""
        return {"tiles": [f"T{name}" for name in self.scenario.tiles], "bands": ["SCL_20m"]}

    def run(self, reconcile: Reconcile | None = None) -> None:
        """Let all days pass."""
        for day in self.scenario.days:
            self.step(day, reconcile)

    def step(self, day: date, reconcile: Reconcile | None = None) -> None:
        """Let a day pass; at its end its chain runs, and then ``reconcile``."""
        self._move_to(end_of(day))
        for damage in self.scenario.damages:
            if damage.day == day:
                self._spoil(damage)
        if day in self.scenario.airflow_out:
            return
        self._chain(make_context(str(day), run_id=f"scheduled__{day}", run_after=self.now))
        if reconcile is not None:
            try:
                reconcile(day)
            except DataSpaceError as error:
                self._note(error)

    def repair(self, conf: dict[str, Any], run_id: str) -> Ran | None:
        """Run the ingest by hand, now; None where its search failed."""
        context = make_context(
            str(self.day),
            run_id=run_id,
            run_type="operator_triggered",
            conf=conf,
            run_after=self.now,
        )
        return self._chain(context, **conf)

    def assert_true(self) -> dict[str, Any]:
        """Compare the archive with what is expected now, byte for byte; return what it has cost."""
        truth = self._truth()
        standing = {path.relative_to(self.output / "bands"): path for path in self._standing()}
        missing = sorted(str(path) for path in truth.keys() - standing.keys())
        surplus = sorted(str(path) for path in standing.keys() - truth.keys())
        assert not missing, f"missing: {missing}"
        assert not surplus, f"not expected: {surplus}"
        wrong = [path.name for path, right in truth.items() if not right(standing[path])]
        assert not wrong, f"wrong: {wrong}"
        return self.cost()

    def assert_linked(self) -> None:
        """See that relative links lead from one root to every item, and back up again."""
        items = {path for path in self._bands("*") if path.name == _ITEM}
        (root,) = {place for item in items for place in _led_to(item, "root")}
        reached, waiting = set(), [root]
        while waiting:
            above = waiting.pop()
            for below in (place for rel in _DOWN for place in _led_to(above, rel)):
                assert below not in reached, f"{below} is linked twice"
                assert _led_to(below, "parent") == [above]
                assert _led_to(below, "root") == [root]
                reached.add(below)
                waiting.append(below)
        assert {path for path in reached if path.name == _ITEM} == items

    def cost(self) -> dict[str, Any]:
        """Requests and bytes of bodies so far, by service; the fewest bytes of a right archive."""
        requests: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        for record in self.emulator.requests:
            requests[record.service] += 1
            sent[record.service] += record.bytes_sent
        products = self.products.values()
        sizes = {one.name.removesuffix(".SAFE"): one.files[scl_of(one)].size for one in products}
        return {
            "requests": dict(requests),
            "bytes_sent": dict(sent),
            "minimum_bytes": self.scenario.minimum(sizes),
        }

    def _move_to(self, now: datetime) -> None:
        for offer in self.scenario.withdrawals(self.now, now):
            self.emulator.now = milliseconds(offer.withdrawn)
            self.emulator.remove(offer.id, offer.cause)
        self.now, self.emulator.now = now, milliseconds(now)
        self.emulator.faults.clear()
        if self.scenario.is_silent(now):
            for service in _SERVICES:
                self.emulator.faults.add(Fault(service, status=503, times=None))

    def _chain(self, context: dict[str, Any], **changes: Any) -> Ran | None:
        try:
            ran = self.ingest(context, **{**self.params, **changes})
        except DataSpaceError as error:
            self._note(error)
            return None
        for error in ran.errors:
            self._note(error)
        return ran

    def _note(self, error: DataSpaceError) -> None:
        self.errors.append((self.day, error))

    def _spoil(self, damage: Damage) -> None:
        """Spoil a file that is whole; its time of change stays, as on a disk that rots."""
        spoilt = {path for _, path in self.damaged}
        whole = [path for path in sorted(self._bands("*.jp2")) if path not in spoilt]
        path = whole[int(damage.pick * len(whole))]
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle] ^= 1
        if damage.how == DELETED:
            path.unlink()
        else:
            path.write_bytes(content[:middle] if damage.how == CUT else content)
            os.utime(path, ns=times)
        self.damaged.append((damage, path))

    def _truth(self) -> dict[Path, Callable[[Path], bool]]:
        """The files that belong below bands/ now, and what tells that each is right."""
        expected = self.scenario.expected_at(self.now)
        truth: dict[Path, Callable[[Path], bool]] = {}
        for offer in self.scenario.offers:
            if offer.name in expected:
                product = self.products[offer.id]
                path = scl_of(product)
                folder = Path(f"S2MSI2A/{offer.sensed:%Y/%m/%d}/{offer.name}")
                truth[folder / Path(path).name] = partial(_is_file, product, path)
                truth[folder / _ITEM] = partial(_is_item, product, path)
        return truth

    def _standing(self) -> list[Path]:
        return [path for path in self._bands("*") if path.name not in _LEDGER]

    def _bands(self, pattern: str) -> list[Path]:
        return [path for path in (self.output / "bands").rglob(pattern) if path.is_file()]


def exceptions(year: Year, nights: Iterable[date]) -> set[tuple[str, str]]:
    """What the reports of nights must name: product and state, of all that any could see."""
    scenario, nights = year.scenario, [*nights]
    seen = {night: scenario.expected_at(end_of(night)) for night in nights}
    found = {
        (offer.name, "late")
        for offer in scenario.offers
        if offer.is_late and any(offer.name in names for names in seen.values())
    }
    for night, after in itertools.pairwise(nights):
        gone = seen[night] - seen[after]
        causes = {one.name: one.cause for one in scenario.withdrawals(end_of(night), end_of(after))}
        withdrawn = {name for name in gone if causes.get(name, _OBSOLETE) != _OBSOLETE}
        found |= {(name, "withdrawn") for name in withdrawn}
        found |= {(name, "superseded") for name in gone - withdrawn}
    for damage, path in year.damaged:
        found.add((path.parent.name, "absent" if damage.how == DELETED else "damaged"))
    return found


def _is_file(product: Product, path: str, standing: Path) -> bool:
    return standing.read_bytes() == product.read(path)


def _is_item(product: Product, path: str, standing: Path) -> bool:
    item = json.loads(standing.read_text())
    (asset,) = item["assets"].values()
    promised = (item["properties"]["dataspace:product_id"], asset["href"], asset["file:size"])
    return promised == (product.id, f"./{Path(path).name}", product.files[path].size)


def _led_to(document: Path, rel: str) -> list[Path]:
    """The documents that a STAC document's links of a kind lead to."""
    links = json.loads(document.read_text())["links"]
    hrefs = [link["href"] for link in links if link["rel"] == rel]
    assert [href for href in hrefs if "://" in href or href.startswith("/")] == []
    return [Path(os.path.normpath(document.parent / href)) for href in hrefs]
