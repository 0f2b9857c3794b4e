"""The steps of a run: search, download, extract, publish. Each is thin around a library call."""

from copernicus.operators.audit import CopernicusAuditOperator
from copernicus.operators.batch import (
    WANTED_FIELDS,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
)
from copernicus.operators.publish import CopernicusPublishOperator
from copernicus.operators.removal import CopernicusAskOperator, CopernicusRemoveOperator
from copernicus.operators.search import QUERY_FIELDS, CopernicusSearchOperator
from copernicus.operators.settle import CopernicusSettleOperator

__all__ = [
    "QUERY_FIELDS",
    "WANTED_FIELDS",
    "CopernicusAskOperator",
    "CopernicusAuditOperator",
    "CopernicusDownloadOperator",
    "CopernicusExtractOperator",
    "CopernicusPublishOperator",
    "CopernicusRemoveOperator",
    "CopernicusSearchOperator",
    "CopernicusSettleOperator",
]
