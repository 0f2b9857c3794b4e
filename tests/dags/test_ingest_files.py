"""Ingest files that cannot be read or meant: none hides another, and each says what is wrong."""

import json
import os
import socket
import time

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st

from airflow_copernicus.config import ingest_settings
from airflow_copernicus.config.environment import ingests_folder
from airflow_copernicus.config.ingest_files import RESERVED_DAG_IDS
from airflow_copernicus.config.ingest_settings import Ingest, read_all
from airflow_copernicus.dags.ingest import dag_of, ingest_dags
from copernicus_dataspace.errors import ConfigurationError

GOOD = "area: lake\n"
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
)
DAGS = """
from airflow_copernicus.dags import ingest_dags, reconcile_dag

reconcile_dag()
ingest_dags({folder!r})
"""


def dangling(path):
    path.symlink_to("user@host.123")


def loop(path):
    path.symlink_to(path.name)


def bound(path):
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name}")  # its own path may be too long
        os.close(here)


def text(content):
    return lambda path: path.write_text(content, encoding="utf-8")


def raw(content):
    return lambda path: path.write_bytes(content)


UNREADABLE = {
    "dangling": (dangling, "is a broken link"),
    "loop": (loop, "symbolic links"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (bound, "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "failing": (lambda path: path.symlink_to("/proc/self/mem"), "Input/output error"),
    "huge": (text(f"area: lake\n# {'x' * 300_000}"), "more than 262,144 bytes"),
    "latin": (raw("area: lake\ndescription: étang\n".encode("latin-1")), "line 2 is not UTF-8"),
    "utf16": (raw(GOOD.encode("utf-16")), "line 1 is not UTF-8"),
    "deep": (text(f"area: {'[' * 100_000}"), "line 1: values are nested too deeply"),
    "deep_maps": (text(f"area: {'{a: ' * 5_000}"), "nested too deeply"),
    "laughs": (text(LAUGHS), "line 1: anchors (&) and aliases (*)"),
    "recursive": (text("area: &a {x: *a}"), "line 1: anchors (&) and aliases (*)"),
    "glob": (text("area: lake\nbands: [*_PVI.jp2]"), "in quotes"),
    "tags": (text("area: !!python/object/apply:os.system ['true']"), "tags such as !!set"),
    "sets": (text("tiles: !!set {T36TXL}"), "tags such as !!set"),
    "twice": (text("area: lake\nbands: [B04]\narea: lake"), "line 3: 'area' is set twice"),
    "twice_inside": (text("area: {type: Point, type: Point}"), "'type' is set twice"),
    "tabs": (text("bands:\n\t- B04"), "line 2, column 1: "),
    "list_key": (text("? [a]\n: b"), "expected the name of a setting"),
    "number_key": (text("area: lake\n1: a"), '"1" is not a setting'),
    "list": (text("- area: lake"), "it has no settings"),
    "empty_list": (text("[]"), "it has no settings"),
    "words": (text("area:lake"), "it has no settings"),
    "false": (text("false"), "it has no settings"),
    "two": (text("area: lake\n---\narea: lake"), "line 2, column 1: expected a single document"),
    "open": (text("area: lake\nbands: [B04"), "line 3, column 1: "),
    "quote": (text("area: 'lake"), "line 1, column 12"),
    "colon": (text("area: lake\ndescription: a: b"), "line 2, column 15"),
    "control": (raw(b"area: lake\ndescription: \x00"), "line 2: it contains a control character"),
    "escaped": (text('area: lake\ndescription: "\\0"'), "line 2: the text contains a control"),
    "surrogate": (text('area: lake\ndescription: "\\ud800"'), "line 2"),
    "empty": (text(""), "neither area nor tiles is set"),
    "null": (text("~"), "neither area nor tiles is set"),
    "binary": (raw(bytes(range(256))), "not UTF-8"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ingests").mkdir()
    return tmp_path / "ingests"


def parsed(folder):
    """Return the DAGs that Airflow finds, stored and read again as the scheduler does it."""
    file = folder.parent / "dags.py"
    file.write_text(DAGS.format(folder=str(folder)))
    bag = DagBag(dag_folder=str(file))
    assert bag.import_errors == {}
    for dag in bag.dags.values():
        DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    return bag.dags


def test_all_that_cannot_be_read_stands_beside_what_can(folder):
    (folder / "good.yaml").write_text(GOOD)
    for name, (make, _) in UNREADABLE.items():
        make(folder / f"{name}.yaml")
    started = time.monotonic()
    dags = parsed(folder)
    assert time.monotonic() - started < 30
    assert set(dags) == {"good", *UNREADABLE, *RESERVED_DAG_IDS[:2]}
    assert set(dags["good"].task_ids) > {"search", "publish"}
    assert dags["good"].dag_display_name == "good"
    for name, (_, words) in UNREADABLE.items():
        broken = dags[name]
        assert broken.task_ids == ["broken_ingest_file"]
        assert broken.dag_display_name.startswith(f"{name} (broken: ")
        assert len(broken.dag_display_name) < 250
        assert words in broken.description, name
        assert words in broken.doc_md
        assert "broken" in broken.tags
    assert [one.dag_id for one in read_all(folder)] == ["good"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_in_words(folder, name):
    make, words = UNREADABLE[name]
    make(folder / "lake.yaml")
    with pytest.raises(ConfigurationError, match=r"^lake\.yaml") as caught:
        Ingest.read(folder / "lake.yaml")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_gone_is_said_in_words(folder):
    with pytest.raises(
        ConfigurationError, match=r"^lake\.yaml cannot be read: it does not exist\.$"
    ):
        Ingest.read(folder / "lake.yaml")
    assert "broken" in dag_of(folder / "lake.yaml").dag_display_name


def test_a_file_nobody_may_read_is_said_in_words(folder):
    (folder / "lake.yaml").write_text(GOOD)
    (folder / "lake.yaml").chmod(0)
    was = os.geteuid()
    os.seteuid(was or 65_534)  # root may read everything
    try:
        with pytest.raises(
            ConfigurationError, match=r"^lake\.yaml cannot be read: Permission denied"
        ):
            Ingest.read(folder / "lake.yaml")
        assert "Permission denied" in dag_of(folder / "lake.yaml").description
    finally:
        os.seteuid(was)


def test_what_editors_leave_is_no_ingest(folder):
    for name in (".#lake.yaml", "lake.yaml~", "~lake.yaml", "lake~.yaml", ".lake.yaml", ".yaml"):
        (folder / name).write_text("- broken")
    for name in ("#lake.yaml#", "lake.yaml.swp", "lake.yaml.bak", "lake.json", "README.md"):
        (folder / name).write_text("- broken")
    (folder / ".#dangling.yaml").symlink_to("user@host.123")
    (folder / "folder.yaml").mkdir()
    (folder / "linked.yaml").symlink_to(folder / "folder.yaml")
    (folder / "lake.yaml").write_text(GOOD)
    assert list(ingest_dags(folder)) == ["lake"]
    assert next(read_all(folder)).dag_id == "lake"
    assert set(parsed(folder)) == {"lake", *RESERVED_DAG_IDS[:2]}


@pytest.mark.parametrize("name", ["lake.yml", "LAKE.YAML", "lake.v2.yaml", "_lake.yaml", "9.yaml"])
def test_names_that_do(folder, name):
    (folder / name).write_text(GOOD)
    ((dag_id, dag),) = ingest_dags(folder).items()
    assert dag_id == dag.dag_display_name == name.rpartition(".")[0]
    assert dag_id in parsed(folder)


def test_a_link_to_an_ingest_is_one(folder, tmp_path):
    (tmp_path / "..data").write_text(GOOD)
    (folder / "lake.yaml").symlink_to(tmp_path / "..data")
    assert list(ingest_dags(folder)) == ["lake"]


CLASHES = [
    *("lake.yml", "Lake.yaml", "no id.yaml", "no+id.yaml", "no_id.yml", "see\\x.yaml"),
    *("sentinel2_reconcile.yaml", "Sentinel2_Reconcile.yml", "sentinel2_approve_removals.yaml"),
    *("example_clear_sky.yaml", "__file__.yaml", "__name__.yaml", "-lake.yaml", "étang.yaml"),
    *(f"{'x' * 230}.yaml", "new\nline.yaml", "{{ lake }}.yaml", "dotted-name.yaml", "湖.yaml"),
    *("<b>.yaml", "lake'.yaml", 'lake".yaml', "%s.yaml", "#lake.yaml", "INGESTS.YML"),
]


def test_names_that_clash_take_nothing_from_others(folder):
    for name in ("lake.yaml", "no_id.yaml", "dotted.name.yaml", "INGESTS.yaml"):
        (folder / name).write_text(GOOD)
    for name in CLASHES:
        (folder / name).write_text("tiles: [T36TXL]")
    (folder / os.fsdecode(b"caf\xe9.yaml")).write_text(GOOD)
    dags = parsed(folder)
    right = {"no_id", "INGESTS"} | {"Lake"} | {"dotted-name"}
    assert right <= set(dags)
    good = {name for name, dag in dags.items() if "search" in dag.task_ids}
    assert good == right
    broken = [dag for dag in dags.values() if "broken" in dag.tags]
    assert len(broken) == len(CLASHES) + 5 - len(right)
    assert all("(broken: " in dag.dag_display_name for dag in broken)
    assert all(dag.dag_display_name.isprintable() for dag in broken)
    assert dags["sentinel2_reconcile"].dag_display_name == "sentinel2_reconcile"
    said = {dag.dag_display_name.split(" (broken")[0]: dag.description for dag in broken}
    assert "lake.yaml" in said["lake.yml"] or "Lake.yaml" in said["lake.yml"]
    assert "already has this DAG id" in said["lake.yaml"]
    assert "this name is reserved for a DAG of this project" in said["sentinel2_reconcile.yaml"]
    assert "the file's name is not a valid DAG id" in said["__file__.yaml"]


def test_every_other_dag_of_the_project_has_a_name_that_is_taken():
    ingests = ingests_folder()
    bag = DagBag(dag_folder=str(ingests.parents[1] / "dags"))
    assert set(bag.dags) - {path.stem for path in ingests.glob("*.yaml")} <= set(RESERVED_DAG_IDS)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(sorted(ingest_settings.SCHEMAS)) | st.text(max_size=10)


@given(content=st.dictionaries(names, values, max_size=4).map(yaml.safe_dump) | st.binary())
def test_whatever_a_file_holds_there_is_a_dag(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / "lake.yaml").write_bytes(raw)
    dag = ingest_dags(folder)["lake"]
    json.dumps(DagSerialization.to_dict(dag), ensure_ascii=False, allow_nan=False).encode()


def test_a_folder_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere cannot be read: No such file"):
        ingest_dags(tmp_path / "nowhere")
