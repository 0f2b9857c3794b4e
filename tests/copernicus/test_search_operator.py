"""What the search refuses before there are tasks, and what it hands on at any size."""

import pytest

from copernicus.operators import CopernicusSearchOperator
from dataspace.errors import ConfigurationError
from tests.copernicus.conftest import lake_product, make_context


@pytest.fixture
def search(connected, tmp_path):
    """Return what runs a search for one tile."""

    def run(context=None, **changes):
        output = (tmp_path / "output").as_uri()
        asked = {"tiles": ["T36TXL"], "bands": ["SCL_20m"], "output_uri": output, **changes}
        return CopernicusSearchOperator(task_id="search", **asked).execute(
            context or make_context()
        )

    return run


def test_more_transfers_than_the_account_has_are_refused_before_the_search(connected, search):
    connected.add(lake_product())
    with pytest.raises(ConfigurationError, match="allows 4 transfers at once"):
        search(connections=5)
    assert connected.requests == []
    assert len(search(connections=4)) == 1
