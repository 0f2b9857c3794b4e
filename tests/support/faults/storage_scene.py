"""The steps of a run and of a reconcile, one by one, and outputs that misbehave meanwhile."""

import errno
import json
import os
from pathlib import Path

import pytest

from airflow_copernicus.operators import (
    CopernicusAuditOperator,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
    CopernicusSettleOperator,
)
from airflow_copernicus.retry_policy import RETRY_POLICY
from copernicus_dataspace.errors import DataSpaceError
from tests.airflow_copernicus.conftest import Events, make_context
from tests.support.airflow.registered import registered

STEPS = ("search", "download", "extract", "publish", "audit", "settle")
INGEST = "sentinel2_daily"


class Run:
    """A run of an ingest, and a reconcile of the same day after it."""

    def __init__(self, uri, folder, **changes):
        self._output = {"output_uri": uri}
        self._changes = changes
        self._file = folder / f"{INGEST}.yaml"
        self._file.write_text(json.dumps({"tiles": ["T36TXL"], **self._output, **changes}))
        self.batches = []

    def search(self):
        search = CopernicusSearchOperator(
            task_id="search", tiles=["36TXL"], bands=["SCL_20m"], **self._output, **self._changes
        )
        self.batches = search.execute(make_context())

    def download(self):
        self._each(CopernicusDownloadOperator)

    def extract(self):
        self._each(CopernicusExtractOperator)

    def publish(self):
        publish = CopernicusPublishOperator(task_id="publish", search_id="search", **self._output)
        publish.outlets = ["day"]
        context = {**make_context(), "outlet_events": {"day": Events()}}
        assert publish.execute(context)["missing"] == []

    def audit(self):
        audit = CopernicusAuditOperator(task_id="audit", ingest=registered(self._file))
        assert audit.execute(self._night()) == []

    def settle(self):
        settle = CopernicusSettleOperator(task_id="settle", ingest=registered(self._file))
        assert settle.execute(self._night())["missing"] == []

    def up_to(self, step):
        for earlier in STEPS[: STEPS.index(step)]:
            getattr(self, earlier)()

    def whole(self):
        for step in STEPS:
            getattr(self, step)()

    def failure(self, step):
        """Return the error that a step ends with, and what the retry policy says of it."""
        with pytest.raises(DataSpaceError) as caught:
            getattr(self, step)()
        return caught.value, RETRY_POLICY.evaluate(caught.value, 1, 6)

    def _each(self, kind):
        for batch in self.batches:
            step = kind(task_id="step", batch=batch, bands=["SCL_20m"], **self._output)
            step.execute(make_context())

    def _night(self):
        return make_context(dag_id="sentinel2_reconcile", run_id="scheduled__night")


class Disk:
    """Faults of a disk, in the calls that Python makes of it, while it is told to fail."""

    def __init__(self, monkeypatch, folder):
        self._monkeypatch = monkeypatch
        self._folder = str(folder)
        self._number, self._calls = 0, ()
        for owner, name in ((Path, "replace"), (Path, "mkdir"), (os, "scandir")):
            self._let(owner, name)

    def fails(self, number, *calls):
        self._number, self._calls = number, calls

    def works(self):
        self._number = 0

    def _let(self, owner, name):
        really = getattr(owner, name)

        def call(path, *args, **kwargs):
            if self._number and name in self._calls and str(path).startswith(self._folder):
                raise OSError(self._number, os.strerror(self._number), str(path))
            return really(path, *args, **kwargs)

        self._monkeypatch.setattr(owner, name, call)


def number_of(name):
    return getattr(errno, name)
