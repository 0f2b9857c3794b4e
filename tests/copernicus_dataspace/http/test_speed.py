"""Slow servers, slow disks, connections that are kept, and work that is told to end."""

import contextlib
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import urllib3
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.errors import DataSpaceError, ServiceUnavailableError, StoppedError
from copernicus_dataspace.http.response import HttpLimits
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.ingest.staging import stage
from copernicus_dataspace.models.manifest import parse_manifest
from copernicus_dataspace.service import ClientOptions, Service, ServiceLimits
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from copernicus_dataspace_emulator.download.service import Download
from copernicus_dataspace_emulator.server import Host
from tests.copernicus_dataspace.conftest import account_of, endpoints_of

SOON_S = 3.0
LONG_S = 6.0
"""What a stopped client must not wait for."""
BANDS = ("SCL_20m", "B09_60m", "B01_60m", "B11_60m", "B12_60m", "SCL_60m")
IMPATIENT = ServiceLimits(HttpLimits(answer_s=0.4, speed_over_s=0.3))
WAYS = {"https": "download", "s3": "s3"}


@pytest.fixture
def connected(emulator):
    """Give clients that really wait."""
    with contextlib.ExitStack() as open_clients:

        def connect(transport="https", at=emulator, **settings):
            keys = S3Keys(at.s3_access_key, at.s3_secret_key)
            client = Service(
                endpoints_of(at), account_of(at), transport=transport, s3_keys=keys, **settings
            )
            return open_clients.enter_context(client)

        yield connect


@pytest.fixture
def offered(emulator):
    return emulator.add(make_product(scale=0.003))


def fetch(client, offered, folder, band="SCL_20m", progress=lambda _: None):
    (product,) = client.catalogue.search(Query(sensed=MISSION, product_ids=(offered.id,)))
    listed = parse_manifest(offered.read("manifest.safe"))
    (file,) = (one for one in listed if one.path.endswith(f"_{band}.jp2"))
    client.downloads.file(product, file, folder / band, progress, lambda: None)
    assert (folder / band).read_bytes() == offered.read(file.path)


@contextlib.contextmanager
def within(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("transport", WAYS)
@pytest.mark.parametrize("kind", ["stall", "stall_body", "trickle"])
def test_what_comes_too_slowly_is_cut_and_heals(
    emulator, connected, offered, tmp_path, transport, kind
):
    fault = Fault(service=WAYS[transport], kind=kind, match="SCL_20m", seconds=LONG_S)
    emulator.faults.add(fault)
    with within(SOON_S):
        fetch(connected(transport, limits=IMPATIENT), offered, tmp_path)
    sent = [one for one in emulator.requests if "SCL_20m" in one.path]
    assert len(sent) == 2
    assert not sent[1].range


def test_what_always_comes_too_slowly_is_said_so(emulator, connected, offered, tmp_path):
    emulator.faults.add(Fault(service="download", kind="trickle", match="SCL_20m", times=None))
    with pytest.raises(ServiceUnavailableError, match=r"SCL_20m.*only \d+ bytes received in"):
        fetch(connected(sleep=lambda _: None, limits=IMPATIENT), offered, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 503])
def test_the_words_of_a_refusal_are_not_waited_for(
    connected, offered, tmp_path, monkeypatch, status
):
    def refuse(service, _request):
        return replace(service.refusal(status), bytes_per_s=20)

    monkeypatch.setattr(Download, "answer", refuse)
    limits = ServiceLimits(HttpLimits(error_body_s=0.1))
    with within(SOON_S), pytest.raises(DataSpaceError, match=f"HTTP {status}"):
        fetch(connected(sleep=lambda _: None, limits=limits), offered, tmp_path)


def test_what_is_slow_but_fast_enough_is_left_alone(emulator, connected, offered, tmp_path):
    emulator.faults.add(Fault(service="download", kind="trickle", bytes_per_s=20_000))
    fetch(connected(limits=IMPATIENT), offered, tmp_path, "B09_60m")
    assert len([one for one in emulator.requests if "B09_60m" in one.path]) == 1


def test_a_slow_disk_is_not_taken_for_a_slow_server(emulator, connected, offered, tmp_path):
    http = HttpLimits(speed_over_s=0.3, chunk_bytes=4096, least_bytes_per_s=40_000)
    fetch(
        connected(limits=ServiceLimits(http)),
        offered,
        tmp_path,
        "B02_60m",
        progress=lambda _: time.sleep(0.3),
    )
    assert len([one for one in emulator.requests if "B02_60m" in one.path]) == 1


@pytest.fixture
def accepted(monkeypatch):
    """The TCP connections each service has accepted."""
    counted, accept = Counter(), Host.process_request

    def process(host, *about):
        counted[host.service.name] += 1
        accept(host, *about)

    monkeypatch.setattr(Host, "process_request", process)
    return counted


@pytest.mark.parametrize("transport", WAYS)
@pytest.mark.parametrize("threads", [1, 3])
def test_connections_are_kept(accepted, connected, offered, tmp_path, transport, threads):
    client = connected(transport, connections=threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda band: fetch(client, offered, tmp_path, band), BANDS))
    assert accepted[WAYS[transport]] <= threads
    assert accepted["catalogue"] <= threads


def test_a_refusal_keeps_its_connection(emulator, accepted, connected, offered, tmp_path):
    emulator.faults.add(Fault(service="download", status=503, match="SCL_20m", times=2))
    fetch(connected(), offered, tmp_path)
    assert accepted["download"] == 1


def test_waiting_and_moving_are_counted_apart(connected, tmp_path):
    with Emulator(latency_s=0.1) as emulator:
        offered = emulator.add(make_product(scale=0.003))
        emulator.faults.add(Fault(service="download", status=429, retry_after=1))
        client, began = connected(at=emulator), time.monotonic()
        fetch(client, offered, tmp_path)
        elapsed_s, statistics = time.monotonic() - began, client.statistics
    assert statistics.requests == len(emulator.requests)
    assert statistics.moving_s >= 0.1 * statistics.requests
    assert statistics.waiting_s > 0.9
    assert statistics.waiting_s + statistics.moving_s <= elapsed_s
    moved = sum(one.bytes_sent for one in emulator.requests if one.status == 200)
    assert statistics.bytes == moved


def test_the_time_of_all_connections_is_summed(connected, tmp_path):
    with Emulator(bytes_per_s=50_000) as slow:
        offered = slow.add(make_product(scale=0.003))
        client = connected(at=slow, connections=3)
        client.tokens.token()
        began = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda band: fetch(client, offered, tmp_path, band), BANDS[:3]))
        elapsed_s = time.monotonic() - began
        assert elapsed_s < client.statistics.moving_s <= 3 * elapsed_s + 1
        assert client.statistics.waiting_s < 0.1


def test_the_spacing_asked_for_is_waiting(connected, offered, tmp_path):
    client = connected(options=ClientOptions(request_spacing_s=0.2))
    fetch(client, offered, tmp_path)
    assert 0.1 < client.statistics.waiting_s < 0.2 * client.statistics.requests


@pytest.fixture
def background():
    """Run something in a thread; return that, and the list its error goes to."""

    def start(act):
        errors = []

        def run():
            try:
                act()
            except Exception as error:  # noqa: BLE001 - the test looks at it
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, errors

    return start


def wait_for(emulator, count=1):
    deadline = time.monotonic() + SOON_S
    while len([one for one in emulator.requests if "SCL_20m" in one.path]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "trickle"},
        {"kind": "stall"},
        {"kind": "stall_body"},
        {"status": 429, "retry_after": 30},
        {"status": 503, "retry_after": 30},
    ],
    ids=str,
)
def test_stop_ends_what_other_threads_do(emulator, connected, offered, background, tmp_path, fault):
    fault = {"seconds": LONG_S, "times": None, "match": "SCL_20m", **fault}
    emulator.faults.add(Fault(service="download", **fault))
    client = connected()
    thread, errors = background(lambda: fetch(client, offered, tmp_path))
    wait_for(emulator)
    client.stop()
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [StoppedError]
    assert not list(tmp_path.iterdir())


def test_stop_ends_a_thread_that_waits_for_a_connection(
    emulator, connected, offered, background, tmp_path
):
    emulator.faults.add(Fault(service="download", kind="trickle", match="SCL_20m", times=None))
    client = connected()
    threads = [background(lambda: fetch(client, offered, tmp_path))[0]]
    wait_for(emulator)
    threads.append(background(lambda: fetch(client, offered, tmp_path, "B09_60m"))[0])
    time.sleep(0.3)
    client.stop()
    for thread in threads:
        thread.join(SOON_S)
        assert not thread.is_alive()


def test_stop_ends_a_request_whose_connection_was_just_being_opened(
    emulator, connected, offered, tmp_path, monkeypatch
):
    emulator.faults.add(Fault(service="identity", kind="stall", seconds=LONG_S, times=None))
    client, connect = connected(), urllib3.connection.HTTPConnection.connect
    (product,) = client.catalogue.search(Query(sensed=MISSION))

    def stopped_meanwhile(connection):
        client.stop()
        connect(connection)

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", stopped_meanwhile)
    with within(1), pytest.raises(StoppedError):
        client.downloads.manifest(product)


def test_stop_while_others_open_connections_raises_nothing(
    connected, offered, background, monkeypatch
):
    client, opened, shutting = connected(), threading.Event(), threading.Event()
    connect, shut_down = urllib3.connection.HTTPConnection.connect, socket.socket.shutdown
    client.catalogue.search(Query(sensed=MISSION))

    def connect_late(connection):
        connect(connection)
        opened.set()
        assert shutting.wait(SOON_S)

    def shut_down_late(one, how):
        if how == socket.SHUT_RDWR and not shutting.is_set():
            shutting.set()
            thread.join(0.2)
        shut_down(one, how)

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", connect_late)
    monkeypatch.setattr(socket.socket, "shutdown", shut_down_late)
    thread, errors = background(client.tokens.token)
    assert opened.wait(SOON_S)
    client.stop()
    thread.join(SOON_S)
    assert [type(error) for error in errors] == [StoppedError]


class Interrupted(BaseException):
    """Not an Exception, as the end of a task is none."""


@pytest.fixture
def staging(emulator, connected, tmp_path):
    """Stage all products; ``told`` hears of each that is done."""

    def run(told=lambda *_: None, transfer="files"):
        client = connected(connections=4)
        store = Store(LocalFileSystem(), str(tmp_path))
        wanted, layout = DeliveryOptions(("SCL_20m", "B09_60m"), transfer), RunLayout("dag", "run")
        found = client.catalogue.search(Query(sensed=MISSION))
        jobs = [ProductJob(store, layout, product, wanted) for product in found]
        with contextlib.closing(stage(jobs, client, lambda *_: lambda _: None)) as outcomes:
            for staged in outcomes:
                told(staged)

    return run


@pytest.fixture
def slow(emulator):
    """Give a product of which a part never comes, beside two that come at once."""

    def offer(kind, match):
        *_, late = (
            emulator.add(make_product(sensed=f"2024-08-0{day}T08:36:01Z", scale=0.003))
            for day in (1, 2, 3)
        )
        where = rf"Products\({late.id}\).*{match}"
        fault = {"kind": kind, "match": where, "seconds": LONG_S, "times": None}
        emulator.faults.add(Fault(service="download", **fault))

    return offer


def unfinished(folder):
    return [path for path in folder.rglob("*") if ".part" in path.name]


class Interruption:
    """Interrupts once two products are done, by itself or some time later by a signal."""

    def __init__(self, after_s=None):
        self.done, self.after_s, self.at = 0, after_s, 0.0

    def told(self, _staged):
        self.done += 1
        if self.done == 2:
            self.at = time.monotonic() + (self.after_s or 0)
            if not self.after_s:
                raise Interrupted
            signal.setitimer(signal.ITIMER_REAL, self.after_s)

    @staticmethod
    def of_signal(*_about):
        raise Interrupted


@pytest.mark.parametrize("kind", ["trickle", "stall", "stall_body"])
@pytest.mark.parametrize("transfer", ["files", "archive"])
@pytest.mark.parametrize("after_s", [None, 0.5])
def test_an_interruption_ends_all_soon(staging, slow, tmp_path, kind, transfer, after_s):
    slow(kind, "SCL_20m" if transfer == "files" else "value")
    interruption = Interruption(after_s)
    before = signal.signal(signal.SIGALRM, Interruption.of_signal)
    try:
        with pytest.raises(Interrupted):
            staging(interruption.told, transfer)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - interruption.at < SOON_S
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]
    assert len(list(tmp_path.rglob("receipt.json"))) == 2
