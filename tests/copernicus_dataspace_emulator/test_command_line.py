import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyotp
import pytest
import requests

from copernicus_dataspace_emulator import Emulator
from copernicus_dataspace_emulator.command_line import parser

INCLUDE = Path(__file__).parents[2] / "include"
ANY_PORT = [f"--{name}-port=0" for name in ("identity", "catalogue", "download", "stac", "s3")]


@pytest.fixture
def program():
    """Start the program; yields its first line once it answers."""
    started = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "copernicus_dataspace_emulator", *ANY_PORT, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(INCLUDE), **environment},
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def rows(ready, text):
    options = {"$filter": f"Collection/Name eq 'SENTINEL-2' and {text}", "$top": "100"}
    url = f"{ready['catalogue_url']}/Products"
    return requests.get(url, params=options, timeout=60).json()["value"]


PRODUCTS = (
    "Attributes/OData.CSC.StringAttribute/any(att:att/Name eq 'productType' and "
    "att/OData.CSC.StringAttribute/Value eq 'S2MSI2A') and "
    "OData.CSC.Intersects(area=geography'SRID=4326;POINT(34.5 40.63)')"
)
CLEAR = (
    "Attributes/OData.CSC.DoubleAttribute/any(att:att/Name eq 'cloudCover' and "
    "att/OData.CSC.DoubleAttribute/Value le 20)"
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_rehearsal_of_one_day(program, number):
    process, ready = program("--day", "2024-08-01", "--products", "3", "--scale", "0.0001")
    day = f"{PRODUCTS} and ContentDate/Start ge 2024-08-01T00:00:00Z"
    assert len(rows(ready, day)) == 4
    clear = rows(ready, f"{day} and {CLEAR}")
    assert len({row["Name"] for row in clear}) == 3
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": ready["login"], "password": ready["password"]}
    url = f"{ready['identity_url']}/protocol/openid-connect/token"
    token = requests.post(url, data=form, timeout=10).json()["access_token"]
    url = f"{ready['download_url']}/Products({clear[0]['Id']})/$value"
    body = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).content
    assert len(body) == clear[0]["ContentLength"]
    process.send_signal(number)
    assert process.wait(timeout=10) == 0


def test_a_rehearsal_of_many_days_told_another_name(program):
    _, ready = program(
        *("--from", "2025-02-01", "--to", "2025-02-10", "--products", "2", "--cloudy", "0"),
        *("--tile", "33TVM", "--public-host", "localhost", "--now", "2025-02-06T00:00:00Z"),
        *("--host", "127.0.0.1", "--scale", "0.0001"),
        EMULATOR_USER="a@b.c",
        EMULATOR_PASSWORD="given",
    )
    assert ready["login"] == "a@b.c"
    assert "password" not in ready
    assert ready["catalogue_url"].startswith("http://localhost:")
    listed = rows(ready, "contains(Name,'_T33TVM_') and contains(Name,'MSIL2A')")
    assert len(listed) == 10
    assert len({row["ContentDate"]["Start"][:10] for row in listed}) == 5


def refused(*arguments):
    """Return what the command says where it does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "copernicus_dataspace_emulator", *ANY_PORT, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
        timeout=30,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_taken_port_is_said_in_one_line():
    with Emulator() as emulator:
        port = emulator.catalogue_url.split(":")[2].split("/")[0]
        assert "cannot start" in refused(f"--catalogue-port={port}")


def test_reversed_days_are_refused():
    said = refused("--from", "2024-08-02", "--to", "2024-08-01")
    assert "--to 2024-08-01 lies before --from 2024-08-02" in said


def test_the_connection_is_what_airflow_reads(emulator):
    connection = emulator.connection(max_connections=2)
    assert connection["conn_type"] == "copernicus"
    assert connection["port"] == 443
    assert connection["extra"] == {
        "identity_url": emulator.identity_url,
        "catalogue_url": emulator.catalogue_url,
        "download_url": emulator.download_url,
        "stac_url": emulator.stac_url,
        "s3_endpoint_url": emulator.s3_endpoint_url,
        "max_connections": 2,
    }
    json.dumps(connection)


def test_services_have_ports_of_their_own(emulator):
    urls = emulator.connection()["extra"].values()
    assert len({url.split("/")[2] for url in urls}) == 5


def test_s3_keys_are_in_the_connection_only_if_they_are_asked_for(emulator):
    assert emulator.s3_secret_key not in json.dumps(emulator.connection())
    extra = emulator.connection(**emulator.s3_keys)["extra"]
    assert extra["s3_access_key"] == emulator.s3_access_key
    assert extra["s3_secret_key"] == emulator.s3_secret_key
    assert emulator.s3_secret_key not in repr(emulator)


def test_s3_keys_may_be_chosen_and_are_then_not_told(program):
    _, ready = program("--products", "1", "--scale", "0.0001")
    assert ready["s3_access_key"]
    assert ready["s3_secret_key"]
    keys = {"EMULATOR_S3_ACCESS_KEY": "access", "EMULATOR_S3_SECRET_KEY": "secret"}
    _, ready = program("--products", "1", "--scale", "0.0001", **keys)
    assert ready["s3_access_key"] == "access"
    assert "s3_secret_key" not in ready
    assert requests.get(f"{ready['stac_url']}/", timeout=10).status_code == 200
    assert requests.get(f"{ready['s3_endpoint_url']}/eodata", timeout=10).status_code == 403


def test_the_download_may_take_ranges(program):
    _, ready = program("--products", "1", "--scale", "0.0001", "--ranges", "honoured")
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": ready["login"], "password": ready["password"]}
    url = f"{ready['identity_url']}/protocol/openid-connect/token"
    token = requests.post(url, data=form, timeout=10).json()["access_token"]
    row = rows(ready, "contains(Name,'MSIL2A')")[0]
    url = f"{ready['download_url']}/Products({row['Id']})/$value"
    headers = {"Authorization": f"Bearer {token}", "Range": "bytes=0-3"}
    assert requests.get(url, headers=headers, timeout=10).content == b"PK\x03\x04"


def token_of(ready, **more):
    form = {"grant_type": "password", "client_id": "cdse-public"}
    form |= {"username": ready["login"], "password": ready["password"], **more}
    url = f"{ready['identity_url']}/protocol/openid-connect/token"
    return requests.post(url, data=form, timeout=10)


SMALL = ("--products", "2", "--cloudy", "0", "--scale", "0.0001")


def test_faults_are_scripted(program):
    _, ready = program(
        *SMALL,
        *("--fault", "catalogue:status,status=503,times=2,match=Products"),
        *("--fault", "identity:gateway,status=504,times=always,retry_after=7"),
        "--legacy-errors",
    )
    url = f"{ready['catalogue_url']}/Products"
    assert [requests.get(url, timeout=10).status_code for _ in range(3)] == [503, 503, 200]
    answers = [token_of(ready) for _ in range(5)]
    assert {(one.status_code, one.headers["Retry-After"]) for one in answers} == {(504, "7")}
    refused = requests.get(f"{ready['download_url']}/Products", timeout=10)
    assert refused.json() == {"detail": "Invalid odata path"}


def test_a_status_alone_is_a_fault_of_downloads():
    (fault,) = parser().parse_args(["--fault", "429"]).fault
    assert (fault.service, fault.kind, fault.status, fault.times) == ("download", "status", 429, 3)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("catalogue:surprise", "Unknown fault kind 'surprise'"),
        ("trace", "Unknown service 'trace'"),
        ("catalogue:status,colour=red", "'colour' is unknown; expected status, times"),
        ("catalogue:status,status=many", "invalid literal"),
    ],
)
def test_a_fault_that_is_none_is_refused(fault, words):
    assert words in refused("--fault", fault)


def test_checksums_come_late_and_products_go(program):
    _, ready = program(
        *SMALL,
        *("--from", "2024-08-01", "--to", "2024-08-02", "--checksum", "none"),
        *("--delete", "1", "--delete-after-h", "1", "--now", "2024-08-03T00:00:00Z"),
    )
    listed = rows(ready, "contains(Name,'MSIL2A')")
    assert [row["ContentDate"]["Start"][:10] for row in listed] == ["2024-08-01", "2024-08-02"]
    assert {str(row["Checksum"]) for row in listed} == {"[]"}
    gone = requests.get(f"{ready['catalogue_url']}/DeletedProducts", timeout=10).json()["value"]
    assert len(gone) == 2
    for row in gone:
        assert row["DeletionCause"] == "Obsolete product"
        assert row["DeletionDate"][:10] == row["ContentDate"]["Start"][:10]


def test_the_clock_runs_and_products_appear(program):
    _, ready = program(
        *SMALL,
        *("--from", "2024-08-01", "--to", "2024-08-31"),
        *("--now", "2024-08-02T00:00:00Z", "--clock-speed", "864000"),
    )
    assert len(rows(ready, "contains(Name,'MSIL2A')")) < 62
    until = time.monotonic() + 20
    while len(rows(ready, "contains(Name,'MSIL2A')")) < 62:
        assert time.monotonic() < until


def test_an_account_may_have_a_second_factor(program):
    _, ready = program(*SMALL, "--second-factor", "--reusable", "codes")
    assert token_of(ready).status_code == 401
    code = pyotp.TOTP(ready["totp_secret"]).now()
    assert {token_of(ready, totp=code).status_code for _ in range(2)} == {200}
    secret = pyotp.random_base32()
    _, ready = program(*SMALL, "--second-factor", EMULATOR_TOTP_SECRET=secret)
    assert "totp_secret" not in ready
    code = pyotp.TOTP(secret).now()
    assert [token_of(ready, totp=code).status_code for _ in range(2)] == [200, 401]
