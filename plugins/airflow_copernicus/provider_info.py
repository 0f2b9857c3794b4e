"""Provider metadata: the connection type and its form in the UI.

Every Airflow process imports this module at its start, so it imports nothing heavy.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

CONNECTION_TYPE: Final = "copernicus"
DISTRIBUTION: Final = "airflow-provider-copernicus"

_OFF: Final = (
    "If any URL is set, services with an empty URL are disabled. Hosts outside the Copernicus Data "
    "Space must be listed in COPERNICUS_TRUSTED_HOSTS."
)


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata, for the entry point `apache_airflow_provider`."""
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
                "conn-fields": EXTRA_FIELDS,
            }
        ],
    }


def _standard_fields() -> dict[str, Any]:
    """Return how the standard fields of a connection are shown.

    The port stays visible, because the form sends 0 for an empty port, and Airflow then answers
    the test of the stored connection with "Bad Request".
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
            "password": "Password for dataspace.copernicus.eu",
            "port": "443",
        },
    }


def _account() -> dict[str, Any]:
    return {
        "totp_secret": _secret(
            "Two-factor secret",
            "Base32 TOTP secret. Only for accounts with two-factor authentication.",
        ),
        "max_connections": {
            "label": "Maximum concurrent transfers",
            "description": "Over all workers. A standard account may have 4, a Copernicus Services "
            "account 20. The pool `copernicus` is resized when the scheduler starts.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 20, "default": 4},
        },
        "quota_gb": {
            "label": "30-day download quota (GB)",
            "description": "Downloads wait while the volume of the last 30 days reaches this "
            "limit. The service throttles standard accounts above 12000 GB in 30 days.",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 12000},
        },
        "request_spacing_s": {
            "label": "Minimum request interval (s)",
            "description": "Minimum time between two requests of the account, over all tasks of a "
            "host. 0: no limit.",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 0},
        },
        "s3_access_key": _text(
            "S3 access key",
            "From the S3 keys manager of the Copernicus Data Space. With S3 keys, single files are "
            "downloaded over S3, and interrupted downloads are resumed.",
        ),
        "s3_secret_key": _secret("S3 secret key", "The secret key of the S3 access key."),
        "transport": {
            "label": "File transport",
            "description": "Protocol for single files. auto: S3 if keys are set, with HTTPS as "
            "fallback. https or s3: only that protocol. Zip files are always downloaded over "
            "HTTPS.",
            "schema": {
                "type": ["string", "null"],
                "enum": ["auto", "https", "s3", None],
                "default": "auto",
            },
        },
        "client_id": _text(
            "OAuth client id", "Empty: cdse-public. Set it only if you registered your own client."
        ),
    }


def _addresses() -> dict[str, Any]:
    return {
        "identity_url": _address("Identity URL", "Keycloak realm that issues tokens."),
        "catalogue_url": _address("Catalogue URL", "OData service root for searches."),
        "download_url": _address("Download URL", "OData service root for downloads."),
        "stac_url": _address("STAC URL", "STAC API root that lists files."),
        "s3_endpoint_url": _address("S3 endpoint URL", "Object storage of the products."),
    }


def _address(label: str, purpose: str) -> dict[str, Any]:
    field = _text(label, f"{purpose} Empty: the Copernicus Data Space. {_OFF}")
    field["schema"]["section"] = "Addresses of another Data Space"
    return field


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _secret(label: str, description: str) -> dict[str, Any]:
    schema = {"type": ["string", "null"], "format": "password"}
    return {"label": label, "description": description, "schema": schema}


EXTRA_FIELDS: Final = _account() | _addresses()
"""The fields of the connection's extra, in the order of the form."""
