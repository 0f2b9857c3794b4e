"""What a cell of the fault matrix is played on: scripted faults, leaping time, watching eyes."""

import json
import re
import socket
import threading
import time
from dataclasses import replace
from email.utils import formatdate
from types import SimpleNamespace

import requests

from copernicus_dataspace import service
from copernicus_dataspace.http import client
from copernicus_dataspace.http.response import HttpLimits
from copernicus_dataspace.limits import transfer_slots
from copernicus_dataspace_emulator import Fault
from copernicus_dataspace_emulator.http.messages import read
from copernicus_dataspace_emulator.identity.tokens import Tokens
from tests.airflow_copernicus.conftest import scl_of
from tests.support.faults import fault_matrix as matrix

ANSWER_S = 0.25
_MOMENT_S = 0.001
STALL_S = 3 * ANSWER_S
BREAKS = {matrix.ONCE: 1, matrix.ALWAYS: 3}
"""How often a body breaks off, where it is about the rest."""


class Leap:
    """Time that leaps over every wait the library asks for."""

    def __init__(self):
        self.waits = []

    def now(self):
        return time.monotonic() + self.waited_s

    @property
    def waited_s(self):
        return sum(self.waits)

    def install(self, monkeypatch):
        """Let everything that waits wait here."""

        leap = self

        class Condition(threading.Condition):
            def wait(self, timeout=None):
                if timeout is None:
                    return super().wait()
                leap.waits.append(timeout)
                return super().wait(_MOMENT_S)

        def wait(sender, seconds):
            self.waits.append(seconds)
            time.sleep(_MOMENT_S)
            sender.statistics.waited(seconds)

        monkeypatch.setattr(client.Http, "wait", wait)
        monkeypatch.setattr(transfer_slots, "threading", SimpleNamespace(Condition=Condition))
        monkeypatch.setattr(
            transfer_slots, "time", SimpleNamespace(monotonic=self.now, time=time.time)
        )
        return self


class Stranger:
    """A host that is none of the service's own; for ``with``."""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/elsewhere"
        return self

    def __exit__(self, *_error):
        self._socket.close()

    @property
    def was_visited(self):
        try:
            self._socket.accept()
        except BlockingIOError:
            return False
        return True


class Watch:
    """Looks all the time at what stands under final names, and compares it with the truth."""

    def __init__(self, output, products):
        self.wrong = set()
        self._output = output
        self._truth = {}
        for product in products:
            day, stem = "S2MSI2A/2024/08/01", product.name.removesuffix(".SAFE")
            path = scl_of(product)
            self._truth[f"bands/{day}/{stem}/{path.rpartition('/')[2]}"] = product.read(path)
            self._truth[f"archive/{day}/{stem}.zip"] = read(product.content.whole())
        self._known = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._over.set()
        self._thread.join()
        self._look()

    def is_complete(self, *, keep_archive=False, **_params):
        """Tell whether all that is wanted stands, right, and nothing is on its way any more."""
        self._look()
        wanted = {path for path in self._truth if keep_archive or path.startswith("bands/")}
        standing = {path for path, _ in self._final()}
        return wanted == {path for path in standing if not path.endswith("item.json")}

    def _run(self):
        while not self._over.wait(0.005):
            self._look()

    def _look(self):
        for path, file in self._final():
            try:
                facts = file.stat()
                seen = (path, facts.st_ino, facts.st_mtime_ns, facts.st_size)
                if seen not in self._known and not self._is_right(path, file.read_bytes()):
                    self.wrong.add(path)
            except FileNotFoundError:
                continue
            self._known.add(seen)

    def _is_right(self, path, content):
        if path.endswith("/item.json"):
            folder = path.removesuffix("item.json")
            assets = json.loads(content)["assets"].values()
            names = {one["href"].rpartition("/")[2] for one in assets}
            return {f"{folder}{name}" for name in names} <= set(self._truth)
        return content == self._truth.get(path)

    def _final(self):
        for folder in ("bands", "archive"):
            for file in (self._output / folder).rglob("*"):
                if file.is_file() and not file.name.startswith("."):
                    yield str(file.relative_to(self._output)), file


def faults(cell, emulator, products, foreign_url, wait_s=None):
    """Return what the emulator is told for a cell; `wait_s` replaces the wait it asks for."""
    about = {**cell.fault.fault, **cell.fault.in_place.get(cell.target, {})}
    place = {"service": cell.target.service, "match": cell.target.match}
    if cell.fault.wait_s:
        seconds = wait_s or cell.fault.wait_s
        until = formatdate(time.time() + seconds, usegmt=True)
        about["retry_after"] = until if about.get("retry_after") == "date" else int(seconds)
    if about.get("at") == "digest":
        body = _list_of_files(cell.target, emulator, products)
        digest = products[0].files[scl_of(products[0])].digest.lower().encode()
        about["at"] = _place_of_digit(body, body.lower().index(digest))
    about |= {"location": foreign_url, "seconds": STALL_S}
    times = 1 if cell.often == matrix.ONCE else None
    scripted = [Fault(**place, **about, times=times)]
    if cell.fault.asks_for_parts:
        scripted.append(Fault(**place, kind="reset_body", times=BREAKS[cell.often]))
    return scripted


def _list_of_files(target, emulator, products):
    """Return the body of which a bit is to flip."""
    if target in (matrix.MANIFEST, matrix.ZIP_LIST):
        return products[0].read("manifest.safe")
    question = {
        "ids": [product.name.removesuffix(".SAFE") for product in products],
        "collections": ["sentinel-2-l2a"],
        "limit": len(products),
        "fields": {"include": ["id", "assets.SCL_20m"]},
    }
    return requests.post(f"{emulator.stac_url}/search", json=question, timeout=10).content


def _place_of_digit(body, start):
    """Return where a digest has a digit that another bit turns into another digit."""
    return (start + re.search(rb"\d", body[start:]).start() + 0.5) / len(body)


def lower_limits(monkeypatch):
    """Let the library lose its patience with what is slow in fractions of a second."""
    usual = service.SERVICE_LIMITS
    limits = replace(
        usual,
        http=HttpLimits(answer_s=ANSWER_S, speed_over_s=ANSWER_S),
        patient=replace(usual.patient, resumed=2),
        replaceable=replace(usual.replaceable, resumed=2),
    )
    monkeypatch.setattr(service, "SERVICE_LIMITS", limits)


def granted(monkeypatch):
    """Return the list that every token granted from now on is added to."""
    tokens = []

    def recorded(grant):
        def granting(*args):
            answer = grant(*args)
            tokens.extend((answer["access_token"], answer["refresh_token"]))
            return answer

        return granting

    for name in ("by_password", "by_refresh"):
        monkeypatch.setattr(Tokens, name, recorded(getattr(Tokens, name)))
    return tokens
