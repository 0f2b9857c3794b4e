"""The page and the text of a report, as a browser and a log show them."""

import re
from datetime import date, timedelta
from html.parser import HTMLParser

import pytest

from copernicus_dataspace.reports.html_page import html, overview
from copernicus_dataspace.reports.text import as_text
from copernicus_dataspace.reports.wording import headline, percent, report_name
from tests.support.sample_report import year

VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}
STATES = {"complete", "partly", "none", "idle", "unknown"}
HOSTILE = '"><img src=http://evil.example/x onerror=alert(1)>'
TILE = {"expected": 2, "present": 1, "missing": 1, "why": ["offline 1"]}


class Page(HTMLParser):
    """Reads a page strictly: every element that opens must close, in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.cells, self.text = [], {}, text
        self._open, self._title = [], None
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "rect" and self._title:
            self.cells[self._title[:10]] = (dict(attrs), self._title)
            self._title = None

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-2:] == ["g", "title"]:
            self._title = data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def exception(**changes):
    facts = {"day": "2026-11-20", "tile": "T36TXL", "name": "S2A_X", "id": "1", "state": "late"}
    return {**facts, "why": "published late", "action": "fetched", "now": "present", **changes}


def test_page_needs_nothing_but_itself():
    page = Page(html(year()))
    addresses = {
        value
        for _, attrs in page.elements
        for name, value in attrs.items()
        if name in ("href", "src", "xlink:href", "action", "data", "srcset", "poster")
    }
    assert addresses == {"2026-11-23T030000Z.json"}
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import|javascript:", page.text)
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]


def test_page_can_be_read_by_machines_and_screen_readers():
    page = Page(html(year()))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    drawings = [one for one in page.all("svg") if "aria-hidden" not in one]
    assert all(
        one["role"] == "img" and "days are incomplete" in one["aria-label"] for one in drawings
    )


def test_nothing_of_a_report_becomes_markup():
    hostile = year(
        ingest="<script>alert(1)</script>",
        area=HOSTILE,
        notes=[HOSTILE],
        counts={HOSTILE: 1},
        days={"2026-11-20": {HOSTILE: {**TILE, "why": [HOSTILE]}}},
        exceptions=[
            {**dict.fromkeys(("day", "tile", "name", "state", "why", "action", "now"), HOSTILE)}
        ],
    )
    page = Page(html(hostile))
    assert not page.all("script")
    assert not page.all("img")
    assert "&lt;script&gt;" in page.text
    listed = Page(overview([{"ingest": "a", "why": HOSTILE}]))
    assert not listed.all("img")


@pytest.mark.parametrize("last", ["2026-11-21", "2024-02-29", "2024-12-31", "2027-01-03"])
def test_calendar_has_one_cell_for_every_day_of_the_year(last):
    cells = Page(html(year(last_day=last, known_from="2000-01-01"))).cells
    end = date.fromisoformat(last)
    assert list(cells) == [str(end - timedelta(days=ago)) for ago in reversed(range(365))]
    places = [(rect["x"], rect["y"]) for rect, _ in cells.values()]
    assert len(set(places[:180])) == 180  # of the first part
    for day, (rect, _) in cells.items():
        assert float(rect["y"]) == 12.5 + 12 * date.fromisoformat(day).weekday()
        assert 0 < float(rect["x"]) < 24 + 12 * 27


@pytest.mark.parametrize(
    ("tiles", "state", "title"),
    [
        ({"T36TXL": {**TILE, "present": 2, "missing": 0, "why": []}}, "complete", "2 of 2"),
        ({"T36TXL": TILE}, "partly", "1 of 2, missing: T36TXL offline 1"),
        ({"T36TXL": {**TILE, "why": []}}, "partly", "1 of 2, missing: T36TXL 1"),
        (
            {
                "T36TXL": {**TILE, "present": 0, "missing": 2, "why": ["late 1", "offline 1"]},
                "T36TWL": {"expected": 1, "present": 0, "missing": 1, "why": ["missing 1"]},
            },
            "none",
            "0 of 3, missing: T36TWL missing 1; T36TXL late 1, offline 1",
        ),
        ({}, "idle", "no products expected"),
        (
            {"T36TXL": {**TILE, "expected": 0, "present": 0, "missing": 0}},
            "idle",
            "no products exp",
        ),
        (None, "unknown", "unknown"),
    ],
)
def test_a_day_shows_its_state_and_says_why(tiles, state, title):
    day = "2026-11-20"
    rect, said = Page(html(year(days={day: tiles} if tiles is not None else {}))).cells[day]
    assert rect["class"] == state
    assert said.startswith(f"{day}: {title}")


def test_what_lacks_something_is_marked_by_more_than_colour():
    drawn = html(year(days={"2026-11-20": {"T36TXL": TILE}}))
    assert drawn.count('class="mark"') == 1 + 2  # and in the legend


def test_a_year_of_which_nothing_is_known_is_drawn():
    nothing = dict.fromkeys(("7", "30", "365"))
    report = year(days={}, completeness=nothing, freshness=nothing, exceptions=[], still_missing=0)
    page = Page(html(report))
    assert {rect["class"] for rect, _ in page.cells.values()} == {"unknown"}
    assert len(page.cells) == 365
    assert page.text.count("unknown") >= 6
    assert "None." in page.text
    assert "unknown of 30 days" in as_text(report)


def test_a_dry_run_and_notes_are_seen():
    noted = year(dry_run=True, notes=["the list of deleted products could not be read"])
    for said in (html(noted), as_text(noted)):
        assert "dry run" in said
        assert "could not be read" in said
    assert "dry run" not in html(year()) + as_text(year())


def test_the_page_of_20000_exceptions_can_be_used():
    many = [exception(name=f"S2A_{number}") for number in range(20_000)]
    last = exception(name="S2A_STILL_MISSING", day="2020-01-01", now="missing")
    drawn = html(year(exceptions=[*many, last]))
    assert len(drawn) < 2_000_000
    assert drawn.count("<tr>") < 1_100
    assert "19,001 more in the JSON" in drawn
    assert "<td" in drawn.partition("S2A_<wbr>STILL_<wbr>MISSING")[2]


@pytest.mark.parametrize(
    ("value", "said"),
    [(100.0, "100 %"), (99.99, "99.9 %"), (99.9, "99.9 %"), (0.0, "0 %"), (None, "unknown")],
)
def test_less_than_all_is_never_rounded_up_to_all(value, said):
    assert percent(value) == said


def test_a_report_is_named_after_the_instant_it_was_made():
    assert report_name({"made": "2026-11-23T04:00:00.123+01:00"}) == "2026-11-23T030000Z"


def test_text_tells_what_is_missing_line_by_line():
    lines = as_text(year()).splitlines()
    assert lines[0] == "sentinel2_daily  lake  S2MSI2A  2026-10-23 to 2026-11-21, by day of sensing"
    assert lines[2] == (
        "No available products of the 30 days checked are missing, and 1 product is offline; "
        "7 products repaired."
    )
    assert lines[3].startswith("Complete to 2026-11-21: 100 % of 7 days, ")
    assert "median: 5.1 h (95 %: 11.4 h) over 7 days" in lines[4]
    assert "  2026-11-12  T36TXL  0 of 1  offline 1" in lines
    (offline,) = [line for line in lines if "the Data Space has it offline" in line]
    assert offline.endswith("; reported only, now missing")


def test_text_of_long_lists_stays_short():
    days = {f"2026-{m:02}-{d:02}": {"T36TXL": TILE} for m in range(1, 11) for d in range(1, 21)}
    text = as_text(year(days=days, exceptions=[exception() for _ in range(1234)]))
    assert len(text.splitlines()) < 120
    assert "  and 150 more, see the report" in text
    assert "  and 1,184 more, see the report" in text


def test_text_of_an_archive_in_order_is_a_few_lines():
    clean = year(days={}, exceptions=[], offline=0, repaired=0, counts={"present": 5})
    assert "No products of the 30 days checked are missing." in as_text(clean)
    assert "Exceptions" not in as_text(clean)


def approval(**changes):
    facts = {
        "waiting": 13,
        "since": "2026-11-20T03:05:00+00:00",
        "path": "dags/approvals/runs/a__2026/tasks/approve/required_actions",
        "where": "task approve of approvals",
        "switch_on": "",
        "rejected": 0,
        "is_lost": False,
    }
    return {**facts, **changes}


def test_what_waits_for_approval_is_seen_with_where_to_answer():
    report = year(approval=approval())
    words = (
        "13 products wait for approval to be removed or moved to quarantine, since "
        "2026-11-20 03:05 UTC. Answer in task approve of approvals."
    )
    listed = overview([{"ingest": "a", **headline(report)}])
    assert words in as_text(report)
    for drawn, up in ((html(report), "../../../"), (listed, "../")):
        assert words in drawn
        links = [one["href"] for one in Page(drawn).all("a")]
        assert f"{up}dags/approvals/runs/a__2026/tasks/approve/required_actions" in links


def test_a_switched_off_dag_is_named():
    report = year(approval=approval(waiting=1, switch_on="approvals"))
    assert "1 product waits for approval" in as_text(report)
    assert "Switch approvals on, then answer in task approve" in html(report)


def test_an_answer_takes_the_place_of_what_waits():
    answered = year(approval=approval(answer="rejected"))
    assert "was requested and rejected." in html(answered)
    assert "Open the approval request" not in html(answered)


@pytest.mark.parametrize(
    "path",
    [
        *("javascript:alert(1)", "//evil.example", "", None, HOSTILE, "dags/x", "auth/logout"),
        *(f"dags/{up}/auth/tasks/approve/required_actions" for up in ("..", "%2e%2e", ".\t.")),
        *(f"dags/a/runs/{run}/tasks/b/required_actions" for run in ("..", "%2e.", "x?y", "x\\y")),
    ],
)
def test_no_other_address_than_of_a_dag_becomes_a_link(path):
    drawn = html(year(approval=approval(path=path)))
    assert [one["href"] for one in Page(drawn).all("a")] == ["2026-11-23T030000Z.json"]


def test_what_was_rejected_and_a_lost_record_are_noted():
    told = year(approval=approval(waiting=0, since=None, rejected=2, is_lost=True))
    for said in (html(told), as_text(told)):
        assert "The removal of 2 products was rejected: they are kept." in said
        assert "for 30 days every removal needs approval" in said
        assert "wait for approval" not in said


def test_an_older_report_says_nothing_of_approval():
    report = year()
    assert "approval" not in report
    assert "approval" not in html(report) + as_text(report) + overview(
        [{"ingest": "a", **headline(report)}]
    )


PARTLY = {
    "completeness": {"7": 100.0, "30": 100.0, "365": 99.5},
    "known_days": {"7": 7, "30": 10, "365": 10},
    "not_counted": {"7": 0, "30": 2, "365": 2},
    "offline": 2,
    "still_missing": 0,
}


def test_a_share_says_of_how_many_known_days_it_is():
    report = year(**PARTLY)
    (line,) = [one for one in as_text(report).splitlines() if one.startswith("Complete to")]
    assert line == (
        "Complete to 2026-11-21: 100 % of 7 days, "
        "100 % of the 10 known of 30 days (not counted: 2 products offline), "
        "99.5 % of the 10 known of 365 days (not counted: 2 products offline)."
    )
    assert headline(report)["shares"] == ["100 %", "100 % of 10 known", "99.5 % of 10 known"]
    drawn = html(report)
    assert drawn.count("of 10 known days") == 2
    assert drawn.count("not counted: 2 products offline") == 2
    assert "100 % of 10 known" in overview([{"ingest": "a", **headline(report)}])


def test_a_share_of_nothing_known_says_no_number_of_days():
    report = year(**{**PARTLY, "completeness": dict.fromkeys(("7", "30", "365"))})
    assert headline(report)["shares"] == ["unknown"] * 3
    assert "known days" not in html(report)


@pytest.mark.parametrize(
    ("missing", "offline", "said"),
    [
        (0, 0, "No products of the 30 days checked are missing;"),
        (0, 2, "No available products of the 30 days checked are missing, and 2 products are"),
        (1, 1, "1 product of the 30 days checked is still missing, and 1 product is offline;"),
        (3, 0, "3 products of the 30 days checked are still missing; 7 products repaired."),
    ],
)
def test_what_is_offline_is_told_apart_from_what_is_missing(missing, offline, said):
    report = year(still_missing=missing, offline=offline)
    assert headline(report)["verdict"].startswith(said)
    assert said in html(report)
    assert said in as_text(report)


def test_alarms_come_first_on_each_page():
    listed = [{"ingest": "a", "why": "no report"}]
    for drawn in (html(year(), alarms=[HOSTILE]), overview(listed, alarms=[HOSTILE])):
        page = Page(drawn)
        assert [one for one in page.all("p") if one.get("role") == "alert"] == [
            {"class": "alarm", "role": "alert"}
        ]
        assert not page.all("img")
        assert drawn.index('role="alert"') < drawn.index("<h1")
    assert "alert" not in html(year()) + overview(listed)
    assert "worth knowing" in overview(listed, notes=["worth knowing"])
