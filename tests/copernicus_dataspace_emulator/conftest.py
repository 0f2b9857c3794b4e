"""A signed-in client of the emulator, as plain as possible."""

import json
from pathlib import Path

import pytest
import requests

PASSWORD = "correct horse"


@pytest.fixture
def grant(emulator):
    """Ask the token endpoint; keyword arguments are the form's fields."""

    def ask(**form):
        url = f"{emulator.identity_url}/protocol/openid-connect/token"
        return requests.post(url, data=form, timeout=10)

    return ask


@pytest.fixture
def sign_in(grant):
    """The answer of a password grant for the one user."""

    def ask(**more):
        about = {"grant_type": "password", "client_id": "cdse-public"}
        return grant(**about, username="user@example.org", password=PASSWORD, **more)

    return ask


@pytest.fixture
def bearer(sign_in):
    """Headers that open the download."""
    return {"Authorization": f"Bearer {sign_in().json()['access_token']}"}


@pytest.fixture
def search(emulator):
    """GET a catalogue list; options as pairs or as one filter text."""

    def ask(filter_text=None, *more, listing="Products", **headers):
        options = [("$filter", filter_text)] if filter_text is not None else []
        url = f"{emulator.catalogue_url}/{listing}"
        return requests.get(url, params=[*options, *more], headers=headers, timeout=30)

    return ask


@pytest.fixture
def fetch(emulator, bearer):
    """GET below the download service's address, signed in."""

    def ask(path, **options):
        headers = {**bearer, **options.pop("headers", {})}
        url = f"{emulator.download_url}/{path}"
        return requests.get(url, headers=headers, timeout=10, allow_redirects=False, **options)

    return ask


@pytest.fixture
def recorded():
    """Read a recorded answer of the real service, where those are at hand."""
    folder = Path(__file__).parents[3] / "shared" / "cdse" / "recorded"
    if not folder.is_dir():
        pytest.skip("the recorded answers of the service are not on this machine")

    def read(name):
        text = (folder / name).read_text()
        return json.loads(text) if name.endswith(".json") else text

    return read
