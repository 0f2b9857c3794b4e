"""Earlier import path of `airflow_copernicus.operators`."""

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)

__all__ = [
    "CopernicusDownloadOperator",
    "CopernicusExtractOperator",
    "CopernicusPublishOperator",
    "CopernicusSearchOperator",
]
