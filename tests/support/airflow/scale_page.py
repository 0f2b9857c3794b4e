"""The page about what a cluster was seen to carry."""

from tests.support.measured_page import Page

SCALE = Page(
    "scale.md",
    """\
# Measured: throughput of a cluster

Generated from `tests/e2e/test_cluster_long.py` and `test_crowd_long.py`, not to be edited:
`UPDATE_DOCS=1 make test-long` writes anew what it runs. Each part is a real Airflow (api-server,
scheduler, dag-processor, triggerer, PostgreSQL, Redis, and where it says nothing else two Celery
workers of two tasks each) on a machine with two processors, against the emulator, which ran there
too.
""",
)
