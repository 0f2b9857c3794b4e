"""What OpenLineage is told, task by task; the events are in tests/e2e/examples/test_observed.py."""

import subprocess
import sys

import pytest
from openlineage.client.event_v2 import InputDataset, OutputDataset

from airflow_copernicus.observability import lineage
from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace.errors import AccessDeniedError
from copernicus_dataspace.ingest.run_records import Delivered
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import Events, lake_product, make_context


def told(operator):
    facets = operator.get_openlineage_facets_on_complete(None)
    assert all(type(one) is InputDataset for one in facets.inputs)
    assert all(type(one) is OutputDataset for one in facets.outputs)
    inputs = [(one.namespace, one.name) for one in facets.inputs]
    return inputs, [(one.namespace, one.name) for one in facets.outputs]


def test_each_task_tells_what_it_read_and_wrote(connected, tmp_path):
    product = connected.add(lake_product())
    output = {"output_uri": tmp_path.as_uri()}
    stem, context = product.name.removesuffix(".SAFE"), make_context()
    service = connected.connection()["extra"]["download_url"].rpartition("/odata")[0]
    read, folder = [(service, stem)], f"{tmp_path}/bands/S2MSI2A/2024/08/01/{stem}"

    search = CopernicusSearchOperator(
        task_id="s", tiles=["T36TXL"], bands=["SCL_20m"],
        **output,
    )  # fmt: skip
    (batch,) = search.execute(context)
    assert told(search) == (read, [])

    steps = {"batch": batch, "bands": ["SCL_20m"], **output}
    download = CopernicusDownloadOperator(task_id="d", **steps)
    assert told(download) == ([], [])
    download.execute(context)
    assert told(download) == (read, [])

    extract = CopernicusExtractOperator(task_id="e", **steps)
    extract.execute(context)
    assert told(extract) == (read, [("file", folder)])
    (written,) = extract.get_openlineage_facets_on_complete(None).outputs
    statistics = written.outputFacets["outputStatistics"]
    (scl,) = tmp_path.glob("bands/**/*.jp2")
    assert (statistics.fileCount, statistics.size) == (1, scl.stat().st_size)

    publish = CopernicusPublishOperator(task_id="p", search_id="search", **output)
    publish.outlets = ["day"]
    publish.execute({**context, "outlet_events": {"day": Events()}})
    summary = f"{tmp_path}/runs/sentinel2_daily/scheduled__2024-08-01/summary.json"
    assert told(publish) == ([("file", folder)], [("file", summary)])


def test_a_product_that_failed_was_not_read(connected, tmp_path):
    connected.add(lake_product())
    connected.faults.add(Fault(service="download", status=403, times=None))
    output = {"output_uri": tmp_path.as_uri(), "bands": ["SCL_20m"]}
    search = CopernicusSearchOperator(task_id="s", tiles=["T36TXL"], **output)
    (batch,) = search.execute(make_context())
    download = CopernicusDownloadOperator(task_id="d", batch=batch, **output)
    with pytest.raises(AccessDeniedError):
        download.execute(make_context())
    assert told(download) == ([], [])


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("file:///data/bands/x", "file", "/data/bands/x"),
        ("/data/bands/x", "file", "/data/bands/x"),
        ("s3://bucket/bands/x", "s3://bucket", "bands/x"),
        ("gs://bucket/a b#c", "gs://bucket", "a b#c"),
    ],
)
def test_places_are_named_as_openlineage_names_them(uri, namespace, name):
    assert lineage.dataset_at(uri) == lineage.Dataset(namespace, name)


def test_an_event_holds_no_more_than_a_hundred_datasets():
    many = {str(n): Delivered(1, 2, f"s3://b/{n}") for n in range(5000)}
    assert len(lineage.folder_datasets(many)) == lineage.MAX_DATASETS


def test_nothing_of_openlineage_is_needed_without_its_provider():
    code = (
        "import sys; sys.modules['openlineage'] = None\n"
        "sys.modules['airflow.providers.openlineage.extractors'] = None\n"
        "import airflow_copernicus.operators, airflow_copernicus.dags.ingest\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
