"""Tells people of days that have failed or are late, by a POST to a webhook.

`FailedDaysNotifier` goes into a DAG's ``on_failure_callback``, `late_after` into its ``deadline``;
docs/how-to/alerts-and-metrics.md shows both. The webhook is an Airflow Connection: host is its
address, and the password, if there is one, the secret end of it.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, Final

import tenacity
from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowException

from airflow_copernicus.notifications.run_report import report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Connection, Context

CONN_ID: Final = "copernicus_alerts"

_FOUND: Final = """
{%- if alert.note %} {{ alert.note }}{% else %} \
{{ alert.delivered }} of {{ alert.products }} products delivered, {{ alert.missing_count }} missing.
{%- for product in alert.missing %}
- {{ product.name }}: {{ product.reason }}
{%- endfor %}
{%- if alert.missing_count > alert.missing | length %}
- and {{ alert.missing_count - alert.missing | length }} more
{%- endif %}
Summary: {{ alert.summary }}
{%- endif %}
Run: {{ alert.url }}
"""
FAILED: Final = "{{ alert.dag_id }} failed for {{ alert.period }}." + _FOUND
LATE: Final = (
    "{{ alert.dag_id }} is late for {{ alert.period }}: not complete by "
    "{{ deadline.deadline_time }}." + _FOUND
)

_TRIES: Final = 3
_BETWEEN_S: Final = 2.0
_ANSWER_S: Final = 20.0


class FailedDaysNotifier(BaseNotifier):
    """Posts ``{"text": …}`` with what is known of the run to a webhook, see `reports.report`.

    Both arguments are template fields; ``alert`` in a template is what is posted beside the text.
    """

    template_fields: Sequence[str] = ("conn_id", "text")

    def __init__(self, conn_id: str = CONN_ID, text: str = FAILED, **kwargs: Any) -> None:
        """Describe the message.

        Args:
            conn_id: The Airflow Connection of the webhook.
            text: Template of the message.
            **kwargs: Passed to BaseNotifier.
        """
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.text = text

    def __call__(self, *args: Any) -> None:
        """Send; of a copy, since rendering replaces the templates and runs share a notifier."""
        (context,) = args
        copy.copy(self).send({**context, "alert": report(context)})

    def send(self, context: dict[str, Any]) -> None:
        """Render and send once."""
        super().__call__(context)

    def notify(self, context: Context) -> None:
        """Post the rendered message."""
        alert: dict[str, Any] = context["alert"]  # type: ignore[typeddict-item]
        post(self.conn_id, {"text": self.text.strip(), **alert})


class LateDaysNotifier(FailedDaysNotifier):
    """The same for a missed deadline; ``deadline.deadline_time`` in its template is when."""

    def __init__(self, conn_id: str = CONN_ID, text: str = LATE, **kwargs: Any) -> None:
        """Describe the message; as of `FailedDaysNotifier`."""
        super().__init__(conn_id, text, **kwargs)


def late_after(
    interval: timedelta, conn_id: str = CONN_ID, text: str | None = None
) -> DeadlineAlert:
    """Return a deadline for a DAG: its runs succeed within so long of being queued, or it tells.

    The message is sent by the triggerer, so it needs no free worker, and any executor will do.

    Args:
        interval: From the moment a run is queued.
        conn_id: The Airflow Connection of the webhook.
        text: Template of the message; None for `LATE`, which is not spelt out here because Airflow
            makes a callback's arguments a tag of its own metrics.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(tell_late, kwargs={"conn_id": conn_id, "text": text}),
    )


async def tell_late(conn_id: str, text: str | None, context: dict[str, Any]) -> None:
    """Notify of a missed deadline, beside the triggerer's event loop; it is found by its name."""
    await asyncio.to_thread(LateDaysNotifier(conn_id, text or LATE), context)


def post(conn_id: str, message: Mapping[str, Any]) -> None:
    """Send a message as JSON to the webhook of a connection, again where that fails.

    Raises:
        AirflowException: It was not taken; the address is not told, for it may hold a secret.
    """
    url = _address(BaseHook.get_connection(conn_id))
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_fixed(_BETWEEN_S),
        retry=tenacity.retry_if_exception_type(AirflowException),
        reraise=True,
    )
    retrying(_post, conn_id, url, message)


def _post(conn_id: str, url: str, message: Mapping[str, Any]) -> None:
    import requests  # noqa: PLC0415 - not needed to parse a DAG file

    try:
        answer = requests.post(url, json=dict(message), timeout=_ANSWER_S)
    except requests.RequestException as error:
        why = type(error).__name__
    else:
        if answer.ok:
            return
        why = f"HTTP {answer.status_code}"
    raise AirflowException(f"the webhook of connection {conn_id!r} did not take the alert: {why}.")


def _address(connection: Connection) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    port = f":{connection.port}" if connection.port else ""
    secret = f"/{connection.password.lstrip('/')}" if connection.password else ""
    return f"{base.rstrip('/')}{port}{secret}"
