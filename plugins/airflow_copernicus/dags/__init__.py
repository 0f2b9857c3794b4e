"""DAG factories: ingest, reconcile and approval of removals."""
