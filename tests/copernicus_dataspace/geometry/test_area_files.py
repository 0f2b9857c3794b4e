import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.area_files import named_file

LIBRARY = Path(__file__).parents[3] / "include"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("named")
    (top / "outside.geojson").write_text("{}")
    areas = top / "areas"
    (areas / "folder.geojson").mkdir(parents=True)
    (areas / "deep").mkdir()
    for name in (
        *("lake.geojson", "lake.gpkg", "Fucino 1.kml", "a:b.fgb", "étang.json", "lac (nord).shp"),
        *("secret.txt", ".hidden.geojson", "lake.geojson~", "deep/inside.geojson"),
    ):
        (areas / name).write_text("{}")
    (areas / "linked.geojson").symlink_to(top / "outside.geojson")
    (areas / ".#lake.geojson").symlink_to("somebody@host.1234")
    (areas / "gone.geojson").symlink_to(top / "nowhere.geojson")
    (areas / "round.geojson").symlink_to(areas / "round.geojson")
    os.mkfifo(areas / "pipe.geojson")
    return areas


@pytest.mark.parametrize(
    ("text", "name", "layer"),
    [
        ("lake", "lake.geojson", None),
        (" lake ", "lake.geojson", None),
        ("lake.gpkg", "lake.gpkg", None),
        ("lake:north", "lake.geojson", "north"),
        ("lake.gpkg:north shore", "lake.gpkg", "north shore"),
        ("Fucino 1", "Fucino 1.kml", None),
        ("a:b", "a:b.fgb", None),
        ("a:b:c", "a:b.fgb", "c"),
        ("étang", "étang.json", None),
        ("lac (nord)", "lac (nord).shp", None),
        ("linked", "linked.geojson", None),
    ],
)
def test_a_name_is_a_file_of_the_folder(text, name, layer, folder):
    assert named_file(text, [folder]) == (folder / name, layer)


@pytest.mark.parametrize(
    "text",
    [
        *('{"type": "Point"}', "[1]", "POINT(1 2)", "SRID=4326;POINT (1 2)", "polygon((0 0", "1,2"),
        *("10,50,11,51", "10,50,11,5l", "POLYGON EMPTY", "{../../x.geojson", "POINT(1 2)/x"),
    ],
)
def test_what_is_written_out_is_no_name(text, folder):
    assert named_file(text, [folder]) is None
    assert named_file(text, []) is None


@pytest.mark.parametrize(
    "text",
    [
        *("../outside", "../outside.geojson", "./lake", "deep/inside", "deep/inside.geojson"),
        *("..", ".", "~", "~/x.json", "/etc/passwd", "a\0b.geojson", "lake\n.geojson", ".hidden"),
        *("C:\\x.json", "..\\outside.geojson", "https://example.com/lake.geojson", "POINT", "x,y"),
        *("/vsicurl/http://localhost/x.zip", "file:///etc/x.json", "lake.geojson~", "secret.txt"),
        *("folder", "folder.geojson", "gone", "round", "pipe", "deep", ".#lake", "lake.shp", "GEO"),
        *(" ", "x" * 100_000, "nowhere:lake", "geography'", "%2e%2e%2foutside.geojson", "secret"),
    ],
)
def test_what_is_neither_is_refused_with_the_names_there_are(text, folder):
    outside = folder.parent / "outside.geojson"
    for refused in (text, str(outside), f"{outside}:layer", f"{folder}/lake.geojson"):
        with pytest.raises(AreaError) as error:
            named_file(refused, [folder])
        assert len(str(error.value)) < 600
        if refused.strip():
            assert "there are: Fucino 1, a:b, lac (nord), lake, linked, étang." in str(error.value)


@pytest.mark.parametrize("text", ["laek", "Lake", "lakes", "LAKE:north", "laek.geojson"])
def test_a_misspelt_name_is_answered_with_the_near_one(text, folder):
    with pytest.raises(AreaError, match=r"Did you mean lake\?"):
        named_file(text, [folder])


@pytest.mark.parametrize(
    "text", ["lake (1)", "lake(1)", "lac (nord 2)", "Martin (old)", "lake (a, b)", "Pointe ()"]
)
def test_a_name_with_brackets_is_no_wkt(text, folder):
    with pytest.raises(AreaError, match="no such name; there are: Fucino 1"):
        named_file(text, [folder])


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("text", ["Zürichsee", "Zürichsee.json", "Zürichsee:Süd"])
def test_a_name_is_the_same_however_its_letters_are_composed(text, written, stored, tmp_path):
    file = tmp_path / unicodedata.normalize(stored, "Zürichsee.json")
    file.write_text("{}")
    layer = "Süd" if ":" in text else None
    assert named_file(unicodedata.normalize(written, text), [tmp_path]) == (file, layer)
    with pytest.raises(AreaError, match=r"there are: Zürichsee\. Did you mean Zürichsee\?"):
        named_file(unicodedata.normalize(written, "Zürichse"), [tmp_path])


def test_without_a_folder_there_are_no_names(folder):
    for folders in ([], [folder / "none"], [folder / "secret.txt"]):
        with pytest.raises(AreaError, match="no such name; there are: none"):
            named_file("lake", folders)


def test_of_files_of_the_same_name_that_of_the_first_folder_counts(folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "lake.json").write_text("{}")
    (own / "lake.geojson").write_text("{}")
    assert named_file("lake", [own, folder]) == (own / "lake.geojson", None)
    assert named_file("lake.json", [folder, own]) == (own / "lake.json", None)
    assert named_file("Fucino 1", [own, folder]) == (folder / "Fucino 1.kml", None)


@given(st.text() | st.from_regex(r"[./\\~a-z:%\0 ]{1,30}(\.geojson|\.json)?", fullmatch=True))
def test_no_text_leads_out_of_the_folder(folder, text):
    try:
        found = named_file(text, [folder])
    except AreaError:
        return
    assert found is None or found[0].parent == folder


def test_nothing_heavy_is_imported():
    heavy = ["numpy", "shapely", "pyogrio", "pyproj", "pandas", "geopandas", "pystac"]
    code = f"import sys, json; sys.path.insert(0, {str(LIBRARY)!r}); "
    code += "import copernicus_dataspace.geometry.area_files; "
    code += f"print(json.dumps([one for one in {heavy} if one in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
