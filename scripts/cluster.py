"""The Airflow that docker-compose.yaml describes, without containers: Celery, PostgreSQL, Redis."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import services
from stack import Stack
from stack_settings import CELERY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WORKERS: Final = 2
CONCURRENCY: Final = 2
"""Tasks at once of each worker."""
PRELOAD: Final = '{"imports": ["copernicus.preload"]}'


@contextlib.contextmanager
def cluster(
    home: Path,
    env: Mapping[str, str],
    own_env: Mapping[str, Mapping[str, str]] | None = None,
    dags_folder: Path | None = None,
) -> Iterator[Stack]:
    """Run it, with `worker-1` and `worker-2`; the arguments are those of `Stack`.

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
        stack = Stack(
            home,
            executor=CELERY,
            workers=WORKERS,
            database=database,
            env=settings,
            own_env=own_env or {},
        )
        if dags_folder is not None:
            stack.dags_folder = dags_folder
        with stack:
            yield stack
