import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from copernicus.params import PARAMS
from dataspace.errors import (
    AccessDeniedError,
    BandError,
    ConfigurationError,
    CorruptDownloadError,
    CredentialsError,
    NotStagedError,
    PermanentError,
    ProductNotFoundError,
    QueryError,
    ServiceUnavailableError,
)
from dataspace_emulator import Fault, make_product
from tests.copernicus.conftest import make_context

SENSED = "2024-08-01T08:36:01.024Z"


def lake_product(**changes):
    facts = {
        "tile": "36TXL",
        "sensed": SENSED,
        "level": "L2A",
        "platform": "A",
        "baseline": "05.11",
    }
    return make_product(**{**facts, "cloud_cover": 12.5, "scale": 0.01, **changes})


def scl_of(product):
    (path,) = (path for path in product.files if path.endswith("_SCL_20m.jp2"))
    return path


def transfers(emulator):
    return [request for request in emulator.requests if request.service == "download"]


def test_a_day_arrives(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    stem = product.name.removesuffix(".SAFE")
    name = scl_of(product).rpartition("/")[2]
    assert ran.errors == []
    assert ran.files == [
        f"S2MSI2A/2024/08/01/{stem}/{name}",
        f"S2MSI2A/2024/08/01/{stem}/item.json",
    ]
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))
    assert ran.staged == []
    assert ran.partitions == ["2024-08-01"]
    assert ran.published["missing"] == []


def test_one_file_costs_two_requests_and_its_bytes(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    wanted = product.files[scl_of(product)].size + len(product.read("manifest.safe"))
    assert len(transfers(connected)) == 2
    assert sum(request.bytes_sent for request in transfers(connected)) <= 1.1 * wanted
    assert ran.summary["bytes_of_products"] == product.zip_size


def test_the_item_tells_where_everything_came_from(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest()
    item = json.loads((ran.output / "bands" / ran.files[1]).read_text())
    (asset,) = item["assets"].values()
    content = product.read(scl_of(product))
    assert item["id"] == product.name.removesuffix(".SAFE")
    assert item["properties"]["dataspace:product_id"] == product.id
    assert item["properties"]["dataspace:run_id"] == "scheduled__2024-08-01"
    assert item["properties"]["dataspace:dag_id"] == "sentinel2_daily"
    assert item["properties"]["processing:version"] == "05.11"
    assert asset["file:size"] == len(content)
    assert asset["file:checksum"] == "1620" + hashlib.sha3_256(content).hexdigest()
    assert asset["dataspace:source"].endswith("_SCL_20m.jp2)/$value")
    assert "token" not in asset["dataspace:source"]


def test_a_rerun_costs_one_search_and_no_download(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(connected.requests)
    ran = ingest(make_context(run_id="manual__again", run_type="manual"))
    new = connected.requests[before:]
    assert [one.service for one in new if one.service != "identity"] == ["catalogue"]
    assert ran.summary["delivered"] == 1
    assert ran.summary["bytes_transferred"] == 0


@pytest.mark.parametrize("damage", ["cut", "remove", "item"])
def test_a_damaged_file_heals(connected, ingest, damage):
    product = connected.add(lake_product())
    ran = ingest()
    scl, item = (ran.output / "bands" / name for name in ran.files)
    if damage == "cut":
        scl.write_bytes(scl.read_bytes()[:-1])
    elif damage == "remove":
        scl.unlink()
    else:
        item.write_text("{")
    ran = ingest(make_context(run_id="manual__again", run_type="manual"))
    assert ran.errors == []
    assert scl.read_bytes() == product.read(scl_of(product))
    assert json.loads(item.read_text())["assets"]


def test_a_further_band_costs_only_itself(connected, ingest):
    product = connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    ran = ingest(make_context(run_id="more"), bands=["SCL_20m", "B04", "*/MTD_TL.xml"])
    paths = [request.path for request in transfers(connected)[before:]]
    assert len(paths) == 3
    assert not any("SCL" in path for path in paths)
    item = json.loads((ran.output / "bands" / ran.files[-1]).read_text())
    assert len(item["assets"]) == 3
    assert len(ran.files) == 4
    assert product.name.removesuffix(".SAFE") == item["id"]


def test_overwrite_fetches_again(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    again = make_context(run_id="again")
    ingest(again, overwrite=True)
    assert len(transfers(connected)) == before + 2


def test_an_empty_day_is_green_and_says_so(connected, ingest, capsys):
    ran = ingest()
    assert ran.batches == []
    assert ran.errors == []
    assert ran.partitions == ["2024-08-01"]
    assert "Nothing to do" in capsys.readouterr().out
    assert len(connected.requests) == 1


def test_filters_hold(connected, ingest):
    connected.add(lake_product())
    connected.add(lake_product(cloud_cover=20.1, seed=1, sensed="2024-08-01T08:40:01.024Z"))
    connected.add(lake_product(cloud_cover=None, seed=2, sensed="2024-08-01T08:41:01.024Z"))
    connected.add(lake_product(sensed="2024-07-31T23:59:59.999Z"))
    connected.add(lake_product(sensed="2024-08-02T00:00:00.000Z"))
    connected.add(lake_product(tile="36TYL"))
    connected.add(lake_product(level="L1C"))
    ran = ingest(max_cloud_cover=20)
    assert ran.summary["products"] == 1


def test_blank_lines_of_the_form_do_not_count(connected, ingest):
    connected.add(lake_product())
    ran = ingest(tiles=["T36TXL", ""], bands=["SCL_20m", " "], product_ids=[""])
    assert ran.errors == []
    assert len(ran.files) == 2


def test_area_selects_by_footprint(connected, ingest):
    connected.add(lake_product())
    assert ingest(tiles=[], area="lake").summary["products"] == 1
    far = ingest(make_context(run_id="far"), tiles=[], area="3,40,4,41")
    assert far.summary["products"] == 0


def test_offline_products_are_named_and_left_out(connected, ingest):
    product = connected.add(lake_product(online=False))
    ran = ingest()
    assert ran.errors == []
    assert ran.summary["offline"] == [product.name.removesuffix(".SAFE")]


def test_days_of_the_form_win_and_both_count(connected, ingest):
    for day in ("2024-07-30", "2024-07-31", "2024-08-01", "2024-08-02"):
        connected.add(lake_product(sensed=f"{day}T08:36:01.024Z"))
    context = make_context(run_type="manual", run_id="manual")
    ran = ingest(context, first_day="2024-07-30", last_day="2024-08-01")
    assert ran.partitions == ["2024-07-30", "2024-07-31", "2024-08-01"]
    assert ran.summary["delivered"] == 3


def test_one_day_alone_means_that_day(connected, ingest):
    connected.add(lake_product(sensed="2024-07-30T08:36:01.024Z"))
    ran = ingest(make_context(run_type="manual", run_id="manual"), last_day="2024-07-30")
    assert ran.partitions == ["2024-07-30"]
    assert ran.summary["delivered"] == 1


@pytest.mark.parametrize(
    ("logical_date", "day"),
    [
        (datetime(2024, 7, 5, 13, 30, tzinfo=UTC), "2024-07-04"),
        (datetime(2024, 7, 5, 0, 0, tzinfo=UTC), "2024-07-04"),
        (datetime(2024, 7, 5, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2024-07-03"),
    ],
)
def test_a_run_by_hand_takes_the_day_before(connected, ingest, logical_date, day):
    inferred = {  # as the command line does: from the present, whatever the logical date
        "data_interval_start": datetime(2024, 8, 2, tzinfo=UTC),
        "data_interval_end": datetime(2024, 8, 3, tzinfo=UTC),
        "logical_date": logical_date,
    }
    context = make_context(run_type="manual", run_id="manual", **inferred)
    assert ingest(context).partitions == [day]


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "asset_triggered"])
def test_an_interval_of_no_length_is_no_interval(connected, ingest, run_type):
    """As runs of DAGs with another schedule have it."""
    instant = datetime(2024, 7, 5, 5, tzinfo=UTC)
    dates = dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date"], instant)
    ran = ingest(make_context(run_type=run_type, run_id="own", **dates))
    assert ran.partitions == ["2024-07-04"]


def test_a_weekly_interval_gives_its_days(connected, ingest):
    dates = {"data_interval_end": datetime(2024, 8, 8, tzinfo=UTC)}
    assert len(ingest(make_context(**dates)).partitions) == 7


def test_a_run_without_any_date_takes_yesterday(connected, ingest):
    dates = dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date"])
    ran = ingest(make_context(run_type="manual", run_id="manual", **dates))
    assert ran.partitions == ["2024-08-02"]


def test_products_are_fetched_by_name_whatever_the_filters_say(connected, ingest):
    product = connected.add(lake_product(cloud_cover=99.0, sensed="2024-05-05T08:36:01.024Z"))
    other = connected.add(lake_product(cloud_cover=99.0, sensed="2024-05-06T08:36:01.024Z"))
    ran = ingest(
        make_context(run_type="manual", run_id="chosen"),
        product_ids=[product.name.removesuffix(".SAFE"), other.id],
        max_cloud_cover=1,
        tiles=["T01CCV"],
    )
    assert ran.summary["delivered"] == 2
    assert ran.partitions == ["2024-05-05", "2024-05-06"]


def test_an_unknown_product_is_named(connected, ingest):
    with pytest.raises(ProductNotFoundError, match="not listed: 00000000-0000"):
        ingest(product_ids=["00000000-0000-0000-0000-000000000000"])


@pytest.mark.parametrize(
    "params", [{"first_day": "2024-08-01"}, {"last_day": "2024-08-01"}, {"product_ids": ["S2A_x"]}]
)
def test_a_backfill_refuses_days_and_products(connected, ingest, params):
    with pytest.raises(QueryError, match="may not be set for a backfill"):
        ingest(make_context(run_type="backfill", run_id="backfill"), **params)


@pytest.mark.parametrize(
    ("params", "kind", "words"),
    [
        ({"bands": ["SLC_20m"]}, BandError, "SLC_20m"),
        ({"bands": []}, BandError, "list of names"),
        ({"first_day": "2024-08-02", "last_day": "2024-08-01"}, QueryError, "lies before"),
        ({"first_day": "1 August"}, QueryError, "YYYY-MM-DD"),
        ({"tiles": [], "area": None}, QueryError, "whole world"),
        ({"tiles": ["X"]}, QueryError, "MGRS"),
        ({"max_cloud_cover": 300}, QueryError, "percentage"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(connected, ingest, params, kind, words):
    with pytest.raises(kind, match=words):
        ingest(make_context(run_type="manual", run_id="manual"), **params)
    assert connected.requests == []


def test_archive_delivers_out_of_the_zip(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest(transfer="archive")
    assert ran.errors == []
    assert len(transfers(connected)) == 1
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))
    assert ran.staged == []
    assert not (ran.output / "archive").exists()


def test_a_kept_archive_serves_further_bands(connected, ingest):
    product = connected.add(lake_product())
    ran = ingest(transfer="archive", keep_archive=True)
    kept = ran.output / f"archive/S2MSI2A/2024/08/01/{product.name.removesuffix('.SAFE')}.zip"
    assert hashlib.md5(kept.read_bytes()).hexdigest() == product.md5  # noqa: S324
    before = len(transfers(connected))
    more = ingest(
        make_context(run_id="more"), transfer="archive", keep_archive=True, bands=["B04", "SCL_20m"]
    )
    assert more.errors == []
    assert len(transfers(connected)) == before
    assert len(more.files) == 3


@pytest.mark.parametrize("checksum", ["none", "N/A"])
def test_a_zip_without_catalogue_checksum_is_checked_from_inside(connected, ingest, checksum):
    product = connected.add(lake_product(checksum=checksum))
    ran = ingest(transfer="archive", keep_archive=True)
    assert ran.errors == []
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))


def test_one_product_failing_leaves_the_others_delivered(connected, ingest):
    good = connected.add(lake_product())
    bad = connected.add(lake_product(sensed="2024-08-01T10:36:01.024Z", seed=7))
    connected.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    ran = ingest()
    assert [type(error) for error in ran.errors[:1]] == [AccessDeniedError]
    assert ran.summary["missing"] == [bad.name.removesuffix(".SAFE")]
    assert ran.published is None
    assert ran.partitions == []
    assert all(good.name.removesuffix(".SAFE") in name for name in ran.files)
    (row,) = (row for row in ran.summary["table"] if row["state"] == "missing")
    assert "403" in row["error"]


def test_complete_days_are_announced_beside_an_incomplete_one(connected, ingest):
    connected.add(lake_product())
    bad = connected.add(lake_product(sensed="2024-08-02T08:36:01.024Z", seed=7))
    connected.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    context = make_context(run_type="manual", run_id="manual")
    ran = ingest(context, first_day="2024-08-01", last_day="2024-08-02")
    assert ran.partitions == ["2024-08-01"]
    assert ran.published["missing"] == [bad.name.removesuffix(".SAFE")]


def test_many_products_share_batches(connected, tmp_path):
    for number in range(230):
        minute, second = divmod(number, 60)
        connected.add(
            make_product(
                tile="36TXL", sensed=f"2024-08-01T08:{minute:02}:{second:02}.000Z", content=False
            )
        )
    search = CopernicusSearchOperator(
        task_id="search", tiles=["36TXL"], bands=["SCL_20m"], output_uri=tmp_path.as_uri()
    )
    batches = search.execute(make_context())
    assert len(batches) == 200
    assert len(json.dumps(batches)) < 48_000
    labels = [batch["label"] for batch in batches]
    assert sum(label.startswith("2 products from T36TXL 2024-08-01") for label in labels) == 30


def test_a_wrong_password_is_tried_once_for_all_products(emulator, connect, ingest):
    emulator.add(lake_product())
    emulator.add(lake_product(sensed="2024-08-01T10:36:01.024Z"))
    connect({**emulator.connection(), "password": "wrong-password"})
    with pytest.raises(
        CredentialsError, match=r"wrong e-mail or password.*second factor"
    ) as caught:
        ingest()
    assert "wrong-password" not in str(caught.value)
    assert len([one for one in emulator.requests if one.service == "identity"]) == 1


def test_every_session_is_ended(connected, ingest):
    connected.add(lake_product())
    ingest()
    logouts = [one for one in connected.requests if one.path.endswith("/logout")]
    assert len(logouts) == connected.grants["password"]
    assert all(one.status == 204 for one in logouts)


def test_a_session_that_cannot_be_ended_does_no_harm(connected, ingest):
    connected.add(lake_product())
    connected.faults.add(Fault(service="identity", status=500, match="/logout", times=None))
    assert ingest().errors == []


def test_wrong_bytes_never_stand_under_a_final_name(connected, ingest):
    connected.add(lake_product())
    connected.faults.add(Fault(service="download", kind="flipped_bit", times=None, match="SCL_20m"))
    ran = ingest()
    assert isinstance(ran.errors[0], CorruptDownloadError)
    assert ran.files == []
    assert isinstance(ran.errors[-1], PermanentError)


def test_a_fault_that_passes_heals(connected, ingest):
    product = connected.add(lake_product())
    for kind in ("flipped_bit", "short_body", "reset"):
        connected.faults.add(Fault(service="download", kind=kind, times=1, match="SCL_20m"))
    connected.faults.add(Fault(service="download", status=429, times=2, retry_after=0))
    connected.faults.add(Fault(service="catalogue", status=503, times=2))
    connected.faults.add(Fault(service="identity", status=502, times=1))
    ran = ingest()
    assert ran.errors == [], ran.errors
    assert (ran.output / "bands" / ran.files[0]).read_bytes() == product.read(scl_of(product))


def test_an_outage_is_red_and_not_empty(connected, ingest):
    connected.faults.add(Fault(service="catalogue", status=503, times=None))
    with pytest.raises(ServiceUnavailableError, match="HTTP 503"):
        ingest()


def test_a_failed_search_leaves_nothing_of_the_last_one(connected, ingest):
    connected.add(lake_product())
    ran = ingest()
    connected.faults.add(Fault(service="catalogue", status=400, times=None))
    with pytest.raises(QueryError):
        ingest()
    output = {"output_uri": ran.output.as_uri()}
    publish = CopernicusPublishOperator(task_id="publish", search_id="search", **output)
    with pytest.raises(NotStagedError, match="the search has left no result"):
        publish.execute(make_context())


def test_two_searches_of_one_run_keep_apart(connected, tmp_path):
    connected.add(lake_product())
    connected.add(lake_product(level="L1C"))
    output = {"output_uri": tmp_path.as_uri()}
    batches = {}
    for level, bands in (("S2MSI2A", ["SCL_20m"]), ("S2MSI1C", ["B01"])):
        context = make_context()
        context["ti"].task_id = level
        search = CopernicusSearchOperator(
            task_id=level, tiles=["T36TXL"], product_type=level, bands=bands, **output
        )
        (batches[level],) = search.execute(context)
    for level, bands in (("S2MSI2A", ["SCL_20m"]), ("S2MSI1C", ["B01"])):
        for kind in (CopernicusDownloadOperator, CopernicusExtractOperator):
            kind(task_id="t", batch=batches[level], bands=bands, **output).execute(make_context())
    delivered = {path.parts[-6] for path in tmp_path.glob("bands/*/*/*/*/*/*.jp2")}
    assert delivered == {"S2MSI2A", "S2MSI1C"}


def test_overwrite_replaces_a_kept_zip_and_keeps_other_files_listed(connected, ingest):
    product = connected.add(lake_product())
    archive = {"transfer": "archive", "keep_archive": True}
    ran = ingest(bands=["SCL_20m", "B05"], **archive)
    (kept,) = ran.output.glob("archive/**/*.zip")
    kept.write_bytes(bytes(kept.stat().st_size))
    ran = ingest(make_context(run_id="again"), overwrite=True, **archive)
    assert ran.errors == []
    assert hashlib.md5(kept.read_bytes()).hexdigest() == product.md5  # noqa: S324
    (item,) = ran.output.glob("bands/**/item.json")
    assert len(json.loads(item.read_text())["assets"]) == 2


def test_overwrite_in_a_run_that_is_cleared_fetches_again(connected, ingest):
    connected.add(lake_product())
    ingest()
    before = len(transfers(connected))
    ingest(overwrite=True)
    assert len(transfers(connected)) == before + 2


def test_an_offline_product_asked_for_is_missing_and_the_others_arrive(connected, ingest):
    product = connected.add(lake_product())
    offline = connected.add(lake_product(online=False, sensed="2024-08-03T08:36:01.024Z"))
    ran = ingest(make_context(run_type="manual"), product_ids=[product.id, offline.id])
    assert ran.published["missing"] == [offline.name.removesuffix(".SAFE")]
    assert ran.summary["delivered"] == 1


def test_more_bands_whose_download_failed_are_not_called_delivered(connected, ingest):
    connected.add(lake_product())
    ingest()
    connected.faults.add(Fault(service="download", status=403, times=None, match="B05"))
    ran = ingest(make_context(run_id="more"), bands=["SCL_20m", "B05"])
    kinds = [type(error) for error in ran.errors]
    assert kinds[:2] == [AccessDeniedError, NotStagedError]
    assert ran.summary["missing"]


@pytest.mark.parametrize("params", [{"overwrite": "False"}, {"keep_archive": "no"}])
def test_a_text_is_no_boolean(connected, ingest, params):
    connected.add(lake_product())
    with pytest.raises(ConfigurationError, match="expected true or false"):
        raise ingest(**params).errors[0]


def test_a_batch_must_be_mapped_over():
    operator = CopernicusDownloadOperator(task_id="t", batch=[{}], bands=["SCL_20m"])
    with pytest.raises(ConfigurationError, match="expand"):
        operator.execute(make_context())


@pytest.mark.parametrize(
    ("output_uri", "words"),
    [
        ("relative/folder", "no absolute path"),
        ("~/data", "no absolute path"),
        ("file:///proc/nowhere", "cannot be written"),
        ("s3://nowhere@bucket/x", "cannot be used .*nowhere"),
        ("gopher://x/y", "cannot be used"),
    ],
)
def test_an_output_that_cannot_be_used_is_red_at_once(connected, output_uri, words):
    search = CopernicusSearchOperator(
        task_id="s", tiles=["T36TXL"], bands=["SCL_20m"], output_uri=output_uri
    )
    with pytest.raises(ConfigurationError, match=words):
        search.execute(make_context())
    assert connected.requests == []


def test_a_misspelt_param_of_a_run_is_refused(connected, ingest):
    context = make_context(run_type="manual", run_id="manual", conf={"frist_day": "2024-08-01"})
    context["dag"] = SimpleNamespace(params=PARAMS)
    with pytest.raises(QueryError, match="no param frist_day; there are first_day"):
        ingest(context)
