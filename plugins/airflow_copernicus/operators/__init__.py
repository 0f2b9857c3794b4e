"""Operators of the ingest, reconcile and approval DAGs; each calls the library."""

from airflow_copernicus.operators.announce import CopernicusAnnounceOperator
from airflow_copernicus.operators.products import (
    WANTED_FIELDS,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
)
from airflow_copernicus.operators.publish import CopernicusPublishOperator
from airflow_copernicus.operators.reconcile_audit import CopernicusAuditOperator
from airflow_copernicus.operators.reconcile_settle import CopernicusSettleOperator
from airflow_copernicus.operators.removal import CopernicusAskOperator, CopernicusRemoveOperator
from airflow_copernicus.operators.search import QUERY_FIELDS, CopernicusSearchOperator
from airflow_copernicus.operators.triggers import (
    CopernicusRepairOperator,
    CopernicusTriggerOperator,
)

__all__ = [
    "QUERY_FIELDS",
    "WANTED_FIELDS",
    "CopernicusAnnounceOperator",
    "CopernicusAskOperator",
    "CopernicusAuditOperator",
    "CopernicusDownloadOperator",
    "CopernicusExtractOperator",
    "CopernicusPublishOperator",
    "CopernicusRemoveOperator",
    "CopernicusRepairOperator",
    "CopernicusSearchOperator",
    "CopernicusSettleOperator",
    "CopernicusTriggerOperator",
]
