"""The service that is visited, the emulator it is compared with, and the table at the end.

Nothing that a run prints holds the account's name, its password or a token.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from copernicus_dataspace_emulator import Emulator
from tests.live.facts import cleaned
from tests.live.ledger import Ledger
from tests.live.stand_in import fill, visit_to
from tests.live.visit import ADDRESSES, SERVICES, Visit

_LEDGER = pytest.StashKey[Ledger]()
_REPORT = pytest.StashKey[Path]()
_ACCOUNT = ("COPERNICUS_USERNAME", "COPERNICUS_PASSWORD")
_MORE = ("COPERNICUS_TOTP_SECRET", "COPERNICUS_S3_ACCESS_KEY", "COPERNICUS_S3_SECRET_KEY")
"""What an account may have beside."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Take secrets out of what a failure shows: arguments of calls, captured output."""
    report = (yield).get_result()
    secrets = {os.environ.get(name, ""): f"<{name}>" for name in (*_ACCOUNT, *_MORE)}
    if report.failed:
        report.longrepr = cleaned(str(report.longrepr), secrets)
    report.sections = [(title, cleaned(text, secrets)) for title, text in report.sections]


def pytest_terminal_summary(terminalreporter, config):
    """End with the table."""
    if _LEDGER in config.stash:
        terminalreporter.section("where the service differs from the emulator")
        for line in config.stash[_LEDGER].table():
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"All answers: {config.stash[_REPORT]}")


@pytest.fixture(scope="session")
def visit(service_endpoints):
    """The service named by the environment, else the real one."""
    missing = [name for name in _ACCOUNT if not os.environ.get(name)]
    if missing:
        pytest.skip(f"needs an account: {' and '.join(missing)} not set")
    for service in SERVICES:
        service_endpoints.require(service)
    username, password = (os.environ[name] for name in _ACCOUNT)
    totp_secret, *keys = (os.environ.get(name, "") for name in _MORE)
    now = datetime.now(UTC)
    return Visit(service_endpoints, username, password, now, totp_secret, tuple(keys))


@pytest.fixture(scope="session")
def emulator_visit():
    """The emulator as it comes, with a few recent products."""
    now = datetime.now(UTC)
    with Emulator(now=None) as emulator:
        fill(emulator, now)
        yield visit_to(emulator, now)


@pytest.fixture(scope="session")
def ledger(request, visit):
    """What both sides answered; written at the end of the run."""
    kept = request.config.stash[_LEDGER] = Ledger()
    default = request.config.rootpath / "build" / "live-report.md"
    path = Path(os.environ.get("COPERNICUS_LIVE_REPORT") or default)
    request.config.stash[_REPORT] = path
    yield kept
    urls = (getattr(visit.endpoints, name) for name in ADDRESSES)
    hosts = ", ".join(urlsplit(url).netloc for url in urls if url)
    about = f"Asked: {hosts}, on {visit.now:%Y-%m-%d %H:%M} UTC, by {visit.sent} requests."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(kept.report(about), encoding="utf-8")
