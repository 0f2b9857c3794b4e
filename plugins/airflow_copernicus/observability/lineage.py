"""OpenLineage datasets: the products a task read and the folders it wrote.

Names follow OpenLineage's naming specification: a product has the download service's URL as
namespace, a folder ``file`` or its bucket. OpenLineage is imported only if its provider is active.
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

MAX_DATASETS: Final = 100
"""Maximum inputs, and outputs, of an event: a run may have thousands."""

_LOCAL: Final = ("", "file", "local")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that was read or written.

    Attributes:
        namespace: Namespace of OpenLineage's naming specification.
        name: Name within the namespace.
        files: Number of files, if known.
        size_bytes: Total size of the files, if known.
    """

    namespace: str
    name: str
    files: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """The datasets a task read and wrote."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()


class TellsLineage:
    """Mixin for operators that report their datasets to OpenLineage.

    Attributes:
        lineage: Set by `execute`, because OpenLineage reads it in a fork of the task, which must
            not communicate with Airflow.
    """

    lineage = Lineage()

    def get_openlineage_facets_on_complete(
        self,
        task_instance: Any,  # noqa: ARG002 - part of the protocol
    ) -> OperatorLineage[Any, Any]:
        """Return the inputs and outputs; of a failed task, those of its completed part."""
        from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415
        from openlineage.client.event_v2 import InputDataset  # noqa: PLC0415

        return OperatorLineage(
            inputs=[InputDataset(source.namespace, source.name) for source in self.lineage.inputs],
            outputs=[_output(target) for target in self.lineage.outputs],
        )


def product_datasets(service_url: str, found: Iterable[Product]) -> tuple[Dataset, ...]:
    """Return products as datasets of the service with this URL; none if the URL has no host."""
    parts = urlsplit(service_url)
    namespace = f"{parts.scheme}://{parts.netloc}"
    listed = itertools.islice(found, MAX_DATASETS) if parts.netloc else ()
    return tuple(Dataset(namespace, product.stem) for product in listed)


def folder_datasets(delivered: Mapping[str, Delivered]) -> tuple[Dataset, ...]:
    """Return the folders of delivered products as datasets."""
    listed = itertools.islice(delivered.values(), MAX_DATASETS)
    return tuple(dataset_at(entry.folder, entry.files, entry.bytes) for entry in listed)


def dataset_at(uri: str, files: int | None = None, size_bytes: int | None = None) -> Dataset:
    """Return the dataset of a URI of the output store."""
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
