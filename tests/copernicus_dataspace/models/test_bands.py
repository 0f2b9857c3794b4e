"""From the names a person writes to the files of a product, and to their delivered names."""

from __future__ import annotations

import contextlib
import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.download.zip_files.product_zip import open_zip
from copernicus_dataspace.errors import BandError, ConfigurationError, UnsafeContentError
from copernicus_dataspace.models.bands import check_bands, delivered_names, select_files
from copernicus_dataspace.models.manifest import SafeFile, folded, folders

GRANULE = "GRANULE/L2A_T36TXL_A047572_20240801T083601"
STEM = "T36TXL_20240801T083601"
NATIVE = {
    **dict.fromkeys(("B02", "B03", "B04", "B08", "AOT", "WVP", "TCI"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12", "SCL"), 20),
    **dict.fromkeys(("B01", "B09"), 60),
}
R10 = ("AOT", "B02", "B03", "B04", "B08", "TCI", "WVP")
R20 = (*R10[:4], "TCI", "WVP", "B01", "B05", "B06", "B07", "B8A", "B11", "B12", "SCL")
R60 = (*R20, "B09")
L1C_BANDS = (*(f"B{number:02}" for number in range(1, 13)), "B8A", "TCI")


def safe(*paths: str) -> tuple[SafeFile, ...]:
    return tuple(SafeFile(path, 1, None) for path in paths)


def images(prefix: str = "") -> tuple[str, ...]:
    return tuple(
        f"{GRANULE}/IMG_DATA/R{metres}m/{prefix}{STEM}_{band}_{metres}m.jp2"
        for metres, names in ((10, R10), (20, R20), (60, R60))
        for band in names
    )


L2A = safe(
    "MTD_MSIL2A.xml",
    f"{GRANULE}/MTD_TL.xml",
    *images(),
    *(f"{GRANULE}/QI_DATA/MSK_CLDPRB_{metres}m.jp2" for metres in (20, 60)),
    *(f"{GRANULE}/QI_DATA/MSK_SNWPRB_{metres}m.jp2" for metres in (20, 60)),
    f"{GRANULE}/QI_DATA/MSK_DETFOO_B04.jp2",
    f"{GRANULE}/QI_DATA/MSK_QUALIT_B04.jp2",
    f"{GRANULE}/QI_DATA/{STEM}_PVI.jp2",
    f"{GRANULE}/AUX_DATA/{STEM}_B04_10m.jp2",
    "DATASTRIP/DS_1/QI_DATA/GENERAL_QUALITY.xml",
    f"{GRANULE}/QI_DATA/GENERAL_QUALITY.xml",
)
L1C = safe(
    "MTD_MSIL1C.xml",
    *(f"GRANULE/L1C_T/IMG_DATA/{STEM}_{band}.jp2" for band in L1C_BANDS),
    "GRANULE/L1C_T/QI_DATA/MSK_DETFOO_B04.jp2",
    "GRANULE/L1C_T/QI_DATA/MSK_CLASSI_B00.jp2",
)


def one(files: tuple[SafeFile, ...], entry: str, product_type: str = "S2MSI2A") -> str:
    (file,) = select_files(files, [entry], product_type)[entry]
    return file.path


@pytest.mark.parametrize(("band", "metres"), NATIVE.items())
def test_a_bare_band_is_the_native_resolution(band: str, metres: int) -> None:
    assert one(L2A, band).endswith(f"/R{metres}m/{STEM}_{band}_{metres}m.jp2")


@pytest.mark.parametrize("path", images())
def test_every_image_has_a_name_of_its_own(path: str) -> None:
    entry = "_".join(posixpath.basename(path).removesuffix(".jp2").split("_")[2:])

    assert one(L2A, entry) == path


@pytest.mark.parametrize("band", L1C_BANDS)
def test_l1c_bands(band: str) -> None:
    assert one(L1C, band, "S2MSI1C") == f"GRANULE/L1C_T/IMG_DATA/{STEM}_{band}.jp2"


def test_old_l2a_names() -> None:
    files = safe(
        *images("L2A_"),
        f"{GRANULE}/QI_DATA/L2A_{STEM}_CLD_20m.jp2",
        f"{GRANULE}/QI_DATA/L2A_{STEM}_SNW_60m.jp2",
    )

    assert one(files, "SCL_20m").endswith(f"/L2A_{STEM}_SCL_20m.jp2")
    assert one(files, "CLDPRB").endswith("_CLD_20m.jp2")
    assert one(files, "SNWPRB_60m").endswith("_SNW_60m.jp2")


def test_scl_without_a_folder_of_its_resolution() -> None:
    path = f"{GRANULE}/IMG_DATA/L2A_{STEM}_SCL_20m.jp2"

    assert one(safe(path), "SCL_20m") == path


@pytest.mark.parametrize(("entry", "file"), [("CLDPRB", "CLDPRB_20m"), ("SNWPRB_60m",) * 2])
def test_probability_masks(entry: str, file: str) -> None:
    assert one(L2A, entry) == f"{GRANULE}/QI_DATA/MSK_{file}.jp2"


def test_entries_keep_their_order_and_a_file_may_belong_to_two() -> None:
    chosen = select_files(L2A, ["SCL_20m", "B04", "B04_10m", "*_SCL_*"], "S2MSI2A")

    assert list(chosen) == ["SCL_20m", "B04", "B04_10m", "*_SCL_*"]
    assert chosen["B04"] == chosen["B04_10m"]
    assert [len(files) for files in chosen.values()] == [1, 1, 1, 2]


def test_a_product_of_several_tiles_gives_several_files() -> None:
    paths = [f"GRANULE/T{tile}/IMG_DATA/S2A_OPER_MSI_L1C_T{tile}_B04.jp2" for tile in "AB"]

    assert [file.path for file in select_files(safe(*paths), ["B04"], "S2MSI1C")["B04"]] == paths


@pytest.mark.parametrize(
    ("glob", "count"),
    [
        ("*/MTD_TL.xml", 1),
        ("MTD_MSIL2A.xm?", 1),
        ("*.xml", 4),
        ("*", len(L2A)),
        (f"{GRANULE}/MTD_TL.xml", 1),
        ("*/R?0m/*_B04_*", 3),
        ("*_B04_10m.jp2", 2),
        ("GRANULE?L2A_*MTD_TL.xml", 1),
    ],
)
def test_globs_cross_folders(glob: str, count: int) -> None:
    assert len(select_files(L2A, [glob], "S2MSI2A")[glob]) == count


@pytest.mark.parametrize(
    "glob", ["*/mtd_tl.xml", "*_B0[48]_10m.jp2", "/MTD_*", "../*", "*/*?*.gml"]
)
def test_globs_that_match_nothing_name_what_there_is(glob: str) -> None:
    with pytest.raises(
        BandError, match=r"no file for .*It holds MTD_MSIL2A\.xml, .* more\."
    ) as raised:
        select_files(L2A, [glob], "S2MSI2A")

    assert repr(glob) in str(raised.value)
    assert len(str(raised.value)) < 1500


def test_a_bracket_in_a_glob_is_itself() -> None:
    assert one(safe("odd[4].xml", "odd4.xml"), "*[4]*") == "odd[4].xml"


def test_a_hostile_glob_is_quick() -> None:
    with pytest.raises(BandError):
        select_files(safe("a" * 150), ["*a" * 60 + "b"], "S2MSI2A")


def test_a_band_this_product_lacks_names_those_it_has() -> None:
    with pytest.raises(BandError, match=r"'B01_20m'\. It holds SCL_20m\.$"):
        select_files(safe(images()[R20.index("SCL") + len(R10)]), ["SCL_20m", "B01_20m"], "S2MSI2A")


@pytest.mark.parametrize(
    ("entries", "product_type", "match"),
    [
        ([], "S2MSI2A", r"bands is \[\]"),
        ("SCL_20m", "S2MSI2A", "bands is 'SCL_20m'; expected a list"),
        ([4], "S2MSI2A", "expected a list of names"),
        ([""], "S2MSI2A", "'' is not a band"),
        (["B08_20m"], "S2MSI2A", "'B08_20m': B08 exists at 10m"),
        (["B01_10m"], "S2MSI2A", "B01 exists at 20m and 60m"),
        (["SCL_10m"], "S2MSI2A", "SCL exists at 20m and 60m"),
        (["SCL_"], "S2MSI2A", "SCL exists at 20m and 60m"),
        (["SCL_20"], "S2MSI2A", "SCL exists at 20m and 60m"),
        (["B10"], "S2MSI2A", "S2MSI2A has no B10"),
        (["scl_20m"], "S2MSI2A", "'scl_20m' is not a band, did you mean SCL"),
        (["B4"], "S2MSI2A", "did you mean B04"),
        (["NDVI"], "S2MSI2A", r"'NDVI' is not a band\. S2MSI2A has B01_20m\|60m, .*SCL_20m\|60m"),
        (["SCL_20m", "X1", "Y2"], "S2MSI2A", r"'X1' is not a band\. 'Y2' is not a band\."),
        (["MTD_TL.xml"], "S2MSI2A", r"a glob, such as '\*MTD_TL\.xml'"),
        (["B04_10m"], "S2MSI1C", "have no resolution, write 'B04'"),
        (["SCL_20m"], "S2MSI1C", "S2MSI1C has no SCL"),
        (["SCL"], "S2MSI1C", r"S2MSI1C has B01, .*B8A, .*TCI\."),
    ],
)
def test_wrong_entries_are_refused_with_what_to_write(
    entries: list[str], product_type: str, match: str
) -> None:
    with pytest.raises(BandError, match=match):
        check_bands(entries, product_type)


@pytest.mark.parametrize(
    ("entry", "l2a", "l1c"),
    [
        ("B8", "B08 or B8A", "B08 or B8A"),
        ("B1", "B01", "B01"),
        ("B2_10m", "B02_10m", "B02"),
        ("B3_20", "B03_20m", "B03"),
        ("b04", "B04", "B04"),
        ("B04-10m", "B04_10m", "B04"),
        ("B0410m", "B04_10m", "B04"),
        ("B80", "B08", "B08"),
        ("B08A", "B8A", "B8A"),
        ("b8a_20M", "B8A_20m", "B8A"),
        ("B2_5m", "B02", "B02"),
        ("red", "B04", "B04"),
        ("CLD_20m", "CLDPRB_20m", None),
        ("MSK_CLDPRB_20m", "CLDPRB_20m", None),
        ("cldprb", "CLDPRB", None),
        ("SNW", "SNWPRB", None),
        ("SLC", "SCL", None),
        ("SLC_20m", "SCL_20m", None),
        ("scl 20 m", "SCL_20m", None),
        ("SCL20m", "SCL_20m", None),
        ("WVP10", "WVP_10m", None),
        ("AOD", "AOT", None),
        ("TIC", "TCI", "TCI"),
        ("b10", None, "B10"),
    ],
)
def test_a_wrong_name_is_answered_with_what_was_meant(entry, l2a, l1c) -> None:
    for product_type, meant in (("S2MSI2A", l2a), ("S2MSI1C", l1c)):
        words = f"is not a band, did you mean {meant}?" if meant else f"{product_type} has no "
        with pytest.raises(BandError, match=re.escape(words)):
            check_bands([entry], product_type)


@given(st.text(max_size=60) | st.from_regex(r"[BSCLWVPTI0-9aA_ -]{1,12}m?", fullmatch=True))
def test_what_is_meant_is_always_a_name_that_can_be_written(entry: str) -> None:
    for product_type in ("S2MSI2A", "S2MSI1C"):
        with contextlib.suppress(BandError):
            check_bands([entry], product_type)
            continue
        with pytest.raises(BandError) as refused:
            check_bands([entry], product_type)
        hint = re.search(r", did you mean (.*)\?", str(refused.value))
        if hint:
            check_bands(hint[1].split(" or "), product_type)


def test_right_entries_and_all_globs_pass() -> None:
    check_bands([*NATIVE, "SCL_20m", "CLDPRB", "SNWPRB_60m", "*/NO_SUCH.xml", "a/b"], "S2MSI2A")
    check_bands([*L1C_BANDS, "*"], "S2MSI1C")


def test_an_unknown_product_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'S2MSI3A'; expected 'S2MSI2A' or 'S2MSI1C'"):
        check_bands(["B04"], "S2MSI3A")


def test_files_keep_their_own_name() -> None:
    path = images()[0]

    assert delivered_names([path], {}) == {path: posixpath.basename(path)}


def test_files_that_share_a_name_keep_their_path() -> None:
    shared = ["DATASTRIP/D/QI_DATA/GENERAL_QUALITY.xml", "GRANULE/G/QI_DATA/general_quality.xml"]

    names = delivered_names([*shared, "MTD_MSIL2A.xml"], {})

    assert names == {path: path for path in [*shared, "MTD_MSIL2A.xml"]}


def test_names_already_given_stay() -> None:
    first = delivered_names(["A/MTD.xml"], {})

    second = delivered_names(iter(["A/MTD.xml", "B/MTD.xml", "MTD.xml"]), first)

    assert second == {"A/MTD.xml": "MTD.xml", "B/MTD.xml": "B/MTD.xml", "MTD.xml": "_/MTD.xml"}


def test_the_name_of_the_item_is_never_given() -> None:
    assert delivered_names(["a/item.json"], {}) == {"a/item.json": "a/item.json"}
    assert delivered_names(["ITEM.JSON"], {}) == {"ITEM.JSON": "_/ITEM.JSON"}


def test_a_file_is_never_named_like_a_needed_folder() -> None:
    names = delivered_names(["G/f", "H/f", "a/g"], {})

    assert names == {"G/f": "G/f", "H/f": "H/f", "a/g": "a/g"}


def test_paths_that_are_one_file_are_refused() -> None:
    with pytest.raises(UnsafeContentError):
        delivered_names(["a/B"], {"A/b": "b"})


PATHS = st.lists(
    st.sampled_from(["a", "A", "b", "_", "ß", "ss", "item.json"]), min_size=1, max_size=3
)


def _distinct(paths: list[str]) -> list[str]:
    kept: dict[str, str] = {}
    for path in paths:
        place = folded(path)
        above = any(folder in kept for folder in folders(place))
        below = any(place in folders(other) for other in kept)
        if place not in kept and not above and not below:
            kept[place] = path
    return list(kept.values())


@given(st.lists(PATHS.map("/".join), max_size=8).map(_distinct), st.data())
def test_delivered_names_are_unique_and_stable(paths: list[str], data: st.DataObject) -> None:
    early = data.draw(st.lists(st.sampled_from(paths), unique=True)) if paths else []
    first = delivered_names(early, {})
    second = delivered_names(paths, first)

    assert second.keys() == set(paths)
    assert first.items() <= second.items()
    assert delivered_names(paths, second) == second
    assert delivered_names(reversed(paths), first) == second
    places = [folded(name) for name in second.values()]
    assert len({*places, "item.json"}) == len(places) + 1
    assert not any(folder in places for place in places for folder in folders(place))
    for path, name in second.items():
        assert name in {path, posixpath.basename(path)} or name.startswith("_")


def test_real_products_hold_every_band_once(real_product) -> None:
    is_l2a = "MSIL2A" in real_product.name
    with open_zip(real_product) as archive:
        bands = [*NATIVE, "CLDPRB", "SNWPRB", "CLDPRB_60m"] if is_l2a else list(L1C_BANDS)
        chosen = select_files(archive.files, bands, "S2MSI2A" if is_l2a else "S2MSI1C")

    assert all(len(files) == 1 for files in chosen.values())
    assert all("QI_DATA" in chosen[band][0].path for band in bands if "PRB" in band)
    assert all("IMG_DATA" in chosen[band][0].path for band in bands if "PRB" not in band)
