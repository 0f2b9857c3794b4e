"""What is removed without being asked, what a person is asked, and what an answer does."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from copernicus import archives
from copernicus.operators import CopernicusAskOperator, CopernicusRemoveOperator
from dataspace.errors import ConfigurationError, QueryError
from dataspace.mending import Mender
from dataspace_emulator import Emulator
from tests.copernicus.conftest import lake_product, make_context, scl_of
from tests.copernicus.test_reconcile import DAY, INGEST, Ingests, held, states, stem

DAG_ID = "sentinel2_approve_removals"
COUNT = 5
LEFT = COUNT - 2
"""Five percent of so few are less than two, and two may go."""
RECORD = f"reports/{INGEST}/removals.json"


class Clock:
    """The time at which runs begin."""

    def __init__(self):
        self.now = datetime(2026, 11, 20, 3, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_days(self, days):
        self.now += timedelta(days=days)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(archives, "utc_now", made)
    return made


class Approvals(Ingests):
    """Ingests whose questions are asked and answered, by the run that was triggered for it."""

    run_id = "by hand"

    def ask(self, run_id=None, *, is_paused=False, ingest=INGEST, conf=None, **params):
        """Return the question of a run; raises AirflowSkipException where there is none."""
        context = self._context(run_id, is_paused=is_paused, conf=conf or {})
        return CopernicusAskOperator(
            task_id="plan", ingest_folder=self.folder, ingest=ingest, **params
        ).execute(context)

    def answer(self, run_id=None, *, is_approved, is_paused=False, **params):
        """Answer a run's question; return what the task returns."""
        settled = CopernicusRemoveOperator(
            task_id="remove",
            ingest_folder=self.folder,
            ingest=INGEST,
            is_approved=is_approved,
            **params,
        ).execute(self._context(run_id, is_paused=is_paused))
        return {**settled, "changes": self.changes(settled)}

    def _context(self, run_id, *, is_paused, **changes):
        run_id = run_id or self.run_id
        run_type = "operator_triggered" if run_id.startswith(INGEST) else "manual"
        context = make_context(dag_id=DAG_ID, run_id=run_id, run_type=run_type, **changes)
        context["dag"] = SimpleNamespace(params={"ingest": "", "with_rejected": False})
        context["ti"].get_dag = lambda _: SimpleNamespace(is_paused=is_paused)
        return context

    def questioned(self, run_id=None):
        """Return the names that a run has asked for."""
        (path,) = self.output.glob(f"runs/{DAG_ID}/{run_id or self.run_id}/*/question.json")
        return [one["name"] for one in json.loads(path.read_text())["removals"]]

    def file_of(self, product):
        (path,) = self.output.glob(f"bands/*/*/*/*/{stem(product)}/*.jp2")
        return path


@pytest.fixture
def emulator():
    """One that answers as fast as it can; what its limits do is tested elsewhere."""
    with Emulator(stac_requests_per_s=None, s3_requests_per_minute=None) as running:
        yield running


@pytest.fixture
def approvals(tmp_path, ingest):
    return Approvals.below(tmp_path, ingest)


def newer_of(product, connected, **changes):
    sensed = f"{datetime.fromisoformat(stem(product).split('_')[2]).isoformat()}.024Z"
    facts = {"baseline": "05.12", "generation": "2024-09-01T00:00:00Z", **changes}
    return connected.add(lake_product(sensed=sensed, **facts))


@pytest.fixture
def old(connected, ingest):
    """What is held of so many days, the oldest first."""
    days = [DAY - timedelta(days=ago) for ago in reversed(range(COUNT))]
    products = [connected.add(lake_product(sensed=f"{day}T08:36:01.024Z")) for day in days]
    ingest(first_day=f"{days[0]}", last_day=f"{DAY}")
    return products


@pytest.fixture
def new(connected, old):
    """What takes its place, each of one."""
    return [newer_of(product, connected) for product in old]


@pytest.fixture
def asked(approvals, new):
    """The night after which most of it waits for approval, and the question."""
    settled = approvals.reconcile()
    approvals.run_id = settled["asks"][0]["trigger_run_id"]
    approvals.ask()
    return settled


def names(*products):
    return sorted(map(stem, products))


def test_what_is_more_than_the_limit_is_asked_for_and_all_that_adds_is_done(
    approvals, asked, old, new
):
    assert held(approvals.output) == names(*old[2:], *new)
    assert approvals.questioned() == [stem(one) for one in old[2:]]
    (trigger,) = asked["asks"]
    assert trigger["conf"] == {"ingest": INGEST}
    rows = {one["name"]: (one["action"], one["now"]) for one in asked["report"]["exceptions"]}
    assert rows[stem(old[0])] == ("removed", "gone")
    assert rows[stem(old[-1])] == ("waits for approval: remove", "kept")
    approval = asked["report"]["approval"]
    assert approval["waiting"] == LEFT
    assert trigger["trigger_run_id"] in approval["path"].replace("%3A", ":")
    assert sum(len(one["replaced"]) for one in approvals.changes(asked).values()) == 2


def test_more_runs_in_a_night_remove_no_more_and_ask_no_more(approvals, asked, old, new, clock):
    for number, params in enumerate(
        [{}, {"first_day": f"{DAY - timedelta(days=COUNT)}", "last_day": f"{DAY}"}, {"scrub": True}]
    ):
        clock.now += timedelta(hours=number)
        settled = approvals.reconcile(**params)
        assert settled["asks"] == []
        assert settled["changed"] == []
        assert settled["report"]["approval"]["waiting"] == LEFT
    assert held(approvals.output) == names(*old[2:], *new)


def test_what_waits_is_not_removed_by_the_nights_that_follow(approvals, asked, old, new, clock):
    for _ in range(3):
        clock.pass_days(1)
        settled = approvals.reconcile()
        assert settled["asks"] == []
    assert settled["report"]["approval"]["since"].startswith("2026-11-20T03:00:00")
    assert held(approvals.output) == names(*old[2:], *new)


def test_the_next_night_has_a_limit_of_its_own(connected, ingest, approvals, asked, old, clock):
    more = [
        connected.add(lake_product(sensed=f"{DAY - timedelta(days=ago)}T10:36:01.024Z"))
        for ago in (20, 21, 22)
    ]
    ingest(
        make_context(run_id="more"),
        first_day=f"{DAY - timedelta(days=22)}",
        last_day=f"{DAY - timedelta(days=20)}",
    )
    for product in more:
        newer_of(product, connected)
    clock.pass_days(1)
    settled = approvals.reconcile()
    assert settled["report"]["approval"]["waiting"] == LEFT + 1
    ended, begun = settled["asks"]
    assert [ended] == asked["asks"]
    assert begun["trigger_run_id"] != ended["trigger_run_id"]


def test_what_is_approved_goes_and_downstream_is_told(approvals, asked, old, new, clock):
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert held(approvals.output) == names(*new)
    told = {a: b for one in settled["changes"].values() for a, b in one["replaced"].items()}
    assert told == {a.id: [b.id] for a, b in zip(old[2:], new[2:], strict=True)}
    linked = [path.read_text() for path in approvals.output.glob("stac/S2MSI2A/*/*/*/catalog.json")]
    assert len(linked) == COUNT
    assert not [text for text in linked if any(stem(one) in text for one in old)]
    latest = json.loads((approvals.output / f"reports/{INGEST}/latest.json").read_text())
    assert latest["approval"]["answer"] == f"{LEFT} asked for, {LEFT} removed or moved"
    clock.pass_days(1)
    after = approvals.reconcile()
    assert after["asks"] == []
    assert after["report"]["exceptions"] == []
    assert after["report"]["approval"]["waiting"] == 0


def test_what_is_rejected_stays_and_is_not_asked_for_again(approvals, asked, old, new, clock):
    settled = approvals.answer(is_approved=False)
    assert (settled["removed"], settled["changed"]) == ([], [])
    for _ in range(2):
        clock.pass_days(1)
        later = approvals.reconcile()
        assert (later["asks"], later["changed"]) == ([], [])
        assert later["report"]["approval"]["waiting"] == 0
        assert later["report"]["approval"]["rejected"] == LEFT
    actions = {one["action"] for one in later["report"]["exceptions"]}
    assert actions == {"kept: its removal was rejected"}
    assert held(approvals.output) == names(*old[2:], *new)
    with pytest.raises(AirflowSkipException, match="no removal waits"):
        approvals.ask("another")


def test_what_was_rejected_can_be_asked_for_again_by_hand(approvals, asked, old, new, clock):
    approvals.answer(is_approved=False)
    clock.pass_days(1)
    approvals.reconcile()
    approvals.ask("again", with_rejected=True)
    assert sorted(approvals.questioned("again")) == names(*old[2:])
    assert approvals.answer("again", is_approved=True)["removed"] == []
    settled = approvals.answer("again", is_approved=True, with_rejected=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    approvals.reconcile()
    assert json.loads((approvals.output / RECORD).read_text())["rejected"] == []


def test_a_rejected_product_with_another_successor_is_asked_for(
    connected, approvals, asked, old, new, clock
):
    approvals.answer(is_approved=False)
    newest = newer_of(old[-1], connected, baseline="05.13", generation="2024-10-01T00:00:00Z")
    clock.pass_days(1)
    approvals.reconcile()
    approvals.ask("another")
    assert approvals.questioned("another") == [stem(old[-1])]
    assert stem(newest) in held(approvals.output)


def test_a_newer_plan_takes_the_place_of_the_one_that_waits(
    connected, ingest, approvals, asked, old, new
):
    """Were the earlier one answered all the same, only what both name would go."""
    approvals.write(withdrawn="keep")
    connected.remove(new[-1].id)  # so the newer plan no longer names the last one
    more = connected.add(lake_product(sensed=f"{DAY}T10:36:01.024Z"))
    ingest(make_context(run_id="more"))
    newer_of(more, connected)
    ended, begun = _an_hour_later(approvals)["asks"]
    assert [ended] == asked["asks"]
    with pytest.raises(AirflowSkipException, match="a newer plan has taken the place"):
        approvals.ask()
    approvals.ask(begun["trigger_run_id"])
    assert sorted(approvals.questioned(begun["trigger_run_id"])) == names(*old[2:-1], more)
    removed = approvals.answer(is_approved=True)["removed"]
    assert sorted(removed) == names(*old[2:-1])
    assert {stem(more), stem(old[-1])} < set(held(approvals.output))


def _an_hour_later(approvals):
    archives.utc_now.now += timedelta(hours=1)
    return approvals.reconcile()


def test_what_is_shown_is_what_can_be_approved(approvals, asked, old, new):
    """Airflow shows the first text of a question again where its run is cleared."""
    shown = approvals.ask()
    path = approvals.output / RECORD
    record = json.loads(path.read_text())
    line = record["request"]["removals"][0]
    record["request"]["removals"].append({**line, "name": stem(new[0]), "id": new[0].id})
    path.write_text(json.dumps(record))
    assert approvals.ask() == shown
    assert stem(new[0]) not in approvals.questioned()


def test_a_question_ends_where_nothing_is_left_to_ask(connected, approvals, asked, old, new):
    approvals.write(withdrawn="keep")
    for product in new[2:]:
        connected.remove(product.id)
    settled = approvals.reconcile()
    assert settled["asks"] == asked["asks"]
    assert settled["report"]["approval"]["waiting"] == 0
    with pytest.raises(AirflowSkipException, match="or none waits"):
        approvals.ask()
    assert approvals.answer(is_approved=True)["removed"] == []
    assert set(names(*old[2:])) < set(held(approvals.output))


def flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "no item", "withdrawn", "offered anew"])
def test_only_what_a_new_look_names_too_is_removed(connected, approvals, asked, old, new, harm):
    successor, kept = new[-1], old[-1]
    path = approvals.file_of(successor)
    if harm == "flipped":
        flip(path)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "gone":
        path.unlink()
    elif harm == "no item":
        (path.parent / "item.json").unlink()
    elif harm == "withdrawn":
        connected.remove(successor.id)
    else:
        newer_of(kept, connected, baseline="05.13", generation="2024-10-01T00:00:00Z")
    before = approvals.file_of(kept).read_bytes()
    removed = approvals.answer(is_approved=True)["removed"]
    assert sorted(removed) == names(*old[2:-1])
    assert approvals.file_of(kept).read_bytes() == before


@pytest.mark.parametrize("policy", ["keep", "quarantine"])
def test_a_changed_policy_is_not_what_was_approved(approvals, asked, old, policy):
    approvals.write(superseded=policy)
    assert approvals.answer(is_approved=True)["removed"] == []
    assert set(names(*old[2:])) < set(held(approvals.output))


def test_nothing_is_done_for_an_ingest_that_is_switched_off(approvals, asked, old, new):
    with pytest.raises(AirflowSkipException, match="switched off"):
        approvals.ask("another", is_paused=True)
    with pytest.raises(AirflowSkipException, match="switched off"):
        approvals.answer(is_approved=True, is_paused=True)
    assert held(approvals.output) == names(*old[2:], *new)


def test_a_product_that_another_run_has_is_left_and_asked_for_again(
    approvals, asked, old, new, clock
):
    claim = approvals.output / f".staging/.claims/{stem(old[-1])}.json"
    claim.parent.mkdir(parents=True, exist_ok=True)
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    claim.write_text(json.dumps({"dag_id": "other", "run_id": "r", "until": until}))
    assert sorted(approvals.answer(is_approved=True)["removed"]) == names(*old[2:-1])
    claim.unlink()
    clock.now += timedelta(hours=1)
    settled = approvals.reconcile()
    assert settled["report"]["approval"]["waiting"] == 1
    assert settled["asks"] != asked["asks"]


def test_a_removal_that_was_killed_is_told_downstream_all_the_same(
    approvals, asked, old, new, monkeypatch
):
    really, lives = Mender._retire, [1]

    def mortal(self, policy, product):
        lives[0] -= 1
        if lives[0] < 0:
            raise KeyboardInterrupt
        return really(self, policy, product)

    with monkeypatch.context() as patch:
        patch.setattr(Mender, "_retire", mortal)
        with pytest.raises(KeyboardInterrupt):
            approvals.answer(is_approved=True)
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert sum(len(one["replaced"]) for one in settled["changes"].values()) == LEFT
    assert held(approvals.output) == names(*new)


def test_a_question_names_no_more_than_the_record_does(approvals, asked, old, new):
    """Who may trigger, or forges a question, reaches nothing that the ingest's own plan lacks."""
    (path,) = approvals.output.glob(f"runs/{DAG_ID}/{approvals.run_id}/*/question.json")
    question = json.loads(path.read_text())
    (line,) = [one for one in question["removals"] if one["name"] == stem(old[-1])]
    forged = {**line, "name": stem(new[0]), "id": new[0].id}
    path.write_text(json.dumps({**question, "removals": [forged, {**forged, "day": "2020-01-01"}]}))
    assert approvals.answer(is_approved=True)["removed"] == []
    path.write_text("{")
    assert approvals.answer(is_approved=True)["removed"] == []
    assert held(approvals.output) == names(*old[2:], *new)


@pytest.mark.parametrize("name", ["", "nonsense", "../ingests/sentinel2_daily", "/etc/passwd", "*"])
def test_only_an_ingest_of_the_folder_can_be_asked_about(approvals, name):
    with pytest.raises(ConfigurationError, match=r"there is no .*; there are sentinel2_daily"):
        approvals.ask("another", ingest=name)


def test_a_misspelt_setting_of_the_run_is_refused(approvals):
    with pytest.raises(QueryError, match="has no param path; there are ingest, with_rejected"):
        approvals.ask("another", conf={"path": "x"})


def test_the_question_shows_the_plan(approvals, asked, old, new):
    question = approvals.ask("another")
    assert question["subject"] == (
        f"{INGEST}: may {LEFT} products be removed or moved to quarantine?"
    )
    rows = [line for line in question["body"].splitlines() if line.startswith("| S2")]
    assert len(rows) == LEFT
    shown = rows[0].replace("&#95;", "_")
    assert shown.startswith(f"| {stem(old[2])} | 2024-07-30 | T36TXL | superseded |")
    assert f"| {stem(new[2])} | removed |" in shown


def test_a_dry_run_asks_nobody(approvals, old, new, ingest):
    ingest(
        make_context(run_id="more"), first_day=f"{DAY - timedelta(days=COUNT)}", last_day=f"{DAY}"
    )
    settled = approvals.reconcile(is_dry_run=True)
    assert settled["asks"] == []
    assert held(approvals.output) == names(*old, *new)
    assert not (approvals.output / RECORD).exists()


@pytest.mark.parametrize("policy", ["quarantine", "keep"])
def test_moves_to_quarantine_count_and_what_is_kept_asks_nobody(approvals, old, new, policy):
    approvals.write(superseded=policy)
    settled = approvals.reconcile()
    kept = old if policy == "keep" else old[2:]
    assert held(approvals.output) == names(*kept, *new)
    assert settled["report"]["approval"]["waiting"] == (0 if policy == "keep" else LEFT)
    assert len(settled["asks"]) == (policy != "keep")


@pytest.mark.parametrize(("most", "gone"), [(0, 0), (1, 1), (2, 2), (100, 2)])
def test_the_limit_is_a_setting_of_the_ingest(approvals, old, new, most, gone):
    approvals.write(max_removals=most)
    settled = approvals.reconcile()
    assert held(approvals.output) == names(*old[gone:], *new)
    assert settled["report"]["approval"]["waiting"] == COUNT - gone


@pytest.mark.parametrize("most", [-1, 1.5, "10", None, True])
def test_a_limit_is_a_whole_number(approvals, most):
    approvals.write(max_removals=most)
    with pytest.raises(ConfigurationError, match="max_removals"):
        approvals.reconcile()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"done": "x"}'])
def test_with_a_damaged_record_everything_is_asked_for(approvals, old, new, content):
    path = approvals.output / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    settled = approvals.reconcile()
    assert held(approvals.output) == names(*old, *new)
    assert settled["report"]["approval"]["waiting"] == COUNT
    page = (approvals.output / f"reports/{INGEST}/latest.html").read_text()
    assert "The record of earlier removals is damaged" in page


def test_what_was_withdrawn_is_limited_and_asked_for_too(connected, approvals, old):
    for product in old:
        connected.remove(product.id, "Corrupted product")
    connected.add(lake_product(sensed=f"{DAY}T10:36:01.024Z"))
    settled = approvals.reconcile()
    assert len([one for one in states(settled).values() if one == ("withdrawn", "gone")]) == 2
    assert settled["report"]["approval"]["waiting"] == LEFT
    approvals.ask()
    settled = approvals.answer(is_approved=True)
    assert sorted(settled["removed"]) == names(*old[2:])
    assert sorted(
        gone for one in settled["changes"].values() for gone in one["withdrawn"]
    ) == sorted(one.id for one in old[2:])


def test_what_is_left_to_others_is_no_removal(connected, approvals, old):
    approvals.write("other")
    approvals.reconcile(name="other")
    new = [newer_of(product, connected) for product in old]
    settled = approvals.reconcile()
    rows = {one["name"]: one["action"] for one in settled["report"]["exceptions"]}
    assert {rows[stem(one)] for one in old} == {"left to other"}
    assert (settled["asks"], settled["report"]["approval"]["waiting"]) == ([], 0)
    assert held(approvals.output) == names(*old, *new)


def test_a_plan_of_days_not_looked_at_waits_on(connected, approvals, asked, old, new):
    settled = approvals.reconcile(first_day=f"{DAY}")
    assert settled["asks"] == []
    assert settled["report"]["approval"]["waiting"] == LEFT


def test_a_successor_whose_bytes_are_wrong_takes_no_place_until_it_is_right(
    connected, ingest, approvals, old
):
    new = newer_of(old[0], connected)
    ingest(make_context(run_id="more"), product_ids=[new.id])
    path = approvals.file_of(new)
    right = path.read_bytes()
    flip(path)
    approvals.write(scrub_days=0)
    settled = approvals.reconcile()
    assert states(settled)[stem(old[0])] == ("superseded", "kept")
    (row,) = settled["report"]["exceptions"]
    assert row["action"] == f"kept: of what replaces it, {path.name} is damaged"
    assert stem(old[0]) in held(approvals.output)
    settled = approvals.reconcile()
    assert states(settled) == {
        stem(new): ("damaged", "present"),
        stem(old[0]): ("superseded", "gone"),
    }
    assert path.read_bytes() == right == new.read(scl_of(new))
