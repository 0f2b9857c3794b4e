"""Which tasks go first: those of today before those of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.task.priority_strategy import (
    PriorityWeightStrategy,
    get_airflow_priority_weight_strategies,
)

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

REPAIR: Final = "repair__"
"""Begins the ids of runs that mend what is already there."""
_PAST: Final = ("backfill__", REPAIR)
_BEHIND: Final = 1000
"""More than the tasks of any DAG: every task of the past is behind every other one."""


class TodayFirst(PriorityWeightStrategy):
    """Airflow's own `downstream` weights, but for runs of the past, whose weights are negative.

    Airflow asks before the run's type can be read, so the run's id decides.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        """Return the weight that Airflow stores with the task instance."""
        weight = get_airflow_priority_weight_strategies()["downstream"]().get_weight(ti)
        return weight - _BEHIND if (ti.run_id or "").startswith(_PAST) else weight


TODAY_FIRST: Final = f"{TodayFirst.__module__}.{TodayFirst.__qualname__}"
"""The strategy as a `weight_rule`; the plugin registers it under this name."""
