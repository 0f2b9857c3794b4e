"""Tells OpenLineage which products a task read and which folders it wrote.

A dataset is named as OpenLineage's naming specification has it: a product by the download
service's address and its own name, a folder by ``file`` or its bucket and its path. Nothing of
OpenLineage is needed before its provider asks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import OutputDataset

    from copernicus_dataspace.ingest.run_records import Delivered
    from copernicus_dataspace.models.product import Product

MOST_DATASETS: Final = 100
"""Inputs a task tells of, and outputs: an event is one message, and a run may hold thousands."""

_LOCAL: Final = ("", "file", "local")


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was read or written.

    Attributes:
        namespace: Where it is.
        name: What it is called there.
        files: Number of its files, if that is known.
        size_bytes: Their size.
    """

    namespace: str
    name: str
    files: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a task read and wrote."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()


class TellsLineage:
    """What an operator inherits to be asked by OpenLineage once its task has ended.

    Attributes:
        lineage: Left by `execute`, so that nothing need be looked up afterwards: OpenLineage asks
            in a fork of the task, which must not talk to Airflow.
    """

    lineage = Lineage()

    def get_openlineage_facets_on_complete(
        self,
        task_instance: Any,  # noqa: ARG002 - of the protocol
    ) -> OperatorLineage[Any, Any]:
        """Return the inputs and outputs; of a failed task, those it got to."""
        from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415
        from openlineage.client.event_v2 import InputDataset  # noqa: PLC0415

        return OperatorLineage(
            inputs=[InputDataset(one.namespace, one.name) for one in self.lineage.inputs],
            outputs=[_output(one) for one in self.lineage.outputs],
        )


def products(service_url: str, found: Iterable[Product]) -> tuple[Dataset, ...]:
    """Return products as datasets of the service with that address; none where it has none."""
    parts = urlsplit(service_url)
    namespace = f"{parts.scheme}://{parts.netloc}"
    told = itertools.islice(found, MOST_DATASETS) if parts.netloc else ()
    return tuple(Dataset(namespace, product.stem) for product in told)


def folders(delivered: Mapping[str, Delivered]) -> tuple[Dataset, ...]:
    """Return the delivered products' folders as datasets."""
    told = itertools.islice(delivered.values(), MOST_DATASETS)
    return tuple(place(one.folder, one.files, one.bytes) for one in told)


def place(uri: str, files: int | None = None, size_bytes: int | None = None) -> Dataset:
    """Return the dataset at an address of the output store."""
    scheme, _, rest = uri.rpartition("://")
    if scheme in _LOCAL:
        return Dataset("file", rest, files, size_bytes)
    authority, _, path = rest.partition("/")
    return Dataset(f"{scheme}://{authority}", path, files, size_bytes)


def _output(dataset: Dataset) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset  # noqa: PLC0415
    from openlineage.client.facet_v2 import output_statistics_output_dataset  # noqa: PLC0415

    if dataset.files is None:
        return OutputDataset(dataset.namespace, dataset.name)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        fileCount=dataset.files, size=dataset.size_bytes
    )
    return OutputDataset(
        dataset.namespace, dataset.name, outputFacets={"outputStatistics": statistics}
    )
