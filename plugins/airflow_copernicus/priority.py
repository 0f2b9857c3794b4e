"""Priority weights: tasks of current days are scheduled before backfills and repairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.task.priority_strategy import (
    PriorityWeightStrategy,
    get_airflow_priority_weight_strategies,
)

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

REPAIR_RUN_PREFIX: Final = "repair__"
"""Prefix of the ids of repair runs, which `sentinel2_reconcile` triggers."""
_PAST: Final = ("backfill__", REPAIR_RUN_PREFIX)
_PAST_OFFSET: Final = 1000
"""More than the number of tasks of any DAG, so that all past tasks rank below all others."""


class TodayFirst(PriorityWeightStrategy):
    """Airflow's `downstream` weights, with negative weights for backfill and repair runs.

    Uses the run id, because Airflow computes weights before the run type is available.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        """Return the priority weight of a task instance."""
        weight = get_airflow_priority_weight_strategies()["downstream"]().get_weight(ti)
        return weight - _PAST_OFFSET if (ti.run_id or "").startswith(_PAST) else weight


TODAY_FIRST: Final = f"{TodayFirst.__module__}.{TodayFirst.__qualname__}"
"""The `weight_rule` under which the plugin registers the strategy."""
