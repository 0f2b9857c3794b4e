"""One run of an ingest: download, extract, verify, deliver, and what is recorded of it."""
