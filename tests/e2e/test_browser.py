"""What a person sees and does in Airflow's UI, in a real browser.

The tests are one visit, in order: the connection saved in the first is what the runs use. With
UPDATE_IMAGES=1 the pictures of the documentation are made anew.
"""

import os
import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.provider_info import get_provider_info
from copernicus_dataspace_emulator import Emulator
from dev_airflow import services
from dev_airflow.airflow_stack import Stack
from tests.e2e.conftest import DAG, Rehearsal
from tests.support.airflow import browser

MISSING = services.missing() + ([] if browser.CHROMIUM else ["chromium"])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

CONNECTION = "copernicus_default"
FIRST, LAST = date(2024, 8, 1), date(2024, 8, 2)
BACKFILLED = date(2024, 9, 10)
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
LABEL = "T36TXL 2024-08-01 08:36 S2A L2A N05.11"
CLOUDY = 60.0
ADDRESSES = "Addresses of another Data Space"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """An Airflow of its own, because other tests count the runs of theirs."""
    home = tmp_path_factory.mktemp("browser")
    output = home / "output"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    env = {"SENTINEL2_OUTPUT_URI": output.as_uri()}
    with (
        Emulator(now=now) as emulator,
        services.postgres() as database,  # a form cannot ask again where SQLite is locked
        Stack(home / "home", env=env, database=database) as airflow,
    ):
        yield Rehearsal(airflow, emulator, output)


@pytest.fixture(scope="module")
def page(rehearsal):
    with browser.opened(rehearsal.airflow) as page:
        yield page


@pytest.fixture
def picture(page, tmp_path):
    """Keeps what the browser shows, in the documentation only where that is asked for."""
    docs = Path(__file__).parents[2] / "docs" / "images"

    def take(name):
        path = (docs if os.environ.get("UPDATE_IMAGES") else tmp_path) / name
        path.parent.mkdir(exist_ok=True)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=path)
        assert path.stat().st_size < 200_000

    return take


@pytest.fixture(scope="module")
def runs(rehearsal, page):
    """The ids of runs asked for in the UI, by a name; before the first one the DAG is on."""
    for day in (FIRST, LAST, LAST + timedelta(days=1), YESTERDAY, BACKFILLED):
        rehearsal.add(day)
    rehearsal.add(FIRST, hour=9, cloud_cover=CLOUDY)
    rehearsal.airflow.unpause(DAG)
    return {}


def test_the_connection_form_is_filled_saved_and_tested(rehearsal, page, picture):
    account = rehearsal.emulator.connection()
    browser.connections(page)
    form = browser.new_connection(page, CONNECTION, "Copernicus Data Space")
    for label in ("Account e-mail", "Account password", "Port (enter 443)"):
        expect(form.get_by_text(label, exact=True)).to_be_visible()
    for text in ("you@example.org", "Password for dataspace.copernicus.eu", "443"):
        expect(form.get_by_placeholder(text)).to_be_visible()
    expect(form.locator("[name=host]")).to_have_count(0)
    form.locator("[name=login]").fill(account["login"])
    form.locator("[name=password]").fill(account["password"])
    form.locator("[name=port]").fill("443")
    picture("connection.png")
    for section in (None, ADDRESSES):
        browser.open_section(form, section or "Extra Fields")
        for field in get_provider_info()["connection-types"][0]["conn-fields"].values():
            if field["schema"].get("section") == section:
                expect(form.get_by_text(field["label"], exact=True)).to_be_visible()
    for name, url in account["extra"].items():
        browser.param(form, name).fill(url)
    browser.save(form)
    message = browser.tested(page, CONNECTION)
    expect(message).to_contain_text(re.compile(r"Logged in\. The catalogue lists \d+ Sentinel-2"))


def test_a_wrong_password_is_refused_in_plain_words(rehearsal, page):
    wrong = "battery staple"
    browser.change_password(page, CONNECTION, wrong)
    message = browser.tested(page, CONNECTION)
    expect(message).to_contain_text("was refused: wrong e-mail or password")
    assert wrong not in page.content()
    browser.change_password(page, CONNECTION, rehearsal.emulator.connection()["password"])
    expect(browser.tested(page, CONNECTION)).to_contain_text("Logged in.")


def test_the_trigger_form_explains_every_param(rehearsal, page, runs):
    form = browser.trigger_form(page, rehearsal.airflow, DAG)
    section = None
    for name, about in PARAMS.items():
        if about["schema"].get("section") != section:
            section = about["schema"]["section"]
            browser.open_section(form, section)
        title = re.compile(rf"^\s*{re.escape(about['title'])}\s*\*?\s*$")
        expect(form.get_by_text(title)).to_be_visible()
        expect(form.get_by_text(about["description"], exact=True)).to_be_visible()
        expect(browser.param(form, name)).to_have_count(1)
    browser.open_section(form, "Run Parameters")
    assert browser.param(form, "area").input_value() == "lake"
    assert form.locator("#list_area option").first.get_attribute("value") == "lake"
    assert browser.param(form, "max_cloud_cover").input_value() == "20"
    assert browser.chosen(form, "bands") == ["SCL_20m"]


def test_a_run_without_bands_cannot_be_triggered(rehearsal, page, runs):
    form = page.get_by_role("dialog")
    browser.choose(form, "bands")
    expect(form.get_by_role("button", name="Trigger", exact=True)).to_be_disabled()
    browser.choose(form, "bands", "SCL_20m")
    expect(form.get_by_role("button", name="Trigger", exact=True)).to_be_enabled()


def test_the_trigger_form_fetches_the_days_and_bands_entered(rehearsal, page, runs, picture):
    form = page.get_by_role("dialog")
    browser.param(form, "first_day").fill(str(FIRST))
    browser.param(form, "last_day").fill(str(LAST))
    page.set_viewport_size({**browser.VIEW, "height": 1300})  # down to the bands
    picture("trigger.png")
    page.set_viewport_size(browser.VIEW)
    browser.param(form, "tiles").fill("T36TXL\nT36TYL")
    browser.param(form, "tiles").fill("")
    browser.choose(form, "bands", "SCL_20m", "red edge 1 (L2A)", "tile metadata")
    browser.param(form, "max_cloud_cover").fill("50")
    sent, status, run = browser.submitted(page, form, "Trigger", f"/dags/{DAG}/dagRuns")
    assert status == 200, run
    assert sent["conf"]["bands"] == ["SCL_20m", "B05_20m", "*/MTD_TL.xml"]
    runs["chosen"] = run["dag_run_id"]
    expect(form).to_be_hidden()


def test_the_trigger_form_may_be_sent_as_it_is(rehearsal, page, runs):
    form = browser.trigger_form(page, rehearsal.airflow, DAG)
    browser.param(form, "max_cloud_cover").fill("")
    sent, status, run = browser.submitted(page, form, "Trigger", f"/dags/{DAG}/dagRuns")
    assert status == 200, run
    assert sent["conf"]["first_day"] is None
    assert sent["conf"]["max_cloud_cover"] is None
    assert rehearsal.finished(run["dag_run_id"]) == "success"
    assert len(rehearsal.delivered(YESTERDAY)) == 1
    assert rehearsal.finished(runs["chosen"]) == "success"
    assert {day: len(rehearsal.delivered(day)) for day in (FIRST, LAST)} == {FIRST: 2, LAST: 2}
    assert not rehearsal.delivered(LAST + timedelta(days=1))


def test_the_pages_of_a_run_name_its_products(rehearsal, page, runs, picture):
    page.goto(f"{rehearsal.airflow.url}/dags/{DAG}/runs/{quote(runs['chosen'])}")
    expect(page.get_by_text("7 Task Instances")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(LABEL))).to_have_count(2)
    picture("run.png")
    row = page.get_by_role("row", name=re.compile(rf"product\.download.*{LABEL}"))
    row.get_by_role("link").first.click()
    expect(page.get_by_text(re.compile(r"downloaded and verified\.$"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ bytes in \d+ requests and [\d.]+ s"))).to_be_visible()
    page.get_by_role("link", name="Details").click()
    link = page.get_by_role("link", name="Copernicus Browser")
    expect(link).to_have_attribute("href", re.compile(r"^https://browser\.dataspace\.copernicus"))


def test_the_note_of_a_run_says_what_arrived(rehearsal, page, runs):
    note = rehearsal.airflow.api("GET", f"dags/{DAG}/dagRuns/{quote(runs['chosen'])}")["note"]
    assert re.fullmatch(r"1 Aug 2024 to 2 Aug 2024 · 2 products · \d+\.\d+ MB", note)
    page.goto(f"{rehearsal.airflow.url}/dags/{DAG}/runs/{quote(runs['chosen'])}")
    expect(page.get_by_text(note)).to_be_visible()


def test_search_and_publish_have_links(rehearsal, page, runs):
    run = f"dags/{DAG}/dagRuns/{quote(runs['chosen'])}/taskInstances"
    links = {
        task: rehearsal.airflow.api("GET", f"{run}/{task}/links")["extra_links"]
        for task in ("search", "publish")
    }
    assert "lat=40.63" in links["search"]["Copernicus Browser"]
    assert links["search"]["Run summary"].endswith("/tasks/publish")
    assert links["publish"]["Archive"].endswith(f"/copernicus/reports/{DAG}")
    page.goto(links["search"]["Run summary"])
    expect(page.get_by_text("2 of 2 products delivered")).to_be_visible()


def test_the_log_of_a_wrong_param_ends_with_its_title(rehearsal, page, runs, picture):
    run = rehearsal.trigger(bands=["SCL_30m"])
    assert rehearsal.finished(run) == "failed"
    page.goto(f"{rehearsal.airflow.url}/dags/{DAG}/runs/{quote(run)}/tasks/search")
    lines = page.locator("[data-testid^=virtualized-item]")
    expect(lines.filter(has_text="Task failed with exception")).to_be_visible()
    expect(lines.last).to_contain_text("BandError: Bands and files (bands): 'SCL_30m': SCL exists")


def test_the_backfill_form_starts_a_backfill(rehearsal, page, runs):
    form = browser.trigger_form(page, rehearsal.airflow, DAG)
    form.get_by_text("Backfill", exact=True).click()
    browser.choose(form, "bands", "AOT_20m", "B05_60m")
    form.get_by_text("Override parameters").click()  # or Airflow sends none of them
    days = form.get_by_test_id("datetime-input")
    browser.choose_day(page, days.nth(0), BACKFILLED)
    browser.choose_day(page, days.nth(1), BACKFILLED)
    status, deadline = 0, time.monotonic() + 30
    while status != 200 and time.monotonic() < deadline:
        sent, status, answer = browser.submitted(page, form, "Run Backfill", "/backfills")
        assert status in (200, 503), answer  # 503: another component is writing to SQLite
    assert sent["dag_run_conf"]["bands"] == ["AOT_20m", "B05_60m"]
    run = f"backfill__{BACKFILLED}T23:59:59+00:00"
    assert rehearsal.finished(run) == "success"
    assert len(rehearsal.delivered(BACKFILLED)) == 2
