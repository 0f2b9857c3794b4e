"""What every test shares: a home for Airflow, a closed network, and the emulator.

And how they are shared out among processes, see `_EndToEndApart`.
"""

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

_HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parents[1] / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(Path(__file__).parents[1] / "plugins")
os.environ["SENTINEL2_OUTPUT_URI"] = (_HOME / "output").as_uri()
os.environ["SENTINEL2_OUTPUT_ROOTS"] = f"file://{tempfile.gettempdir()}"  # where tmp_path lies

import hypothesis  # noqa: E402
import pytest  # noqa: E402
from xdist.scheduler import LoadFileScheduling  # noqa: E402

from copernicus_dataspace.errors import ConfigurationError  # noqa: E402
from copernicus_dataspace.http.endpoints import Endpoints  # noqa: E402
from copernicus_dataspace_emulator import Emulator  # noqa: E402

# No test is timed: the machine may be busy. `make test-long` takes the profile with more examples.
hypothesis.settings.register_profile("default", deadline=None, max_examples=40)
hypothesis.settings.register_profile("long", deadline=None, max_examples=500)
hypothesis.settings.load_profile("default")

_END_TO_END = "tests/e2e/"
_DAILY = "tests/e2e/test_daily.py"
_OWN_AIRFLOW = ("tests/e2e/examples/", "tests/e2e/test_report_page.py")
_SERVICE = ("identity_url", "catalogue_url", "download_url", "stac_url", "s3_endpoint_url")

_connect, _resolve = socket.socket.connect, socket.getaddrinfo
_open_to: set[str] = set()
"""Hosts, and their addresses once looked up, that the running test may reach off this machine."""


def _loopback_only(self, address):
    host = address[0] if isinstance(address, tuple) else ""
    at_home = host in ("", "localhost", "::1") or str(host).startswith("127.")
    if not at_home and host not in _open_to:
        message = f"a test tried to reach {address}; only this machine may be reached"
        raise RuntimeError(message)
    return _connect(self, address)


def _remembering(host, *args, **kwargs):
    found = _resolve(host, *args, **kwargs)
    if host in _open_to:
        _open_to.update(str(one[4][0]) for one in found)
    return found


socket.socket.connect, socket.getaddrinfo = _loopback_only, _remembering


class _EndToEndApart(LoadFileScheduling):
    """Gives each file to a process, but all end-to-end tests to one: they wait most of the time.

    Two Airflows beside each other on two processors make each other late.
    """

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return _END_TO_END if file.startswith(_END_TO_END) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return _EndToEndApart(config, log)


def pytest_collection_modifyitems(items):
    """Begin with the end-to-end tests, which take longest.

    Those with an Airflow of their own come first, so that two never run beside each other; then a
    DAG that was never on.
    """
    items.sort(key=lambda item: (_END_TO_END not in item.nodeid, _place(item.nodeid)))


def _place(nodeid):
    """Return where a test stands among the end-to-end tests."""
    return 0 if nodeid.startswith(_OWN_AIRFLOW) else 1 if nodeid.startswith(_DAILY) else 2


def _service():
    urls = {name: os.environ.get(f"COPERNICUS_{name.upper()}") for name in _SERVICE}
    return Endpoints.resolve(**urls)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """A live test may also reach the service that the environment names, and nothing else."""
    if item.get_closest_marker("live"):
        with contextlib.suppress(ConfigurationError):  # which the test itself will meet
            urls = (getattr(_service(), name) for name in _SERVICE)
            _open_to.update(str(urlsplit(url).hostname) for url in urls if url)
    yield
    _open_to.clear()


@pytest.fixture(scope="session")
def service_endpoints():
    """The Data Space of the live tests: the one the environment names, else the real one."""
    return _service()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """With REQUIRE_ALL nothing is skipped, but for data that lies on some machines only."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    missing = [report for report in skipped if "not on this machine" not in str(report.longrepr)]
    if os.environ.get("REQUIRE_ALL") and missing and not session.exitstatus:
        reporter.write_line("\nREQUIRE_ALL is set, but tests were skipped; install what they need:")
        for report in missing:
            reporter.write_line(f"  {report.nodeid}: {report.longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def emulator():
    """A running Data Space with no products, one account, and no faults."""
    with Emulator(now="2026-11-20T12:00:00Z") as running:
        yield running


@pytest.fixture
def sleeps():
    """The waits that were asked for, in seconds; none is really waited."""
    return []


@pytest.fixture
def shared_data():
    """Real products and areas, which lie beside the project on some machines only."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real products are not on this machine")
    return folder
