"""A program whose runs may be killed: it imports Airflow once and forks a child for each run.

Reads one run a line as JSON, and answers each with the child's exit code and its seconds.
"""

import json
import os
import signal
import sys
import time
import traceback

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from copernicus_dataspace import service
from copernicus_dataspace.limits.backoff import Timing
from tests.airflow_copernicus.conftest import Events, make_context


def run(output_uri, bands, **wanted):
    """Run the whole chain, four transfers at once; raises what any of its steps raises."""
    context, output = make_context(), {"output_uri": output_uri}
    search = CopernicusSearchOperator(task_id="search", tiles=["36TXL"], bands=bands, **output)
    for batch in search.execute(context):
        facts = {"batch": batch, "bands": bands, **wanted, **output}
        CopernicusDownloadOperator(task_id="download", pool_slots=4, **facts).execute(context)
        CopernicusExtractOperator(task_id="extract", **facts).execute(context)
    publish = CopernicusPublishOperator(task_id="publish", search_id="search", **output)
    publish.outlets = ["day"]
    publish.execute({**context, "outlet_events": {"day": Events()}})


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    quick = Timing(probe_s=0.01, lateness_s=0.08, longest_wait_s=60, negligible_s=0.002)
    service.SERVICE_LIMITS = service.ServiceLimits(first_wait_s=0.01, slots=quick)
    for line in sys.stdin:
        job = json.loads(line)
        kill_after_s, began = job.pop("kill_after_s"), time.monotonic()
        pid = os.fork()
        if not pid:
            _end_with(job)
        code = _ended(pid, began + kill_after_s)
        answers.write(json.dumps([code, time.monotonic() - began]) + "\n")


def _ended(pid, kill_at):
    """Return the exit code, which is that of SIGKILL where it has not ended by then."""
    while time.monotonic() < kill_at:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _end_with(job):
    code = 1
    try:
        run(**job)
        code = 0
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
