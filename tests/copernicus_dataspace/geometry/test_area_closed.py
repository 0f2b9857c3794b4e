"""What is in an area's file stays there, and nothing in it is followed."""

import http.server
import json
import logging
import sqlite3
import threading
import traceback
import zipfile

import geopandas
import pytest
import shapely

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.area import Area

SECRET = "s3cr3t-Passw0rd"
SQUARE = "<coordinates>0,0 1,0 1,1 0,1 0,0</coordinates>"
POLYGON = f"<Polygon><outerBoundaryIs><LinearRing>{SQUARE}</LinearRing></outerBoundaryIs></Polygon>"
GML = 'xmlns:gml="http://www.opengis.net/gml" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class Listener(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(404)
        self.end_headers()

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def listener():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def vrt(url):
    return (
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcLayer>a</SrcLayer>'
        f"<SrcDataSource>/vsicurl/{url}/a.geojson</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


def wfs(url):
    return f"<OGRWFSDataSource><URL>{url}/wfs</URL></OGRWFSDataSource>"


def gml(url):
    where = f"{url}/wfs?SERVICE=WFS&amp;VERSION=1.0.0&amp;REQUEST=DescribeFeatureType"
    return (
        f'<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" {GML} '
        f'xsi:schemaLocation="http://a {where}&amp;TYPENAME=a"><gml:featureMember><a><gml:Point>'
        "<gml:coordinates>1,2</gml:coordinates></gml:Point></a></gml:featureMember>"
        "</wfs:FeatureCollection>"
    )


def kml(url):
    links = "".join(
        f"<{kind}><Link><href>{url}/{kind}.kml</href></Link></{kind}>"
        for kind in ("NetworkLink", "Model", "GroundOverlay")
    )
    style = f"<styleUrl>{url}/style.kml#x</styleUrl>"
    return (
        f'<kml xmlns="http://www.opengis.net/kml/2.2" {GML} xsi:schemaLocation="http://a {url}/a">'
        f"<Document>{links}<Placemark>{style}{POLYGON}</Placemark></Document></kml>"
    )


def service(url):
    links = [{"rel": "next", "href": f"{url}/next"}, {"rel": "data", "href": f"{url}/data"}]
    return json.dumps({"conformsTo": [], "links": links, "type": "FeatureCollection"})


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *(("kml", one) for one in (vrt, wfs, gml, kml, service)),
        *(("zip", one) for one in (vrt, gml)),
        *(("kmz", one) for one in (vrt, kml)),
        *(("gpkg", wfs), ("shp", vrt), ("fgb", vrt), ("geojson", service)),
    ],
)
def test_nothing_is_asked_of_an_address_in_a_file(content, suffix, tmp_path, listener):
    path, text = tmp_path / f"lake.{suffix}", content(listener.url)
    if suffix in ("zip", "kmz"):
        zipped(path, doc_kml=text, a_vrt=text, a_gml=text, lake_shp=text, a_json=text)
    else:
        path.write_text(text)
    if content is kml:
        assert Area.parse("lake", folders=[tmp_path]).geometry.bounds == (0, 0, 1, 1)
    else:
        with pytest.raises(AreaError, match=rf"^Area 'lake' cannot be used: lake.{suffix}"):
            Area.parse("lake", folders=[tmp_path])
    assert listener.asked == []


@pytest.mark.parametrize(
    ("member", "content"),
    [("a_vrt", vrt), ("doc_kml", vrt), ("a_json", service), ("a_xml", wfs), ("a_gml", gml)],
)
def test_nothing_is_asked_of_an_address_in_a_zip(content, member, tmp_path, listener):
    zipped(tmp_path / "lake.zip", **{member: content(listener.url)})
    with pytest.raises(AreaError):
        Area.parse("lake", folders=[tmp_path])
    assert listener.asked == []


def test_nothing_is_asked_by_a_view_of_a_database(tmp_path, listener):
    path, box = tmp_path / "lake.gpkg", [shapely.box(0, 0, 1, 1)]
    geopandas.GeoDataFrame({"n": [1]}, geometry=box, crs=4326).to_file(path, layer="a")
    call = f"ogr_geocode('x', 'geometry', 'QUERY_TEMPLATE={listener.url}/?q=%s', 'READ_CACHE=NO')"
    with sqlite3.connect(path) as database:
        database.execute(f"create view v as select fid, {call} as geom from a")  # noqa: S608
        database.execute(
            "insert into gpkg_contents (table_name, data_type, identifier, srs_id) "
            "values ('v', 'features', 'v', 4326)"
        )
        database.execute(
            "insert into gpkg_geometry_columns values ('v', 'geom', 'GEOMETRY', 4326, 0, 0)"
        )
    with pytest.raises(AreaError):
        Area.parse("lake", folders=[tmp_path])
    assert listener.asked == []


CONTENTS = (
    SECRET,
    f'"{SECRET}"',
    f'["{SECRET}"]',
    json.dumps({"password": SECRET}),
    json.dumps({"type": SECRET}),
    json.dumps({"type": "Polygon", "coordinates": SECRET}),
    json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [SECRET, 1], [1, 1]]]}),
    json.dumps({"type": "Point", "coordinates": [SECRET, SECRET]}),
    json.dumps({"type": "Point", "coordinates": {SECRET: 1}}),
    json.dumps({"type": "FeatureCollection", "features": [SECRET]}),
    json.dumps({"type": "Feature", "geometry": {"type": "Point", SECRET: 1}}),
    json.dumps({"type": "Point", "coordinates": [0, 0], "crs": SECRET}),
    json.dumps({"type": "Point", "coordinates": [0, 0], "crs": {"properties": {"name": SECRET}}}),
    json.dumps({"type": "Point", "coordinates": [0, 0], "crs": {"properties": {"code": SECRET}}}),
    f'{{"type": "Polygon", {SECRET}',
    f"POLYGON(({SECRET}))",
    f"<kml>{SECRET}",
    f"<{SECRET}/>",
    f"\udcff{SECRET}",
)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *(("json", content) for content in CONTENTS),
        *((suffix, f"<kml>{SECRET}") for suffix in ("kml", "gpkg", "shp", "fgb", "zip", "kmz")),
    ],
)
def test_what_is_in_a_file_is_not_repeated(suffix, content, tmp_path, caplog):
    (tmp_path / f"lake.{suffix}").write_bytes(content.encode(errors="surrogateescape"))
    with caplog.at_level(logging.DEBUG), pytest.raises(AreaError) as refused:
        Area.parse("lake", folders=[tmp_path])
    said = "".join(traceback.format_exception(refused.value))
    for part in (SECRET, SECRET[:4], str(tmp_path)):
        assert part not in said
        assert part not in caplog.text


@pytest.mark.parametrize(
    "name", ["+init=/etc/passwd:root", "+proj=longlat +nadgrids=/etc/passwd", "/etc/passwd", "{}"]
)
def test_a_crs_names_no_file(name):
    crs = {"type": "name", "properties": {"name": name}}
    with pytest.raises(AreaError, match="has no valid CRS name; write EPSG"):
        Area.parse({"type": "Point", "coordinates": [1, 1], "crs": crs})
