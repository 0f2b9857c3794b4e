"""What a client leaves behind when it is closed, and what it does not touch before it is needed."""

import pytest

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.limits.transfer_slots import TransferSlots
from copernicus_dataspace.service import ClientOptions, Service
from tests.copernicus_dataspace.conftest import account_of, endpoints_of


def test_a_search_creates_no_shared_state(emulator, tmp_path):
    options = ClientOptions(state_dir=tmp_path / "state")
    with Service(endpoints_of(emulator), account_of(emulator), options=options) as client:
        client.catalogue.search(Query(sensed=MISSION))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_logout_still_releases_all(emulator, monkeypatch):
    released = []

    def interrupted():
        raise KeyboardInterrupt

    client = Service(endpoints_of(emulator), account_of(emulator))
    monkeypatch.setattr(client.tokens, "end", interrupted)
    for kind in (TransferSlots, Http):
        monkeypatch.setattr(kind, "close", lambda self: released.append(type(self)))
    with pytest.raises(KeyboardInterrupt):
        client.close()
    assert released == [TransferSlots, Http]
