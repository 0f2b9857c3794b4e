"""A wrong param, key or argument is named as in the trigger form, by the task that reads it."""

import pytest

from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.operators import CopernicusDownloadOperator, CopernicusSearchOperator
from copernicus_dataspace.errors import AreaError, BandError, PermanentError, QueryError
from tests.airflow_copernicus.conftest import lake_product, make_context

WRONG = {
    "first_day": [
        ("soon", "'soon' is not a day; write it as YYYY-MM-DD"),
        ("1999-01-01", "the day 1999-01-01 lies before the mission"),
        (5, "'5' is not a day"),
    ],
    "last_day": [("2024-8-1", "'2024-8-1' is not a day")],
    "area": [
        ("laek", "no such name; there are: lake. Did you mean lake?"),
        ("1,2,3", "write four numbers"),
        ({"type": "Point"}, ""),
        (5, ""),
    ],
    "tiles": [(["T3"], "'T3' is not an MGRS tile; write it as T36TXL"), (5, "5 cannot be used")],
    "max_cloud_cover": [(101, "101 is not a percentage"), ("20", "'20' is not a percentage")],
    "bands": [
        (["SCL_30m"], "'SCL_30m': SCL exists at 20m and 60m"),
        ([], "(); expected a list of names"),
        (7, "7"),
    ],
    "product_type": [("L2A", "")],
    "product_ids": [(["T36TXL"], "'T36TXL' is neither a product id (UUID) nor a Sentinel-2")],
    "versions": [("newest", "'newest' is unknown; write latest or all")],
    "output_uri": [("data", "'data' "), ("file:///etc/x", "'file:///etc/x' is not allowed")],
    "transfer": [("zip", "'zip' is unknown; write files or archive")],
    "keep_archive": [("yes", "'yes'; expected true or false")],
    "overwrite": [(None, "None; expected true or false")],
}
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.fixture
def asked(tmp_path):
    return {"tiles": ["T36TXL"], "bands": ["SCL_20m"], "output_uri": (tmp_path / "out").as_uri()}


@pytest.fixture
def search(connected, asked):
    def run(context=None, **changes):
        search = CopernicusSearchOperator(task_id="search", **{**asked, **changes})
        return search.execute(context or make_context(run_type="manual"))

    return run


@pytest.fixture
def run(connected, asked, search):
    """Search, or download what is found, with one param changed."""

    def run(name, value):
        if name not in ("transfer", "keep_archive", "overwrite"):
            return search(**{name: value})
        connected.add(lake_product())
        (batch,) = search()
        wanted = {"bands": ["SCL_20m"], "output_uri": asked["output_uri"], name: value}
        download = CopernicusDownloadOperator(task_id="download", batch=batch, **wanted)
        return download.execute(make_context(run_type="manual"))

    return run


def test_every_param_is_tried():
    assert {*WRONG} == {*PARAMS}


@pytest.mark.parametrize(("name", "value", "words"), CASES)
def test_a_wrong_value_is_named_by_the_title_of_its_field(run, name, value, words):
    with pytest.raises(PermanentError) as refused:
        run(name, value)
    message = str(refused.value)
    assert message.startswith(f"{PARAMS[name]['title']} ({name})"), message
    assert words in message
    assert message.count(name) < 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"first_day": "2024-08-02", "last_day": "2024-08-01"},
            "First day (first_day), Last day (last_day): last_day 2024-08-01 lies before first_day",
        ),
        (
            {"first_day": "2024-08-02", "last_day": "tomorrow"},
            "Last day (last_day): 'tomorrow' is not a day",
        ),
        (
            {"first_day": "2204-08-01"},
            "First day (first_day), Last day (last_day): the day 2204-08-01 has not ended yet",
        ),
        (
            {"tiles": None},
            "Area of interest (area), MGRS tiles (tiles): neither area nor tiles is given",
        ),
        (
            {"product_type": "S2MSI1C", "bands": ["SCL_20m"]},
            "Bands and files (bands): 'SCL_20m': S2MSI1C has no SCL.",
        ),
    ],
)
def test_params_that_do_not_fit_each_other_are_both_named(search, params, message):
    with pytest.raises(PermanentError) as refused:
        search(**params)
    assert str(refused.value).startswith(message)


def test_days_in_a_backfill_are_named(search):
    with pytest.raises(QueryError, match=r"^First day \(first_day\), .*may not be set for a backf"):
        search(make_context(run_type="backfill"), first_day="2024-08-01")


@pytest.mark.parametrize(
    ("params", "kind"),
    [({"area": "laek"}, AreaError), ({"bands": ["x"]}, BandError), ({"tiles": ["x"]}, QueryError)],
)
def test_the_class_of_the_error_which_decides_about_retries_stays(search, params, kind):
    with pytest.raises(kind):
        search(**params)


def test_a_misspelled_key_is_suggested(search):
    context = make_context(run_type="manual", conf={"frist_day": "2024-08-01", "x": 1})
    context["dag"] = type("Dag", (), {"params": PARAMS})
    with pytest.raises(QueryError, match=r"frist_day \(did you mean first_day\?\), x in the run's"):
        search(context)
