"""What Airflow shows about this project: the connection type and its form.

Read by every Airflow process at its start, so nothing heavy is imported here. What the
fields mean to the code is the hook's business.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

CONNECTION_TYPE: Final = "copernicus"
DISTRIBUTION: Final = "airflow-provider-copernicus"

_OFF: Final = (
    "As soon as one address is changed, those left empty are switched off. Hosts other than the "
    "Data Space's must be named in COPERNICUS_TRUSTED_HOSTS."
)


def get_provider_info() -> dict[str, Any]:
    """The description Airflow asks of the entry point `apache_airflow_provider`."""
    return {
        "package-name": DISTRIBUTION,
        "name": "Copernicus Data Space",
        "description": "Sentinel-2 products of the Copernicus Data Space Ecosystem.",
        "versions": [version(DISTRIBUTION)],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-name": "Copernicus Data Space",
                "hook-class-name": "airflow_copernicus.hooks.copernicus.CopernicusHook",
                "ui-field-behaviour": _standard_fields(),
                "conn-fields": _addresses() | _object_store() | _account(),
            }
        ],
    }


def _standard_fields() -> dict[str, Any]:
    """The fields every connection has: two of them hidden, the others in the service's words.

    The port stays in sight on purpose: the form sends 0 for a port that was left empty, and
    Airflow then refuses to test the stored connection with a bare "Bad Request".
    """
    return {
        "hidden-fields": ["host", "schema"],
        "relabeling": {
            "login": "Account e-mail",
            "password": "Account password",
            "port": "Port (enter 443)",
        },
        "placeholders": {
            "login": "you@example.org",
            "password": "of dataspace.copernicus.eu",
            "port": "443",
        },
    }


def _addresses() -> dict[str, Any]:
    return {
        "identity_url": _text(
            "Identity address",
            f"Realm that gives out tokens. Empty: the Data Space's own. {_OFF}",
        ),
        "catalogue_url": _text(
            "Catalogue address", f"OData root for searches. Empty: the Data Space's own. {_OFF}"
        ),
        "download_url": _text(
            "Download address", f"OData root for files. Empty: the Data Space's own. {_OFF}"
        ),
        "stac_url": _text(
            "STAC address", f"STAC root that lists files. Empty: the Data Space's own. {_OFF}"
        ),
    }


def _object_store() -> dict[str, Any]:
    return {
        "s3_endpoint_url": _text(
            "S3 address", f"Object store of the products. Empty: the Data Space's own. {_OFF}"
        ),
        "s3_access_key": _text(
            "S3 access key",
            "From the Data Space's S3 key manager. With it, single files come over S3, which can "
            "continue what broke off.",
        ),
        "s3_secret_key": _secret("S3 secret key", "The secret that belongs to the access key."),
        "transport": {
            "label": "Way of single files",
            "description": "auto: S3 where there are keys, else HTTPS, which also takes over where "
            "S3 fails. https or s3: only that. Whole zips always come over HTTPS.",
            "schema": {
                "type": ["string", "null"],
                "enum": ["auto", "https", "s3", None],
                "default": "auto",
            },
        },
    }


def _account() -> dict[str, Any]:
    return {
        "client_id": _text("OAuth client", "Leave empty unless the Data Space gave you your own."),
        "totp_secret": _secret(
            "Two-factor secret",
            "Base32 secret behind the six-digit codes. Only for accounts with two-factor login.",
        ),
        "max_connections": {
            "label": "Transfers at once",
            "description": "Downloads at the same time over all workers. An ordinary account "
            "has 4, one of a Copernicus Service 20. The pool `copernicus` follows it when the "
            "scheduler starts.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 20, "default": 4},
        },
        "request_spacing_s": {
            "label": "Pause between requests (seconds)",
            "description": "Least time between two requests of the account, over all tasks of a "
            "host. 0: none.",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 0},
        },
        "quota_gb": {
            "label": "Most in 30 days (GB)",
            "description": "No transfer begins once as much was moved; it goes on by itself. The "
            "service slows down an ordinary account after 12000 GB in any 30 days.",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 12000},
        },
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _secret(label: str, description: str) -> dict[str, Any]:
    schema = {"type": ["string", "null"], "format": "password"}
    return {"label": label, "description": description, "schema": schema}


EXTRA_FIELDS: Final = frozenset(_addresses() | _object_store() | _account())
"""Every key the connection's extra may hold."""
