"""Declares the commands of `airflow copernicus`; every `airflow` command imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ActionCommand,
    Arg,
    GroupCommand,
    lazy_load_command,
)

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_commands() -> list[CLICommand]:
    """Return the commands, for `cli` of the provider metadata."""
    return [
        GroupCommand(
            name="copernicus",
            help="Sentinel-2 ingestion from the Copernicus Data Space",
            subcommands=[_check(), _init(), _status()],
        )
    ]


def _check() -> ActionCommand:
    conn_id = Arg(  # type: ignore[no-untyped-call] # Airflow's has no annotations
        ("--conn-id",),
        help="Id of the connection; %(default)s unless given",
        default="copernicus_default",
    )
    return ActionCommand(
        name="check",
        help="Test a connection: login, catalogue, STAC, download and S3 keys",
        description="Says what works and what does not, as Test in the connection's row of the UI. "
        "The exit status is 1 if something does not.",
        func=lazy_load_command("airflow_copernicus.cli.check.check"),
        args=(conn_id,),
    )


def _init() -> ActionCommand:
    folder = Arg(  # type: ignore[no-untyped-call] # as above
        ("folder",), help="Where to write; the DAGs folder unless given", nargs="?"
    )
    return ActionCommand(
        name="init",
        help="Write a project of one area and one ingest",
        description="Writes an area and a DAG file, and says what to do next. Existing files are "
        "kept.",
        func=lazy_load_command("airflow_copernicus.cli.init.init"),
        args=(folder,),
    )


def _status() -> ActionCommand:
    return ActionCommand(
        name="status",
        help="Show how complete the archive of each ingest is",
        description="Shows the latest report of each ingest, as the page Sentinel-2 archive of the "
        "UI does.",
        func=lazy_load_command("airflow_copernicus.cli.status.status"),
        args=(ARG_OUTPUT,),
    )
