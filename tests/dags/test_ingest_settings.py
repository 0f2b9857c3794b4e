"""What an ingest file cannot mean is refused in words when it is read."""

import json
import re

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.dags.ingest import dag_of
from copernicus_dataspace.errors import ConfigurationError

GOOD = "area: lake\n"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def message(folder, content):
    path = folder / "lake.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        Ingest.read(path)
    said = str(caught.value)
    assert said.startswith("lake.yaml")
    assert "\n" not in said
    assert not re.search(r"Traceback|NoneType|<class|Error\b|is not of type|'(str|int|dict)'", said)
    return said


MEANT = [
    ("max_cloud: 20", '"max_cloud" is not a setting; did you mean max_cloud_cover?'),
    ("cloud: 20", "did you mean max_cloud_cover?"),
    ("Bands: [B04]", '"Bands" is not a setting; did you mean bands?'),
    ("colour: blue", '"colour" is not a setting; known settings: area, '),
    ("<<: {bands: [B04]}", '"<<" is not a setting'),
    (
        "publication_delay: 1 week",
        'publication_delay: "1 week" cannot be used; write minutes, hour',
    ),
    ("publication_delay: soon", "such as 36 hours"),
    ("publication_delay: 24", "publication_delay: 24 cannot be used; write minutes, hours or days"),
    ("publication_delay: -1 hours", "write minutes, hours or days"),
    ("publication_delay: 24 hours\n  and more", "write minutes, hours or days"),
    ("publication_delay: |\n  24 hours\n", "write minutes, hours or days"),
    ("publication_delay: 1:30", 'publication_delay: "1:30" cannot be used'),
    ("publication_delay: 366 days", "at most 365 days"),
    (f"publication_delay: {'9' * 400} days", "at most 365 days"),
    ("publication_delay: ٣ days", "write minutes, hours or days"),
    (
        "start_day: 2026-13-01",
        'start_day: "2026-13-01" cannot be used; write a valid date',
    ),
    ("start_day: 2024-02-31x", "write a valid date"),
    ("start_day: 2024-02-30", "write a valid date, such as 2024-08-01"),
    ("start_day: 20240201", "write a valid date"),
    ("start_day: 2024-2-1", "write a valid date"),
    ("start_day: 2024-W05-1", "write a valid date"),
    ("start_day: 2024-02-01T00:00:00Z", "write a valid date"),
    (
        "start_day: 1999-12-31",
        "start_day: 1999-12-31 is outside the mission; write a day from",
    ),
    ("start_day: 9999-12-31", "is outside the mission"),
    ("start_day:", "start_day: null cannot be used"),
    ("schedule: never", 'schedule: "never" cannot be used; write a preset or cron expression'),
    ("schedule: null", "schedule: null cannot be used"),
    ("schedule: '@hourly'", "has bounds other than midnight UTC"),
    ("schedule: 0 5 * * *", "increase publication_delay"),
    ("schedule: 0 0 * * * *", "has bounds other than midnight UTC"),
    ("schedule: 0 0 31 2 *", "schedule '0 0 31 2 *'"),
    ("schedule: '0 0 * * 8'", "write a preset or cron expression"),
    ("catchup: maybe", 'catchup: "maybe" cannot be used; write true or false'),
    ("catchup: 1", "write true or false"),
    ("overwrite: 'y'", "write true or false"),
    ("connections: 21", "connections: 21 cannot be used; write an integer from 1 to 20"),
    ("connections: 0", "write an integer from 1 to 20"),
    ("connections: 2.5", "write an integer from 1 to 20"),
    ("connections: 010", 'connections: "010" cannot be used'),
    ("connections: 0x4", 'connections: "0x4" cannot be used'),
    ("connections: true", "connections: true cannot be used"),
    ("connections: .inf", "write an integer from 1 to 20"),
    ("keep_runs_days: -1", "write an integer from 0 to 36500"),
    ("one_run_at_a_time: perhaps", "write true or false"),
    ("scrub_days: .nan", "write an integer from 0 to 3650"),
    (f"scrub_days: {'9' * 5000}", "write an integer from 0 to 3650"),
    (
        "superseded: delete",
        'superseded: "delete" cannot be used; write remove or quarantine or keep',
    ),
    (
        "max_cloud_cover: 120",
        "max_cloud_cover: 120 cannot be used; write a percentage from 0",
    ),
    ('max_cloud_cover: "20"', 'max_cloud_cover: "20" cannot be used; write a percentage'),
    ("max_cloud_cover: 20%", "write a percentage from 0 to 100"),
    ("max_cloud_cover: .nan", "write a percentage from 0 to 100"),
    ("max_cloud_cover: 1e999", "write a percentage from 0 to 100"),
    ("max_cloud_cover: -1", "write a percentage from 0 to 100"),
    ("max_cloud_cover: [20]", "max_cloud_cover: [20] cannot be used"),
    ("bands: SCL_20m", 'bands: "SCL_20m" cannot be used; write a list, such as [SCL_20m, B04_10m]'),
    ("bands: []", "bands: [] cannot be used; write a list"),
    ("bands: ['', ' ']", "bands: the list is empty"),
    ("bands: [4]", "bands: [4] cannot be used"),
    ("bands: [SCL_30m]", "bands: 'SCL_30m': SCL exists at 20m and 60m"),
    ("bands: [SLC_20m]", "'SLC_20m' is not a band, did you mean SCL_20m? S2MSI2A has B01_20m|60m"),
    ("bands: [B10]", "S2MSI2A has no B10"),
    ("product_type: S2MSI1C\nbands: [SCL_20m]", "bands: 'SCL_20m': S2MSI1C has no SCL"),
    ("product_type: S2MSI1C", "bands: 'SCL_20m': S2MSI1C has no SCL"),
    ("product_type: L2A", 'product_type: "L2A" cannot be used; write S2MSI2A or S2MSI1C'),
    ("versions: newest", "write latest or all"),
    ("tiles: T36TXL", 'tiles: "T36TXL" cannot be used; write a list, such as [T36TXL, T36TYL]'),
    ("tiles: [T36TX, T99ABC, T36TXL]", 'tiles: "T36TX", "T99ABC" cannot be used; write MGRS tiles'),
    (
        "area: [8, 53, 9, 54]",
        "area: [8, 53, 9, 54] cannot be used; write the name of an area file",
    ),
    ("area: leak", 'area: "leak": no such name; there are: lake. Did you mean lake?'),
    ("area: NO", 'area: "NO": no such name'),
    ("area: 2024-01-01", 'area: "2024-01-01": no such name'),
    ("area: /etc/passwd", "not a name: paths and URLs are not allowed"),
    ("area: ../ingests/lake", "not a name: paths"),
    ("area: ' '", "it is empty"),
    ("area: {lake: north}", 'area: {"lake": "north"} is not GeoJSON'),
    ("area: 12", "area: 12 cannot be used"),
    ("area:", "area: neither area nor tiles is set; set at least one of them."),
    ("area: ''", "neither area nor tiles is set"),
    ("area: {}\ntiles: []", "neither area nor tiles is set"),
    ("area:\ntiles: ['', ' ']", "neither area nor tiles is set"),
    (
        "area: 8,53,9",
        'area: "8,53,9": 3 numbers, [8.0, 53.0, 9.0], are not a bounding box; write four',
    ),
    ("area: 8,53,9,north", "area: \"8,53,9,north\": 'north' is not a number"),
    ("area: 8,54,9,53", "the bounding box is empty: south is not below north"),
    ("area: 8,53,8,54", "west equals east"),
    ("area: 8,nan,9,54", "are not a bounding box; write four numbers"),
    (
        "area: POLIGON ((8 53, 9 53, 9 54, 8 53))",
        "POLIGON is neither a name nor a supported WKT type",
    ),
    ("area: lake (north)", 'area: "lake (north)": no such name; there are: lake. Did you mean'),
    (
        "area: CURVEPOLYGON((0 0,1 1,2 0,0 0))",
        "CURVEPOLYGON is neither a name nor a supported WKT type",
    ),
    ('area: \'{"type": "Polygon"\'', "the JSON is invalid at line 1"),
    ('area: \'{"type": "Lake"}\'', "is not GeoJSON: its type must be one of"),
    ("area: '[8, 53, 9, 54]'", "is not GeoJSON"),
    (f"area: '{'[' * 100_000}'", "nested too deeply"),
    ("transfer: zip", "write files or archive"),
    ("keep_archive: true", "keep_archive needs transfer 'archive'"),
    (
        "output_uri: data",
        "output_uri: 'data' is not an absolute path or an unambiguous URI; write, for example",
    ),
    ("output_uri: file://data", "'file://data' is not an absolute path: a local URI begins with"),
    ("output_uri: s3://", "names no bucket or has an empty part"),
    ("output_uri: s3://storage@", "names no bucket or has an empty part"),
    ("output_uri: file:///data/../etc", "has a part ., .. or ~"),
    ("output_uri: s3://storage@bucket/../x", "has a part ., .. or ~"),
    ("output_uri: s3://storage@bucket//x", "names no bucket or has an empty part"),
    ("output_uri: s3://a@b@c/x", "an unambiguous URI"),
    ("output_uri: 'file:///data '", "an unambiguous URI"),
    ('output_uri: "file:///data\\nx"', "an unambiguous URI"),
    ("output_uri: s4://storage@bucket/x", "s4:// is not an installed storage protocol; write"),
    ("output_uri: ''", "output_uri: "),
    ("output_uri: null", "output_uri: null cannot be used; write, for example, file:///data"),
    ("copernicus_conn_id: my account", "write the id of an Airflow Connection"),
    ("copernicus_conn_id: ''", "write the id of an Airflow Connection"),
    ("copernicus_conn_id: [a]", "write the id of an Airflow Connection"),
    ("description: 2024", "description: 2024 cannot be used; write a string, in quotes"),
    (
        "first_day: 2024-08-01",
        "first_day is a param of a single run: every scheduled run would",
    ),
    ("last_day: 2024-08-01", "last_day is a param of a single run"),
    ("product_ids: []", "product_ids is a param of a single run"),
]


@pytest.mark.parametrize(("content", "words"), MEANT)
def test_what_cannot_be_meant_is_said_in_words(folder, content, words):
    own = content.startswith(("area", "tiles: ["))
    said = message(folder, content if own else f"{GOOD}{content}")
    assert words in said
    assert len(said) < 700


def test_all_that_is_wrong_is_named_at_once(folder):
    said = message(folder, "max_cloud: 20\nbands: [B4]\nfirst_day: 2024-08-01\ncatchup: maybe\n")
    assert said.count("max_cloud") >= 2
    for words in (
        "'B4' is not a band",
        "first_day is a param of a single run",
        "true or false",
        "set at least one",
    ):
        assert words in said
    said = message(folder, "area: leak\nproduct_type: L1C\nbands: [B10]\ntransfer: zip")
    assert "set at least one" not in said
    assert "has no B10" not in said, "of which product type is not known"


@pytest.mark.parametrize(
    "content",
    [
        f"description: [{'x, ' * 50_000}]",
        f"{'x' * 900}: 1",
        f"bands: ['{'x' * 200_000}']",
        f"bands: [{', '.join(f'SLC_{number}' for number in range(5_000))}]",
        f"tiles: [{', '.join(f'T99{number}' for number in range(5_000))}]",
        f"schedule: {'1,' * 9_000}1 0 * * *",
        f"output_uri: {'x' * 200_000}",
        f"area: {'x' * 200_000}",
        f"area: 8,{'x' * 200_000}",
    ],
)
def test_a_message_quotes_little_of_what_it_refuses(folder, content):
    own = "" if content.startswith("area") else GOOD
    assert len(message(folder, f"{own}{content}")) < 700


def test_a_message_names_the_first_of_many_faults(folder):
    said = message(folder, GOOD + "".join(f"max_cloud{number}: 1\n" for number in range(5_000)))
    assert said.endswith("And 4,980 more.")
    assert len(said) < 2_500


@pytest.mark.parametrize("name", ["firstday", "last", "product", "products", "colour"])
def test_what_belongs_to_a_run_is_not_proposed(folder, name):
    said = message(folder, f"{GOOD}{name}: 1")
    assert not re.search(r"first_day|last_day|product_ids", said)


@pytest.mark.parametrize(
    ("content", "name", "value"),
    [
        ("catchup: yes", "catchup", True),
        ("catchup: off", "catchup", False),
        ("catchup: No", "catchup", False),
        ("connections: 3.0", "connections", 3),
        ("description: NO", "description", "NO"),
        ("description: 2024-08-01", "description", "2024-08-01"),
    ],
)
def test_usual_ways_of_writing_are_taken(folder, content, name, value):
    (folder / "lake.yaml").write_text(f"\ufeff{GOOD}{content}\r\n")
    got = getattr(Ingest.read(folder / "lake.yaml"), name)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "content",
    [
        "tiles: [t36txl]",
        "area: 8,53,9.5,54",
        "area: POINT (8 53)",
        "area: SRID=4326;multipolygon z empty",
        'area: \'{"type": "Point", "coordinates": [8, 53]}\'',
        "area: 170,53,-170,54",
        "area: lake\noutput_uri: gs://google@bucket/x",
        "area: {type: Point, coordinates: [8, 53], when: 2024-01-01}",
        "area: lake.geojson\nbands: ['*/MTD_TL.xml', B04]",
        "area: lake\ntransfer: archive\nkeep_archive: true\nmax_cloud_cover:",
        "area: lake\noutput_uri: s3://storage@bucket\nstart_day: 2015-06-27",
        "area: lake\noutput_uri: /data/sentinel2\npublication_delay: 0 minutes",
        "area: lake\noutput_uri: memory://x/y\nschedule: '@monthly'",
        json.dumps({"area": "lake", "max_cloud_cover": 12.5}),
    ],
)
def test_what_is_right_is_taken(folder, content):
    (folder / "lake.yaml").write_text(content)
    dag = dag_of(folder / "lake.yaml")
    assert "search" in dag.task_ids, dag.description
    json.dumps(DagSerialization.to_dict(dag), allow_nan=False)
