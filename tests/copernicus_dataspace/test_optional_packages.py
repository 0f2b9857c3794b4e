"""Where a package of an extra is missing, the error says which extra to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from copernicus_dataspace import Area, Client, MissingPackageError, Products

ROOT = Path(__file__).parents[2]
CRS = {"crs": {"type": "name", "properties": {"name": "EPSG:32636"}}}
POINT = {"type": "Point", "coordinates": [500000, 4500000]}


@pytest.fixture
def missing(monkeypatch):
    def remove(package):
        monkeypatch.setitem(sys.modules, package, None)

    return remove


def refusal_of(extra):
    return pytest.raises(
        MissingPackageError,
        match=rf'not installed\. Install it: pip install "airflow-provider-copernicus\[{extra}\]"',
    )


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".kml"])
def test_an_area_file_needs_files(missing, tmp_path, suffix):
    missing("pyogrio")
    file = tmp_path / f"lake{suffix}"
    file.write_bytes(b"anything")
    with refusal_of("files"):
        Area.parse(file)


def test_an_area_in_metres_needs_files(missing):
    missing("pyproj")
    with refusal_of("files"):
        Area.parse(POINT | CRS)


def test_an_area_in_degrees_needs_no_extra(missing):
    missing("pyproj")
    missing("pyogrio")
    assert Area.parse("34.4,40.6,34.6,40.7")


@pytest.mark.parametrize(("package", "geometry"), [("pandas", False), ("geopandas", True)])
def test_a_table_needs_dataframe(missing, package, geometry):
    missing(package)
    with refusal_of("dataframe"):
        Products([], []).to_dataframe(geometry=geometry)


def test_s3_keys_need_s3(missing):
    missing("botocore")
    with refusal_of("s3"):
        Client("a", "b", s3_access_key="key", s3_secret_key="secret")


@pytest.mark.parametrize("to", ["s3://bucket/folder", "s3a://bucket/folder"])
def test_an_output_in_a_bucket_needs_s3(missing, to):
    missing("s3fs")
    with Client("a", "b") as client, refusal_of("s3"):
        client.download([], bands=["SCL_20m"], to=to)


def test_the_emulator_needs_emulator():
    code = "import sys; sys.modules['pyproj'] = None; import copernicus_dataspace_emulator"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "include", capture_output=True, text=True
    )
    assert 'pip install "airflow-provider-copernicus[emulator]"' in done.stderr
