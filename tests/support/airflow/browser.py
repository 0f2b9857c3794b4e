"""Airflow's web UI as a person uses it: the browser, and the forms of version 3.3."""

import contextlib
import re
import shutil

from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
)
VIEW = {"width": 1280, "height": 900}
PATIENCE_MS = 90_000  # pages take seconds while tasks run on the same two processors


@contextlib.contextmanager
def opened(airflow):
    """Give a page that is logged in to the UI of a running Airflow."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport=VIEW, locale="en-US", timezone_id="UTC")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(airflow.url)
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", airflow.password)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Admin")).to_be_visible()
        yield page
        browser.close()


def connections(page):
    """Open the list of connections through the menu."""
    page.get_by_role("button", name="Admin").click()
    page.get_by_role("menuitem", name="Connections").click()
    page.wait_for_url("**/connections")


def new_connection(page, connection_id, kind):
    """Open the form for a connection of a type; return it."""
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("[name=connection_id]").fill(connection_id)
    form.get_by_role("combobox").click()
    page.get_by_role("option", name=kind, exact=True).click()
    expect(form.locator("[name=login]")).to_be_visible()
    return form


def save(form):
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


def change_password(page, connection_id, password):
    """Change the password of a saved connection, and nothing else."""
    row = page.get_by_role("row", name=re.compile(connection_id))
    row.get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    form.locator("[name=password]").fill(password)
    save(form)


def tested(page, connection_id):
    """Press Test in the row of a saved connection; return the message that pops up."""
    row = page.get_by_role("row", name=re.compile(connection_id))
    messages = page.locator("[data-scope=toast][data-part=root]", has_text="Test Connection")
    expect(messages).to_have_count(0)
    row.get_by_role("button", name="Test Connection").click()
    messages.wait_for()
    return messages


def trigger_form(page, airflow, dag_id):
    """Open the trigger form of a DAG; return it."""
    page.goto(f"{airflow.url}/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    expect(form.locator("[name=element_area]")).to_be_visible()
    return form


def param(form, name):
    return form.locator(f"[name=element_{name}]")


def open_section(form, name):
    """Open a closed section of a form, which closes the one that is open."""
    form.get_by_role("button", name=name, exact=True).click()


def chosen(form, name):
    """Return the values chosen in a multi-select."""
    return [one.input_value() for one in param(form, name).all()]


def choose(form, name, *values):
    """Replace what is chosen in a multi-select, as a person does who types and presses Enter."""
    box = form.locator(f"#element_{name}").get_by_role("combobox")
    box.click()
    for _ in filter(None, chosen(form, name)):
        box.press("Backspace")
    for value in values:
        box.fill(value)
        box.press("Enter")
    box.blur()


def submitted(page, form, button, path):
    """Press a button of a form; return what was sent, the status, and what came back."""
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and answer.url.endswith(path)
    ) as waiting:
        form.get_by_role("button", name=button, exact=True).click()
    answer = waiting.value
    return answer.request.post_data_json, answer.status, answer.json()


def choose_day(page, field, day):
    """Fill one of the backfill form's fields for a date, at midnight."""
    field.click()
    picker = page.locator("[data-scope=popover][data-part=content][data-state=open]")
    picker.get_by_placeholder("YYYY/MM/DD").fill(f"{day:%Y/%m/%d}")
    picker.get_by_placeholder("HH:mm").fill("00:00")
    picker.get_by_placeholder("HH:mm").press("Enter")
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
