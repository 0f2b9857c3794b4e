"""Provider metadata: the connection type with its form, and what else the provider brings.

Every Airflow process imports this module at its start, so it imports nothing heavy.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

CONNECTION_TYPE: Final = "copernicus"
DISTRIBUTION: Final = "airflow-provider-copernicus"
_INTEGRATION: Final = "Copernicus Data Space"

_OFF: Final = (
    "If any URL is set, services with an empty URL are disabled. Hosts outside the Copernicus Data "
    "Space must be listed in trusted_hosts of the section [copernicus] of airflow.cfg."
)


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata, for the entry point `apache_airflow_provider`."""
    return {
        "package-name": DISTRIBUTION,
        "name": _INTEGRATION,
        "description": "Sentinel-2 products of the Copernicus Data Space Ecosystem.",
        "versions": [version(DISTRIBUTION)],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://documentation.dataspace.copernicus.eu/",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks.copernicus"),
        "operators": _modules(
            "operators.announce",
            "operators.products",
            "operators.publish",
            "operators.reconcile_audit",
            "operators.reconcile_settle",
            "operators.removal",
            "operators.search",
            "operators.triggers",
        ),
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-name": "Copernicus Data Space",
                "hook-class-name": "airflow_copernicus.hooks.copernicus.CopernicusHook",
                "ui-field-behaviour": _standard_fields(),
                "conn-fields": EXTRA_FIELDS,
            }
        ],
        "extra-links": [
            "airflow_copernicus.links.ArchiveLink",
            "airflow_copernicus.links.ArchiveReportLink",
            "airflow_copernicus.links.CopernicusBrowserLink",
            "airflow_copernicus.links.RunSummaryLink",
        ],
        "notifications": [
            "airflow_copernicus.notifications.webhook.FailedDaysNotifier",
            "airflow_copernicus.notifications.webhook.LateDaysNotifier",
        ],
        "config": _configuration(),
        "cli": ["airflow_copernicus.cli.definition.get_commands"],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"airflow_copernicus.{name}" for name in names]
    return [{"integration-name": _INTEGRATION, "python-modules": modules}]


def _configuration() -> dict[str, Any]:
    """Return the section `[copernicus]` of airflow.cfg, see `config.environment`."""
    options = {
        "output_uri": "Where files go unless an ingest or a run says otherwise: file:///path, or "
        "s3://connection_id@bucket/path.",
        "allowed_outputs": "Further outputs that runs may write to: URIs separated by commas.",
        "ingests_folder": "Folder of ingest files.",
        "areas_folder": "Folder of area files, besides the folders of DAG files and ingest files.",
        "trusted_hosts": "Further hosts that may receive credentials, besides those of the "
        "Copernicus Data Space and localhost: host or host:port, separated by commas.",
        "state_dir": "Folder in which the tasks of a host share the account's session and limits.",
    }
    return {
        "copernicus": {
            "description": "Sentinel-2 ingestion from the Copernicus Data Space.",
            "options": {name: _option(text) for name, text in options.items()},
        }
    }


def _option(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.9.0",
        "type": "string",
        "example": None,
        "default": "",
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
