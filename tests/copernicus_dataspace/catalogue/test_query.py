from datetime import UTC, date, datetime
from urllib.parse import quote as url_quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.query import Query, quote
from copernicus_dataspace.errors import QueryError
from copernicus_dataspace.geometry.area import Area
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.models.time_range import Window

DAY = Window.of_days(date(2024, 8, 1), date(2024, 8, 1))
LAKE = Area.parse("34.49,40.62,34.52,40.64")


def product(**changes):
    facts = {
        "id": "f867a59a-9336-46d0-93ae-e55bf29403f8",
        "name": "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T112233.SAFE",
        "product_type": "S2MSI2A",
        "sensed": datetime(2024, 8, 1, 8, 36, tzinfo=UTC),
        "cloud_cover": 20.0,
    }
    return Product(**{**facts, **changes})


def test_filter_holds_every_condition():
    query = Query(
        sensed=DAY,
        product_type="S2MSI2A",
        area=LAKE,
        tiles=("T36TXL",),
        max_cloud_cover=20,
        published=Window(datetime(2024, 8, 1, tzinfo=UTC), datetime(2024, 8, 9, tzinfo=UTC)),
        online=True,
    )
    (text,) = query.filters(DAY)
    assert text.startswith("Collection/Name eq 'SENTINEL-2' and ContentDate/Start ge 2024-08-01T00")
    for term in (
        "ContentDate/Start ge 2024-08-01T00:00:00.000Z",
        "ContentDate/Start lt 2024-08-02T00:00:00.000Z",
        "att/Name eq 'productType' and att/OData.CSC.StringAttribute/Value eq 'S2MSI2A')",
        "att/Name eq 'tileId' and att/OData.CSC.StringAttribute/Value eq '36TXL')",
        "att/Name eq 'cloudCover' and att/OData.CSC.DoubleAttribute/Value le 20.0)",
        "Online eq true",
        "PublicationDate ge 2024-08-01T00:00:00.000Z",
        "PublicationDate lt 2024-08-09T00:00:00.000Z",
        "OData.CSC.Intersects(area=geography'SRID=4326;POLYGON((",
    ):
        assert term in text


def test_filter_leaves_out_what_is_not_asked():
    (text,) = Query(sensed=DAY, tiles=("36TXL",)).filters(DAY)
    for word in ("cloudCover", "productType", "Online", "Intersects", "PublicationDate"):
        assert word not in text


@given(
    st.lists(
        st.from_regex(r"[1-5][0-9][C-H][A-H][A-V]", fullmatch=True).filter(
            lambda t: not set(t) & set("IO")
        ),
        min_size=1,
        max_size=60,
        unique=True,
    )
)
def test_many_tiles_are_shared_out_and_every_url_stays_short(tiles):
    texts = Query(sensed=DAY, product_type="S2MSI2A", area=LAKE, tiles=tuple(tiles)).filters(DAY)
    assert all(len(url_quote(text)) < 4000 for text in texts)
    assert [sum(f"'{tile}'" in text for text in texts) for tile in tiles] == [1] * len(tiles)


def test_products_are_asked_for_by_id_and_by_name():
    ids = ["F867A59A-9336-46d0-93ae-e55bf29403f8", product().stem, product().name]
    (text,) = Query(sensed=DAY, product_ids=tuple(ids)).filters(DAY)
    assert "Id eq f867a59a-9336-46d0-93ae-e55bf29403f8" in text
    assert text.count(f"Name eq '{product().name}'") == 2


@pytest.mark.parametrize("ending", ["", ".SAFE", ".SAFE/", ".SAFE.zip", ".zip", ".ZIP", ".safe"])
@pytest.mark.parametrize("written", [str, str.lower, " {} ".format])
def test_a_product_is_named_as_its_folder_or_its_zip_is(ending, written):
    query = Query(sensed=DAY, product_ids=(written(f"{product().stem}{ending}"),))
    assert query.product_ids == (product().name,)


def test_many_products_stay_within_the_url():
    names = tuple(product().name.replace("T36TXL", f"T{n:02}TXL") for n in range(1, 60))
    texts = Query(sensed=DAY, product_ids=names).filters(DAY)
    assert all(len(url_quote(text)) < 4000 for text in texts)
    assert all(any(name in text for text in texts) for name in names)


@pytest.mark.parametrize(
    "facts",
    [
        {"product_type": "S2MSI3A"},
        {"max_cloud_cover": 101},
        {"max_cloud_cover": -1},
        {"tiles": ("nowhere",)},
        {"product_ids": ("x' or 1 eq 1",)},
    ],
)
def test_bad_values_are_refused(facts):
    with pytest.raises(QueryError):
        Query(sensed=DAY, **facts)


@given(st.text())
def test_a_quoted_text_is_one_literal(text):
    literal = quote(text)
    assert literal[0] == literal[-1] == "'"
    inside = literal[1:-1]
    assert "'" not in inside.replace("''", "")
    assert inside.replace("''", "'") == text


def test_cloud_limit_is_inclusive_and_unknown_passes_only_without_it():
    limited = Query(sensed=DAY, max_cloud_cover=20)
    assert limited.accepts(product(cloud_cover=20.0))
    assert not limited.accepts(product(cloud_cover=20.01))
    assert not limited.accepts(product(cloud_cover=None))
    assert Query(sensed=DAY).accepts(product(cloud_cover=None))


def test_area_and_tiles_must_both_hold():
    query = Query(sensed=DAY, area=LAKE, tiles=("36TXL",))
    here = {"type": "Polygon", "coordinates": [[[34, 40], [35, 40], [35, 41], [34, 41], [34, 40]]]}
    far = {"type": "Polygon", "coordinates": [[[4, 40], [5, 40], [5, 41], [4, 41], [4, 40]]]}
    assert query.accepts(product(footprint=here))
    assert not query.accepts(product(footprint=far))
    other = product(footprint=here, name=product().name.replace("36TXL", "36TYL"))
    assert not query.accepts(other)


def test_ids_alone_are_asked_for_many_at_once():
    ids = tuple(str(UUID(int=number)) for number in range(120))
    texts = Query(sensed=DAY, product_ids=ids).filters(DAY)
    assert len(texts) == 3
    assert all(len(url_quote(text)) < 4000 for text in texts)
    assert all(sum(one in text for text in texts) == 1 for one in ids)
