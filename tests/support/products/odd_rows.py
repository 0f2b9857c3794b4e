"""Rows of the catalogue as nobody should write them, by what is odd."""

import copy
import math

GONE = object()
"""Stands for a field that is not there."""

NAME = "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T112233.SAFE"


def entity(**changes):
    row = {
        "Id": "f867a59a-9336-46d0-93ae-e55bf29403f8",
        "Name": NAME,
        "ContentLength": 132384463,
        "PublicationDate": "2024-08-01T14:52:06.118Z",
        "Online": True,
        "S3Path": f"/eodata/Sentinel-2/MSI/L2A/2024/08/01/{NAME}",
        "Checksum": [
            {"Value": "fd35" * 16, "Algorithm": "BLAKE3"},
            {"Value": "700A3F2014AB3670408B94E4310924DD", "Algorithm": "MD5"},
        ],
        "ContentDate": {"Start": "2024-08-01T08:36:01.024Z", "End": "2024-08-01T08:36:01.024Z"},
        "GeoFootprint": {
            "type": "Polygon",
            "coordinates": [[[34, 40], [35, 40], [35, 41], [34, 40]]],
        },
        "Attributes": attributes(),
    }
    return changed(row, **changes)


def attributes(**changes):
    values = {"cloudCover": 12.5, "productType": "S2MSI2A", **changes}
    return [{"Name": name, "Value": value} for name, value in values.items() if value is not GONE]


def changed(row, **changes):
    """A row with other values of some fields."""
    row = {**copy.deepcopy(row), **changes}
    return {name: value for name, value in row.items() if value is not GONE}


def _start(value):
    return {"ContentDate": {"Start": value, "End": "2024-08-01T08:36:01.024Z"}}


def _deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


UNUSABLE = {
    "name blank": {"Name": " "},
    "name empty": {"Name": ""},
    "name missing": {"Name": GONE},
    "name null": {"Name": None},
    "name a number": {"Name": 7},
    "name a list": {"Name": [NAME]},
    "name goes up": {"Name": f"../{NAME}"},
    "name goes up inside": {"Name": NAME.replace("_N0511", "/../x_N0511")},
    "name with a backslash": {"Name": NAME.replace("_N0511", "\\x")},
    "name with a line": {"Name": NAME + "\n"},
    "name with zero": {"Name": NAME.replace("_R064", "\x00")},
    "name with half a character": {"Name": NAME.replace("_R064", "\ud800")},
    "name very long": {"Name": "S2A_MSIL2A_" + "x" * 300},
    "name of Sentinel-1": {"Name": "S1A_IW_GRDH_1SDV_20240801T083601.SAFE"},
    "name of look-alikes": {"Name": NAME.replace("S2A", "\u04052\u0410")},
    "name with another width": {"Name": NAME.replace("2024", "\uff12\uff10\uff12\uff14")},
    "name of Zarr": {"Name": NAME.replace(".SAFE", ".zarr")},
    "name of Zarr, too": {"Name": NAME.replace(".SAFE", ".SAFE.zarr")},
    "id missing": {"Id": GONE},
    "id null": {"Id": None},
    "id a list": {"Id": ["f867a59a-9336-46d0-93ae-e55bf29403f8"]},
    "id deep": {"Id": _deep(500)},
    "id a number": {"Id": 5},
    "id no UUID": {"Id": "f867a59a)/../Products(x"},
    "id with a line": {"Id": "f867a59a-9336-46d0-93ae-e55bf29403f8\n"},
    "length N/A": {"ContentLength": "N/A"},
    "length negative": {"ContentLength": -5},
    "length with a fraction": {"ContentLength": 12.5},
    "length infinite": {"ContentLength": math.inf},
    "length no number": {"ContentLength": math.nan},
    "length huge": {"ContentLength": 10**30},
    "length of many digits": {"ContentLength": int("9" * 4000)},
    "length true": {"ContentLength": True},
    "length a list": {"ContentLength": [1]},
    "dates missing": {"ContentDate": GONE},
    "dates null": {"ContentDate": None},
    "dates a list": {"ContentDate": ["2024-08-01T08:36:01.024Z"]},
    "start missing": {"ContentDate": {}},
    "start null": _start(None),
    "start a number": _start(1722501361),
    "start in month 13": _start("2024-13-01T00:00:00Z"),
    "start in year 0": _start("0000-08-01T00:00:00Z"),
    "start in year 1": _start("0001-01-01T00:00:00+14:00"),
    "start in year 9999": _start("9999-12-31T23:59:59.999Z"),
    "type unknown": {"Attributes": attributes(productType="S2MSI3X")},
    "type a path": {"Attributes": attributes(productType="../../x")},
    "type of another level": {"Attributes": attributes(productType="S2MSI1C")},
    "type a list": {"Attributes": attributes(productType=["S2MSI2A"])},
}
"""Changes to a row that leave no product which could be used."""

UNUSABLE_ROWS = {"null": None, "a text": "x", "a number": 5, "a list": [], "empty": {}}
"""Rows that are no row at all."""

UNKNOWN = {
    "length null": ({"ContentLength": None}, "size_bytes"),
    "length 0": ({"ContentLength": 0}, "size_bytes"),
    "length missing": ({"ContentLength": GONE}, "size_bytes"),
    "checksum a text": ({"Checksum": "N/A"}, "checksum"),
    "checksum an object": ({"Checksum": {"Value": "ab" * 16, "Algorithm": "MD5"}}, "checksum"),
    "checksum texts": ({"Checksum": ["ab" * 16]}, "checksum"),
    "checksum a number": ({"Checksum": 5}, "checksum"),
    "checksum null": ({"Checksum": None}, "checksum"),
    "checksum none": ({"Checksum": []}, "checksum"),
    "checksum N/A": ({"Checksum": [{"Value": "N/A", "Algorithm": "MD5"}]}, "checksum"),
    "checksum zeros": ({"Checksum": [{"Value": "0" * 32, "Algorithm": "MD5"}]}, "checksum"),
    "checksum of nothing": ({"Checksum": [{}]}, "checksum"),
    "published garbage": ({"PublicationDate": "soon"}, "published"),
    "published a number": ({"PublicationDate": 5}, "published"),
    "published empty": ({"PublicationDate": ""}, "published"),
    "published an object": ({"PublicationDate": {}}, "published"),
    "attributes missing": ({"Attributes": GONE}, "cloud_cover"),
    "attributes null": ({"Attributes": None}, "cloud_cover"),
    "attributes an object": ({"Attributes": {"cloudCover": 12.5}}, "cloud_cover"),
    "attributes of nothing": ({"Attributes": [None, 5, {}, {"Name": [1]}]}, "cloud_cover"),
    "cover N/A": ({"Attributes": attributes(cloudCover="N/A")}, "cloud_cover"),
    "cover no number": ({"Attributes": attributes(cloudCover=math.nan)}, "cloud_cover"),
    "cover infinite": ({"Attributes": attributes(cloudCover=math.inf)}, "cloud_cover"),
    "cover a list": ({"Attributes": attributes(cloudCover=[12.5])}, "cloud_cover"),
    "cover negative": ({"Attributes": attributes(cloudCover=-5)}, "cloud_cover"),
    "cover above all": ({"Attributes": attributes(cloudCover=400)}, "cloud_cover"),
    "footprint a text": ({"GeoFootprint": "POINT (1 2)"}, "footprint"),
    "footprint a list": ({"GeoFootprint": [1]}, "footprint"),
    "footprint deep": (
        {"GeoFootprint": {"type": "Polygon", "coordinates": _deep(500)}},
        "footprint",
    ),
    "path a list": ({"S3Path": ["eodata"]}, "s3_path"),
    "path a number": ({"S3Path": 5}, "s3_path"),
    "path goes up": ({"S3Path": "/eodata/../x"}, "s3_path"),
    "path with half a character": ({"S3Path": "/eodata/\ud800"}, "s3_path"),
}
"""Changes that leave one fact of a product unknown, and which."""
