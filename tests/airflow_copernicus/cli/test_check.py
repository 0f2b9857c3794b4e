"""`airflow copernicus check`: the Test of a connection in words."""

import json

import pytest
from airflow.cli import cli_parser
from airflow.models.connection import Connection
from airflow.utils.db import initdb
from airflow.utils.session import create_session

PROCESS = "_AIRFLOW_PROCESS_CONTEXT"


@pytest.fixture
def check(monkeypatch, capsys):
    monkeypatch.setenv(PROCESS, "client")

    def check(*arguments):
        args = cli_parser.get_parser().parse_args(["copernicus", "check", *arguments])
        args.func(args)
        return capsys.readouterr().out

    return check


def test_a_good_connection_passes(connected, check):
    said = check()
    assert said.startswith("Logged in. The catalogue lists 0 Sentinel-2 products of ")
    assert said.endswith("The STAC API responds.\n")


def test_a_connection_of_the_database_is_found(emulator, check):
    initdb()
    stored = emulator.connection()
    row = Connection(
        conn_id="stored",
        conn_type="copernicus",
        login=stored["login"],
        password=stored["password"],
        port=443,
        extra=json.dumps(stored["extra"]),
    )
    with create_session() as session:
        session.add(row)
    assert "Logged in." in check("--conn-id", "stored")


def test_a_bad_connection_fails_and_says_why(emulator, connect, check, capsys):
    connect(emulator.connection() | {"password": "wrong"}, "other")
    with pytest.raises(SystemExit) as ended:
        check("--conn-id", "other")
    assert ended.value.code == 1
    assert "password" in capsys.readouterr().out


def test_a_connection_that_does_not_exist_fails_and_says_what_to_do(check, capsys):
    with pytest.raises(SystemExit) as ended:
        check("--conn-id", "nowhere")
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert said.startswith("connection 'nowhere' does not exist; add it under Admin > Connections")
