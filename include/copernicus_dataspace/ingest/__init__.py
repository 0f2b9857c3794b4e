"""One run of an ingest: staging, extraction, delivery, records and summary."""
