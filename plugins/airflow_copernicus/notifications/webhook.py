"""Notifications about failed and late days, sent to a webhook.

Use `FailedDaysNotifier` in a DAG's ``on_failure_callback`` and `late_after` in its ``deadline``
(docs/how-to/alerts-and-metrics.md). The webhook is an Airflow Connection: the host is its URL, and
the optional password is the secret last part of the URL.
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

_DETAILS: Final = """
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
FAILED: Final = "{{ alert.dag_id }} failed for {{ alert.period }}." + _DETAILS
LATE: Final = (
    "{{ alert.dag_id }} is late for {{ alert.period }}: not complete by "
    "{{ deadline.deadline_time }}." + _DETAILS
)

_MAX_ATTEMPTS: Final = 3
RETRY_DELAY_S: Final = 2.0
_TIMEOUT_S: Final = 20.0


class FailedDaysNotifier(BaseNotifier):
    """Posts ``{"text": …}`` and the state of the run to a webhook, see `run_report.report`.

    Both arguments are template fields; ``alert`` in a template is the state of the run.
    """

    template_fields: Sequence[str] = ("conn_id", "text")

    def __init__(self, conn_id: str = CONN_ID, text: str = FAILED, **kwargs: Any) -> None:
        """Create the notifier.

        Args:
            conn_id: The Airflow Connection of the webhook.
            text: Template of the message.
            **kwargs: Passed to BaseNotifier.
        """
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.text = text

    def __call__(self, *args: Any) -> None:
        """Send the message from a copy: rendering replaces templates, and runs share a notifier."""
        (context,) = args
        copy.copy(self).send({**context, "alert": report(context)})

    def send(self, context: dict[str, Any]) -> None:
        """Render and send the message."""
        super().__call__(context)

    def notify(self, context: Context) -> None:
        """Post the rendered message."""
        alert: dict[str, Any] = context["alert"]  # type: ignore[typeddict-item]
        post(self.conn_id, {"text": self.text.strip(), **alert})


class LateDaysNotifier(FailedDaysNotifier):
    """The notifier of missed deadlines; templates have ``deadline.deadline_time``."""

    def __init__(self, conn_id: str = CONN_ID, text: str = LATE, **kwargs: Any) -> None:
        """Create the notifier; arguments as for `FailedDaysNotifier`."""
        super().__init__(conn_id, text, **kwargs)


def late_after(
    interval: timedelta, conn_id: str = CONN_ID, text: str | None = None
) -> DeadlineAlert:
    """Return a deadline for a DAG that sends a message if a run has not succeeded in time.

    The triggerer sends the message, so it needs no worker and works with any executor.

    Args:
        interval: Time since the run was queued.
        conn_id: The Airflow Connection of the webhook.
        text: Template of the message; None for `LATE`. Not the text itself, because Airflow uses
            the arguments of a callback as tags of its metrics.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(tell_late, kwargs={"conn_id": conn_id, "text": text}),
    )


async def tell_late(conn_id: str, text: str | None, context: dict[str, Any]) -> None:
    """Send the message about a missed deadline in a thread; Airflow stores the path of this."""
    await asyncio.to_thread(LateDaysNotifier(conn_id, text or LATE), context)


def post(conn_id: str, message: Mapping[str, Any]) -> None:
    """Post a message as JSON to the webhook of a connection, with retries.

    Raises:
        AirflowException: The webhook did not accept it. The message omits the URL, which may
            contain a secret.
    """
    url = _webhook_url(BaseHook.get_connection(conn_id))
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_MAX_ATTEMPTS),
        wait=tenacity.wait_fixed(RETRY_DELAY_S),
        retry=tenacity.retry_if_exception_type(AirflowException),
        reraise=True,
    )
    retrying(_post, conn_id, url, message)


def _post(conn_id: str, url: str, message: Mapping[str, Any]) -> None:
    import requests  # noqa: PLC0415 - not needed to parse a DAG file

    try:
        response = requests.post(url, json=dict(message), timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        reason = type(error).__name__
    else:
        if response.ok:
            return
        reason = f"HTTP {response.status_code}"
    error_message = f"the webhook of connection {conn_id!r} did not accept the alert: {reason}."
    raise AirflowException(error_message)


def _webhook_url(connection: Connection) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    port = f":{connection.port}" if connection.port else ""
    secret = f"/{connection.password.lstrip('/')}" if connection.password else ""
    return f"{base.rstrip('/')}{port}{secret}"
