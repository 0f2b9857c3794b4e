"""The steps of a run: search, download, extract, publish. Each is thin around a library call."""

from copernicus.operators.batch import (
    WANTED_FIELDS,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
)
from copernicus.operators.publish import CopernicusPublishOperator
from copernicus.operators.search import QUERY_FIELDS, CopernicusSearchOperator

__all__ = [
    "QUERY_FIELDS",
    "WANTED_FIELDS",
    "CopernicusDownloadOperator",
    "CopernicusExtractOperator",
    "CopernicusPublishOperator",
    "CopernicusSearchOperator",
]
