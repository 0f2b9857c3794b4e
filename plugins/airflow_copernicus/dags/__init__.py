"""DAG factories: an ingest, the reconcile, and the approval of removals."""
