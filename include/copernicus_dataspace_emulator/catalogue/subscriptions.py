"""Subscriptions of the catalogue: queues of product events.

Queues are read and acknowledged by their owner (PULL); PUSH is refused. The responses to exceeded
limits and invalid bodies are undocumented and guessed.
"""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from copernicus_dataspace_emulator.catalogue.filters import parse_filter
from copernicus_dataspace_emulator.catalogue.product_json import date_text, entity
from copernicus_dataspace_emulator.catalogue.wkt import RefusedError
from copernicus_dataspace_emulator.holdings.rows import Row
from copernicus_dataspace_emulator.holdings.stock import Event, Stock

_EVENTS: Final = frozenset({"created", "modified", "deleted"})
_STATES: Final = frozenset({"running", "paused", "cancelled"})
_MOST: Final = 10
_MOST_RUNNING: Final = 1
_MOST_QUEUED: Final = 100_000
_FULL_FOR: Final = timedelta(days=3)
_EXPANDED: Final = ("Attributes", "Assets", "Locations")
_CONTEXT: Final = "$metadata#Products(Attributes(),Assets(),Locations())/$entity"

Document = dict[str, Any]


@dataclass(slots=True)
class Subscription:
    """A subscription: account, events, filter, and unacknowledged notifications."""

    id: str
    owner: str
    body: Document
    test: Callable[[Row], bool]
    made: datetime
    seen: datetime
    queue: list[tuple[str, Event]] = field(default_factory=list)
    count: int = 0

    @property
    def events(self) -> list[str]:
        """Return the subscribed kinds of events."""
        return list(self.body["SubscriptionEvent"])

    def collect(self, events: Iterator[Event], now: datetime) -> None:
        """Queue new events; drops the oldest beyond the maximum."""
        if self.body["Status"] == "running":
            for event in events:
                if self.seen < event.moment <= now and event.kind in self.events:
                    self._add(event)
        self.seen = now
        del self.queue[:-_MOST_QUEUED]

    def _add(self, event: Event) -> None:
        if self.test(event.row):
            number = f"{event.moment.timestamp():.0f}-{self.count}:{self.id}"
            self.count += 1
            self.queue.append((base64.b64encode(number.encode()).decode(), event))

    def shown(self, now: datetime) -> Document:
        """Return the subscription as the service's JSON."""
        return {
            "@odata.context": "$metadata#Subscriptions/$entity",
            "Id": self.id,
            **self.body,
            "SubmissionDate": date_text(self.made, now),
        }


@dataclass(slots=True)
class Subscriptions:
    """All subscriptions, of every account."""

    stock: Stock
    clock: Callable[[], datetime]
    url: Callable[[], str]
    _all: dict[str, Subscription] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, owner: str, text: bytes) -> Document:
        """Create a subscription.

        Raises:
            RefusedError: The body is invalid, or the account has too many subscriptions.
        """
        body, now = _body(text), self.clock()
        test = parse_filter(body["FilterParam"]).test if body["FilterParam"] else lambda _: True
        with self._lock:
            _refuse_more(self._of(owner), body["Status"])
            made = Subscription(str(uuid.uuid4()), owner, body, test, now, now)
            self._all[made.id] = made
        return made.shown(now)

    def all_of(self, owner: str) -> Document:
        """Return all subscriptions of an account."""
        now = self.clock()
        return {
            "@odata.context": "$metadata#Subscriptions",
            "value": [one.shown(now) for one in self._of(owner)],
        }

    def change(self, owner: str, number: str, text: bytes) -> Document:
        """Change the state of a subscription, or cancel it.

        Raises:
            LookupError: It does not exist.
            RefusedError: The state is unknown, or another subscription is running.
        """
        state = _json(text).get("Status")
        with self._lock:
            found = self._find(owner, number)
            if state not in _STATES:
                raise RefusedError(400, "Invalid value")
            _refuse_more([one for one in self._of(owner) if one is not found], state)
            found.body["Status"] = state
            if state == "cancelled":
                self._all.pop(number)
        return found.shown(self.clock())

    def read(self, owner: str, number: str, top: int) -> list[Document]:
        """Return the first notifications of a queue without removing them.

        Raises:
            LookupError: There is no such subscription.
        """
        found, now = self._find(owner, number), self.clock()
        with self._lock:
            found.collect(self._happened(found), now)
            return [self._notification(found, ack, event, now) for ack, event in found.queue[:top]]

    def acknowledge(self, owner: str, number: str, ack: str) -> Document:
        """Acknowledge a notification and all before it.

        Raises:
            LookupError: There is no such subscription, or notification.
        """
        found = self._find(owner, number)
        with self._lock:
            place = next((n for n, (one, _) in enumerate(found.queue) if one == ack), None)
            if place is None:
                raise LookupError(f"Notification with AckId {ack}")
            del found.queue[: place + 1]
            return {
                "@odata.context": "$metadata#Notification/$entity",
                "AckMessagesNum": place + 1,
                "CurrentQueueLength": len(found.queue),
                "MaxQueueLength": _MOST_QUEUED,
            }

    def _of(self, owner: str) -> list[Subscription]:
        return [one for one in self._all.values() if one.owner == owner]

    def _find(self, owner: str, number: str) -> Subscription:
        found = self._all.get(number)
        if found is None or found.owner != owner:
            raise LookupError(f"Subscription with id {number}")
        return found

    def _happened(self, one: Subscription) -> Iterator[Event]:
        """Return the events since a subscription was last updated, in order."""
        published = (
            Event(row.product.facts.published, "created", row)
            for row in self.stock.listed.all()
            if row.product.facts.published > one.seen
        )
        yield from sorted([*published, *self.stock.events], key=lambda event: event.moment)

    def _notification(self, one: Subscription, ack: str, event: Event, now: datetime) -> Document:
        product = event.row.product
        told: Document = {
            "@odata.context": "$metadata#Notification/$entity",
            "SubscriptionEvent": event.kind,
            "ProductId": product.id,
            "ProductName": product.name,
            "SubscriptionId": one.id,
            "NotificationDate": date_text(event.moment, now),
            "AckId": ack,
            "value": {
                "@odata.context": _CONTEXT,
                **entity(event.row, now, self.url(), _EXPANDED, ()),
            },
        }
        if now - event.moment > _FULL_FOR:
            del told["value"], told["ProductName"]
        return told


def _refuse_more(others: list[Subscription], state: str) -> None:
    """Refuse a state if the account has too many subscriptions in it."""
    running = sum(one.body["Status"] == "running" for one in others)
    if len(others) >= _MOST or (state == "running" and running >= _MOST_RUNNING):
        raise RefusedError(429, "Maximum number of subscriptions reached")


def _body(text: bytes) -> Document:
    given = _json(text)
    events = given.get("SubscriptionEvent", ["created"])
    known = isinstance(events, list) and events and set(map(str, events)) <= _EVENTS
    filter_text = given.get("FilterParam", "")
    if not known or not isinstance(filter_text, str) or given.get("Status") not in _STATES:
        raise RefusedError(400, "Invalid value")
    if "NotificationEndpoint" in given:
        raise RefusedError(400, "Invalid NotificationEndpoint: nothing is pushed by this stand-in")
    kept = {"FilterParam": filter_text, "Status": given["Status"], "SubscriptionEvent": events}
    return {
        "StageOrder": bool(given.get("StageOrder")),
        "Priority": given.get("Priority", 1),
    } | kept


def _json(text: bytes) -> Document:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise RefusedError(400, "Invalid value") from error
    if not isinstance(found, dict):
        raise RefusedError(400, "Invalid value")
    return found
