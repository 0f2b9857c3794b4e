import heapq
import itertools
import math
import random
import statistics
import threading
import time
from dataclasses import replace

import pytest

from copernicus_dataspace.errors import RateLimitedError, ServiceUnavailableError
from copernicus_dataspace.limits.backoff import Backoff, Timing
from copernicus_dataspace.limits.retry import BRIEF, RetryPolicy
from copernicus_dataspace.limits.shared_file import SharedFile
from copernicus_dataspace.limits.transfer_slots import TransferSlots
from copernicus_dataspace.transfer_statistics import TransferStatistics

LATENCY_S, BODY_S = 0.08, 0.1
CYCLE_S = LATENCY_S + BODY_S
SEEDS = range(12)
QUICK = Timing(probe_s=0.02, lateness_s=0.16, longest_wait_s=0.5, negligible_s=0.004)


class Service:
    """Slots of an account in virtual time; `late(n)` is how late the nth is given back."""

    def __init__(self, slots=4, late=0.0, chance=0.0, taken=lambda _: 0):
        self.slots, self.chance, self.taken = slots, chance, taken
        self.late = late if callable(late) else lambda _: late
        self.busy = self.ended = self.sent = self.refused = 0
        self.coming_back = []

    def begin(self, now):
        self.sent += 1
        self.coming_back = [at for at in self.coming_back if at > now + 1e-9]
        busy = self.busy + len(self.coming_back) + self.taken(now)
        if busy >= self.slots or random.random() < self.chance:  # noqa: S311
            self.refused += 1
            return False
        self.busy += 1
        return True

    def end(self, now):
        self.busy -= 1
        self.ended += 1
        self.coming_back.append(now + self.late(self.ended))


class Simulation:
    """Workers that each take a grant, begin, read a body and come again, in virtual time."""

    def __init__(self, service, cores, transfers, retry_after_s=None):
        self.service, self.retry_after_s = service, retry_after_s
        self.left = {core: transfers for core, _ in cores}
        self.workers = [[core, "idle", None] for core, count in cores for _ in range(count)]
        self.events, self.numbers = [], itertools.count()
        self.wakes = set()
        self.now = 0.0

    def at(self, when, kind, worker, accepted=None):
        heapq.heappush(self.events, (when, next(self.numbers), kind, worker, accepted))

    def wake(self, when, worker):
        if when not in self.wakes:
            self.wakes.add(when)
            self.at(when, "wake", worker)

    def run(self):
        """Return the time the last transfer ended."""
        last = 0.0
        self.poll()
        while self.events:
            self.now, _, kind, worker, accepted = heapq.heappop(self.events)
            core, _, grant = worker
            if kind == "verdict" and accepted:
                core.accepted(grant, self.now)
                self.at(self.now + BODY_S, "end", worker)
            elif kind == "verdict":
                core.refused(grant, self.now, self.retry_after_s)
                worker[1] = "waiting"
            elif kind == "end":
                self.service.end(self.now)
                core.give_back(grant, self.now)
                worker[1], last = "idle", self.now
            self.poll()
        assert not any(self.left.values())
        assert all(state == "idle" for _, state, _ in self.workers)
        return last

    def poll(self):
        for worker in self.workers:
            core = worker[0]
            if worker[1] == "idle" and self.left[core]:
                self.left[core] -= 1
                worker[1:] = "waiting", core.take()
            if worker[1] == "waiting":
                wait_s = core.wait_s(worker[2], self.now)
                if wait_s == 0:
                    worker[1] = "sent"
                    accepted = self.service.begin(self.now)
                    self.at(self.now + LATENCY_S, "verdict", worker, accepted)
                elif (wake := round(self.now + wait_s, 6) + 1e-6) < math.inf:
                    self.wake(wake, worker)


def core(connections=4, pause_s=None, ends=()):
    return Backoff(connections, pause_s, ends, Timing())


def floor_s(transfers, late_s, slots=4):
    rounds = math.ceil(transfers / slots)
    return rounds * CYCLE_S + (rounds - 1) * late_s


def simulated(seed, service, transfers, cores=((4, 4),), **options):
    random.seed(seed)
    made = [(core(connections), count) for connections, count in cores]
    wall_s = Simulation(service, made, transfers, **options).run()
    return wall_s, service.refused / service.sent, [one.pause_s for one, _ in made]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("late_s", "wall", "refused"),
    [
        (0.0, 1.02, 0),
        (0.5, 1.6, 4),
        (1.0, 1.15, 4),
        (1.3, 1.6, 4),
        (2.0, 1.15, 3),
        (3.0, 1.6, 4),
    ],
)
def test_late_slots_cost_little_time_and_few_refusals(seed, late_s, wall, refused):
    service = Service(late=late_s)
    wall_s, _, _ = simulated(seed, service, 200)
    assert wall_s <= wall * floor_s(200, late_s)
    assert service.refused <= refused


@pytest.mark.parametrize("late_s", [0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("cores", [[(4, 4)], [(1, 1)]])
def test_in_the_long_run_less_than_one_in_a_hundred_is_refused(late_s, cores):
    slots = cores[0][0]
    wall_s, share, _ = simulated(1, Service(slots, late_s), 5000, cores)
    assert share < 0.01
    assert wall_s <= 1.7 * floor_s(5000, late_s, slots)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("late_s", [0.5, 1.0, 2.0, 3.0])
def test_lateness_that_begins_is_found(seed, late_s):
    service = Service(late=lambda nth: late_s if nth >= 300 else 0.0)
    wall_s, share, (pause_s,) = simulated(seed, service, 600)
    assert wall_s <= 1.6 * (floor_s(300, 0) + floor_s(300, late_s))
    assert share <= 0.025
    assert late_s <= pause_s <= 1.4 * late_s


@pytest.mark.parametrize("seed", SEEDS)
def test_lateness_that_ends_is_found(seed):
    service = Service(late=lambda nth: 2.0 if nth < 300 else 0.0)
    _, share, (pause_s,) = simulated(seed, service, 1200)
    assert pause_s == 0
    assert share < 0.01


def test_chance_refusals_teach_nothing():
    pauses = []
    walls = []
    for seed in range(100):
        wall_s, _, (pause_s,) = simulated(seed, Service(chance=0.15), 200)
        pauses.append(pause_s)
        walls.append(wall_s)
    assert pauses.count(0.0) >= 95
    assert statistics.median(walls) <= 3 * floor_s(200, 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("late_s", [0.0, 2.0])
@pytest.mark.parametrize("start_s", [0.0, 5.0])
def test_another_program_that_holds_all_slots_changes_no_pause(seed, late_s, start_s):
    service = Service(late=late_s, taken=lambda now: 4 if start_s <= now < start_s + 20 else 0)
    wall_s, _, (pause_s,) = simulated(seed, service, 200)
    assert late_s <= pause_s <= 1.1 * late_s
    assert wall_s <= 1.6 * (floor_s(200, late_s) + 20)
    assert service.refused <= 25


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("late_s", [0.0, 2.0])
def test_two_tasks_share_an_account(seed, late_s):
    wall_s, share, _ = simulated(seed, Service(late=late_s), 200, [(2, 2), (2, 2)])
    assert wall_s <= 1.2 * floor_s(400, late_s)
    assert share <= 0.05


@pytest.mark.parametrize("retry_after_s", [1.0, 2.0, 5.0])
def test_retry_after_is_the_least_wait_for_all(retry_after_s):
    service = Service(late=2.0)
    wall_s, share, _ = simulated(1, service, 200, retry_after_s=retry_after_s)
    assert share < 0.02
    assert wall_s < 2 * floor_s(200, 2.0)


def test_a_known_pause_holds_the_first_use_of_a_slot_that_others_used():
    known = core(2, pause_s=2.0, ends=[9.0, 9.5])
    first, second = known.take(), known.take()
    assert known.wait_s(first, 10.0) == 1.0
    assert known.wait_s(first, 11.0) == 0
    assert known.wait_s(second, 11.0) == 0.5
    assert known.take() is None


def test_a_fresh_slot_waits_for_nothing():
    assert core().wait_s(core().take(), 0.0) == 0


def test_a_probe_that_dies_leaves_its_turn():
    one = core(2)
    first, second = one.take(), one.take()
    for grant in (first, second):
        assert one.wait_s(grant, 0.0) == 0
        one.accepted(grant, 0.1)
        one.give_back(grant, 0.2)
    first, second = one.take(), one.take()
    assert one.wait_s(first, 0.2) == 0
    assert one.wait_s(second, 0.2) > 1
    one.give_back(first, 0.3)
    assert one.wait_s(second, 0.3) == 0


class Remote:
    """Answers real threads; a slot is free `late_s` after its transfer ended."""

    def __init__(self, slots=4, late_s=0.0):
        self.slots, self.late_s = slots, late_s
        self.lock = threading.Lock()
        self.busy = self.peak = self.refused = 0
        self.coming_back = []

    def begin(self):
        with self.lock:
            now = time.monotonic()
            self.coming_back = [at for at in self.coming_back if at > now]
            if self.busy + len(self.coming_back) >= self.slots:
                self.refused += 1
                raise RateLimitedError("x")
            self.busy += 1
            self.peak = max(self.peak, self.busy)

    def end(self):
        with self.lock:
            self.busy -= 1
            self.coming_back.append(time.monotonic() + self.late_s)


def together(count, work):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def fetched(slots, remote, times):
    for _ in range(times):
        with slots.slot() as slot:
            slot.begin(remote.begin, RetryPolicy().attempts())
            time.sleep(0.001)
            remote.end()


@pytest.mark.parametrize("late_s", [0.0, 0.03])
def test_threads_share_what_is_learnt_and_report_their_waits(late_s):
    statistics = TransferStatistics()
    remote, slots = Remote(late_s=late_s), TransferSlots(4, statistics=statistics, timing=QUICK)
    began = time.monotonic()
    together(8, lambda: fetched(slots, remote, 10))
    assert remote.peak <= 4
    assert remote.refused <= 10
    assert statistics.waiting_s or not late_s
    assert statistics.waiting_s <= 8 * (time.monotonic() - began)
    assert slots.pause_s >= late_s


def test_attempts_decide_whether_a_request_is_sent_again():
    statistics, errors = TransferStatistics(), [RateLimitedError("x")] * 3
    slots = TransferSlots(1, timing=QUICK)

    def request():
        if errors:
            raise errors.pop()

    with slots.slot() as slot:
        slot.begin(request, RetryPolicy(statistics=statistics).attempts())
    assert statistics.retries == 3
    errors[:] = [RateLimitedError("x")] * 3
    with slots.slot() as slot, pytest.raises(RateLimitedError):
        slot.begin(request, RetryPolicy(BRIEF, statistics=statistics).attempts())
    assert statistics.retries == 5


def test_one_thread_at_a_time_probes():
    lock, under_way, most = threading.Lock(), set(), []
    slots = TransferSlots(4, timing=QUICK)

    def use():
        with slots.slot() as slot:
            slot.begin(lambda: all_in.wait(5), RetryPolicy().attempts())
        with slots.slot() as slot:
            slot.begin(verdict, RetryPolicy().attempts())

    def verdict():
        with lock:
            under_way.add(threading.get_ident())
            most.append(len(under_way))
        time.sleep(0.005)
        with lock:
            under_way.discard(threading.get_ident())
            if len(most) <= 3:
                raise RateLimitedError("x")

    all_in = threading.Barrier(4)
    together(4, use)
    assert most[:4] == [1, 1, 1, 1]


def test_a_failing_probe_blocks_nobody():
    remote, slots = Remote(), TransferSlots(4, timing=QUICK)

    def use():
        fetched(slots, remote, 1)
        for error in (ServiceUnavailableError, KeyboardInterrupt, None):
            with slots.slot() as slot:
                if error is None:
                    slot.begin(remote.begin, RetryPolicy().attempts())
                    remote.end()
                    continue
                with pytest.raises(error):
                    slot.begin(
                        lambda error=error: (_ for _ in ()).throw(error("x")),
                        RetryPolicy().attempts(),
                    )

    together(6, use)
    assert remote.busy == 0


def test_patience_ends_after_ten_tries():
    calls = []

    def refuse():
        calls.append(1)
        raise RateLimitedError("x", 0.001)

    slots = TransferSlots(1, timing=Timing(0.001, 0.008, 0.01, 0.0001))
    with pytest.raises(RateLimitedError) as caught, slots.slot() as slot:
        slot.begin(refuse, RetryPolicy().attempts())
    assert (len(calls), caught.value.retry_after_s) == (10, 0.001)
    with slots.slot() as slot:
        assert slot.begin(lambda: "again", RetryPolicy().attempts()) == "again"


def test_a_long_retry_after_is_handed_to_the_caller():
    def refuse():
        raise RateLimitedError("x", 3600.0)

    slots = TransferSlots(2, timing=QUICK)
    with slots.slot() as slot, pytest.raises(RateLimitedError) as caught:
        slot.begin(refuse, RetryPolicy().attempts())
    assert caught.value.retry_after_s == 3600.0
    with slots.slot() as slot:
        assert slot.begin(lambda: 1, RetryPolicy().attempts()) == 1


def test_a_task_begins_with_what_another_has_learnt(tmp_path):
    remote = Remote(slots=2, late_s=0.05)
    first = TransferSlots(2, host=SharedFile(tmp_path / "s", "k"), timing=QUICK)
    together(2, lambda: fetched(first, remote, 5))
    first.close()
    assert first.pause_s >= 0.05
    refused = remote.refused
    second = TransferSlots(2, host=SharedFile(tmp_path / "s", "k"), timing=QUICK)
    with second.slot():
        assert second.pause_s == pytest.approx(first.pause_s)
    together(2, lambda: fetched(second, remote, 5))
    assert remote.refused == refused


def test_files_are_written_rarely(tmp_path):
    class Counted(SharedFile):
        count = 0

        def exchange(self, change):
            self.count += 1
            return super().exchange(change)

    host = Counted(tmp_path / "s", "k")
    slots = TransferSlots(4, host=host, timing=QUICK)
    together(4, lambda: fetched(slots, Remote(), 50))
    slots.close()
    assert host.count <= 8


def test_a_probe_that_gets_no_answer_holds_nobody_for_long():
    all_in, asked, hung = threading.Barrier(3), threading.Event(), threading.Event()
    slots = TransferSlots(3, timing=replace(QUICK, probe_timeout_s=0.05))

    def fetch(request):
        with slots.slot() as slot:
            return slot.begin(request, RetryPolicy().attempts())

    def stall():
        asked.set()
        return hung.wait(10)

    together(3, lambda: fetch(lambda: all_in.wait(5)))  # so that the next use of a slot is a probe
    stalled = threading.Thread(target=fetch, args=(stall,))
    stalled.start()
    assert asked.wait(5)
    began = time.monotonic()
    together(4, lambda: fetch(int))
    assert time.monotonic() - began >= 0.04
    assert stalled.is_alive()
    hung.set()
    stalled.join(10)
    assert fetch(lambda: 1) == 1


def test_of_those_that_wait_the_largest_is_first_and_then_who_came_first():
    slots, got = TransferSlots(1, timing=QUICK), []
    sizes = [3, 3, 50, None, 3, 7, 50]

    def use(number):
        with slots.slot(sizes[number]):
            got.append(number)

    with slots.slot():
        threads = [threading.Thread(target=use, args=(number,)) for number in range(len(sizes))]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join(10)
    assert got == [3, 2, 6, 5, 0, 1, 4]
