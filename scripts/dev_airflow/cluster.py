"""Airflow with Celery, PostgreSQL and Redis as in docker-compose.yaml, without containers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from dev_airflow import services
from dev_airflow.airflow_stack import PROJECT, Stack
from dev_airflow.stack_settings import CELERY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WORKERS: Final = 2
CONCURRENCY: Final = 2
"""Concurrent tasks of each worker."""
PRELOAD: Final = '{"imports": ["airflow_copernicus.listeners.worker_preload"]}'


@contextlib.contextmanager
def cluster(
    home: Path,
    env: Mapping[str, str],
    own_env: Mapping[str, Mapping[str, str]] | None = None,
    dags_folder: Path = PROJECT / "dags",
) -> Iterator[Stack]:
    """Run the cluster with `worker-1` and `worker-2`; arguments as for `Stack`.

    As in docker-compose.yaml, workers preload modules, and check every second for finished tasks
    instead of every five seconds.

    Raises:
        ServiceError: PostgreSQL or Redis did not start.
        StackError: Airflow did not start.
    """
    with services.postgres() as database, services.redis() as broker:
        settings = {
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
            "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": PRELOAD,
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            **env,
        }
        with Stack(
            home,
            dags_folder=dags_folder,
            executor=CELERY,
            workers=WORKERS,
            database=database,
            env=settings,
            own_env=own_env or {},
        ) as stack:
            yield stack
