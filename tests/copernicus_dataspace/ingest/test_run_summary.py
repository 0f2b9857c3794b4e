"""The shortest form of a run's summary."""

import pytest

from copernicus_dataspace.ingest.run_summary import in_one_line

EMPTY = {"days": ["2024-08-01"], "products": 0, "delivered": 0, "missing": [], "bytes_delivered": 0}
EMPTY |= {"offline": [], "left_out": [], "filtered_out": None}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"products": 5, "delivered": 5, "bytes_delivered": 1_500_000},
            "1 Aug 2024 · 5 products · 1.5 MB",
        ),
        (
            {"products": 1, "delivered": 1, "days": ["2024-08-31", "2024-09-01", "2024-09-02"]},
            "31 Aug 2024 to 2 Sep 2024 · 1 product · 0.000 MB",
        ),
        (
            {"products": 5, "delivered": 3, "missing": ["a", "b"], "bytes_delivered": 9e5},
            "1 Aug 2024 · 3 of 5 products delivered · 0.9 MB",
        ),
        ({}, "1 Aug 2024 · 0 products"),
        ({"days": []}, "chosen products · 0 products"),
        (
            {"filtered_out": {"cloud_cover": 3, "tiles": 2, "is_complete": True}},
            "1 Aug 2024 · 0 products · left out: 3 by the cloud limit, 2 on other tiles",
        ),
        (
            {"filtered_out": {"cloud_cover": 100, "tiles": 0, "is_complete": False}},
            "1 Aug 2024 · 0 products · left out: 100 by the cloud limit, perhaps more",
        ),
        (
            {"left_out": [{}], "offline": ["a"]},
            "1 Aug 2024 · 0 products · left out: 1 for newer versions, 1 offline",
        ),
    ],
)
def test_it_has_days_products_and_size_or_why_there_are_none(changes, line):
    assert in_one_line({**EMPTY, **changes}) == line
